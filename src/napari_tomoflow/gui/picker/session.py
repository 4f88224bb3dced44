"""What a person does to the picks of many tomograms. It knows neither viewer nor files.

Every command is a change that is told to the log before it happens and can be taken back, without limit and
across tomograms. Legend: k rows.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from psygnal import Signal
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui.picker.changes import TYPES, Change
from napari_tomoflow.gui.picker.particle_types import COLOURS, TYPES_KEY, ParticleType, unlike
from napari_tomoflow.gui.picker.picks import CENTERS, ID, IS_THERE, QUATERNIONS, SCORE, TYPE, Picks, Rows
from napari_tomoflow.gui.picker.state import Event, Load, State
from napari_tomoflow.gui.picker.told_particles import told_of

Log = Callable[[Event], None]
"""Keeps an event, so that it can be told again after a crash; what it was told is safe when it returns."""


def forget(event: Event) -> None:
    """Keep nothing: the log of who needs none."""


def no_jobs(tomogram: str, job: int) -> ParticleSet:
    """Refuse to load: where there is no project there are no jobs."""
    raise MissingError(f"There is no project to take job {job} of {tomogram} from; open one first.")


class Session:
    """Work on the picks of some tomograms, one of them in view.

    Attributes
    ----------
    active_type : int
        The one new picks are of.
    tomogram : str
        Name of the one in view; empty before the first.

    Parameters
    ----------
    load
        Takes the particles of a job.
    log
        Is told every event.
    events
        What was told to the log of a session that ended before it was saved; it goes on from there.
    """

    changed = Signal()
    """Picks, types or the tomogram in view are others than before."""

    selected = Signal()
    """Other picks are selected."""

    def __init__(self, load: Load = no_jobs, log: Log = forget, events: Iterable[Event] = ()) -> None:
        self.active_type = 0
        self.tomogram = ""
        self._load = load
        self._log = log
        self._state = State()
        self._selection: Rows = np.zeros(0, np.int64)
        self._thresholds: dict[int, float] = {}
        for event in events:
            self._state.take(event, load)

    @property
    def types(self) -> list[ParticleType]:
        """All types; one that was taken off the list stays in its place, not present."""
        return self._state.types

    @property
    def picks(self) -> Picks:
        """Picks of the tomogram in view."""
        return self._state.picks[self.tomogram]

    @property
    def tomograms(self) -> tuple[str, ...]:
        """Tomograms that were opened."""
        return tuple(self._state.picks)

    @property
    def can_undo(self) -> bool:
        """Whether something was done."""
        return bool(self._state.history.done)

    @property
    def can_redo(self) -> bool:
        """Whether something was taken back."""
        return bool(self._state.history.undone)

    @property
    def last_tomogram(self) -> str:
        """Where the last change was made; empty where there is none."""
        done = self._state.history.done
        return done[-1].tomogram if done else ""

    @property
    def last_note(self) -> str:
        """What was done last and not taken back."""
        done = self._state.history.done
        return done[-1].note if done else ""

    @property
    def selection(self) -> Rows:
        """Selected rows of the tomogram in view; those that are gone meanwhile are left out."""
        return self._selection[self.picks[IS_THERE][self._selection]] if self.tomogram else self._selection

    def select(self, rows: ArrayLike) -> None:
        """Select other picks."""
        self._selection = np.unique(np.asarray(rows, np.int64))
        self.selected.emit()

    def shown(self) -> Rows:
        """Return the picks in view: there, of a visible type, and with no score below its threshold."""
        picks = self.picks
        visible = np.array([one.is_visible for one in self.types])
        lowest = np.array([self.threshold(index) for index in range(len(self.types))])
        types = picks[TYPE]
        # A pick made by hand has no score (NaN) and is not below anything.
        return np.flatnonzero(picks[IS_THERE] & visible[types] & ~(picks[SCORE] < lowest[types]))

    def threshold(self, index: int) -> float:
        """Return the score below which picks of a type are hidden; minus infinity when none are."""
        return self._thresholds.get(index, -np.inf)

    def set_threshold(self, index: int, score: float) -> None:
        """Hide picks of a type that score less; nothing is deleted."""
        self._thresholds[index] = score
        self.changed.emit()

    def below_threshold(self, index: int) -> Rows:
        """Return the picks of a type that its threshold hides."""
        picks = self.picks
        return np.flatnonzero(picks[IS_THERE] & (picks[TYPE] == index) & (picks[SCORE] < self.threshold(index)))

    def counts(self) -> NDArray[np.int64]:
        """Return the number of picks of each type in the tomogram in view."""
        return np.bincount(self.picks[TYPE][self.picks[IS_THERE]], minlength=len(self.types))

    def open(self, tomogram: str, job: int = 0, *, is_asked_for: bool = False) -> None:
        """Bring a tomogram into view; the first time, with the picks a job left of it (0: none).

        Where a newer job has picks of a tomogram whose own are as they were saved, or where just this job is
        asked for, those are taken instead, as a change like any other.
        """
        if tomogram not in self._state.picks:
            self.prepare(tomogram, job)
        elif (is_asked_for and job != self.job_of(tomogram)) or (
            job > self.job_of(tomogram) and not self.is_dirty(tomogram)
        ):
            self._take_picks_of(tomogram, job)
        self._look_at(tomogram)
        self.changed.emit()

    def prepare(self, tomogram: str, job: int) -> None:
        """Have the picks of a tomogram at hand, the first time those a job left of it (0: none); the view stays."""
        if tomogram not in self._state.picks:
            self._tell({"load": {"tomogram": tomogram, "job": job}} if job else {"begin": tomogram})

    def job_of(self, tomogram: str) -> int:
        """Return the job whose picks were opened or saved last; 0 before the first."""
        return self._state.jobs[tomogram]

    def is_dirty(self, tomogram: str) -> bool:
        """Tell whether picks of a tomogram differ from those last opened or saved."""
        return self._state.history.of(tomogram) != self._state.saved[tomogram]

    def unsaved(self) -> tuple[str, ...]:
        """Name the tomograms with changes that are not saved as a job."""
        return tuple(name for name in self.tomograms if self.is_dirty(name))

    def notes(self, tomogram: str) -> list[str]:
        """Tell what was done to a tomogram since it was opened or saved, a sentence each."""
        standing, saved = (
            dict.fromkeys(ones) for ones in (self._state.history.of(tomogram), self._state.saved[tomogram])
        )
        back = [f"Took back: {change.note}" for change in saved if change not in standing]
        return back + [change.note for change in standing if change not in saved]

    def particle_set(self, tomogram: str) -> ParticleSet:
        """Return the picks of a tomogram as a noun; what its types are stands in its quality."""
        picks = self._state.picks[tomogram]
        names = np.array([one.name for one in self.types], np.str_)
        rows = picks.there()
        counts = np.bincount(picks[TYPE][rows], minlength=len(names))
        used = np.flatnonzero(counts)
        quality = {
            "picks": {str(names[index]): int(counts[index]) for index in used},
            TYPES_KEY: [self.types[index].to_dict() for index in used],
        }
        return picks.to_set(rows, tomogram, names).replace(quality=quality)

    def begin_saving(self, tomogram: str) -> ParticleSet:
        """Return the picks of a tomogram to be saved; what is changed from now on is not among them."""
        self._tell({"saving": tomogram})
        return self.particle_set(tomogram)

    def note_saved(self, tomogram: str, job: int) -> None:
        """Note that the picks of a tomogram, as they were when saving began, are now those of a job."""
        self._tell({"saved": {"tomogram": tomogram, "job": job}})
        self.changed.emit()

    def heading(self) -> Event:
        """Return the event a log begins with: the types there are."""
        return {"types": [one.to_dict() for one in self.types]}

    def add(self, centers_ang_zyx: ArrayLike, index: int | None = None) -> Rows:
        """Add picks, of the active type unless another is named.

        Returns
        -------
        int64[k]
            Their rows; they are selected.
        """
        centers = np.asarray(centers_ang_zyx, np.float64).reshape(-1, 3)
        of_type = self.active_type if index is None else index
        rows = self._tell({"append": {"tomogram": self.tomogram, CENTERS: centers, TYPE: of_type}})
        self._do(f"Added {self._told(rows)}.", IS_THERE, rows, np.array(False), np.array(True))
        self.select(rows)
        return rows

    def take(self, particles: ParticleSet, tomogram: str, source: str) -> Rows:
        """Add particles of elsewhere, with all their columns, to a tomogram that was opened or prepared.

        Where a pick has one of their ids already they are numbered afresh, and the feature ``id_before`` keeps
        what they were.

        Returns
        -------
        int64[k]
            Their rows; they are selected where the tomogram is in view.
        """
        there = self._state.picks[tomogram]
        is_taken = bool(np.isin(particles.ids, there[ID][there.there()]).any())
        if is_taken:
            particles = particles.replace(features={**particles.features, "id_before": particles.ids})
        rows = self._tell({"take": told_of(particles, tomogram)})
        note = f"Took {counted(len(rows))} from {source}{', numbered afresh' if is_taken else ''}."
        self._do(note, IS_THERE, rows, np.array(False), np.array(True), tomogram=tomogram)
        if tomogram == self.tomogram:
            self.select(rows)
        return rows

    def delete(self, rows: Rows) -> None:
        """Delete picks."""
        if len(rows):
            self._do(f"Deleted {self._told(rows)}.", IS_THERE, rows, np.array(True), np.array(False))
            self.select(np.setdiff1d(self._selection, rows))

    def move(self, rows: Rows, centers_ang_zyx: ArrayLike, verb: str = "Moved") -> None:
        """Put picks elsewhere, float64[k, 3]."""
        before = self.picks[CENTERS][rows].copy()
        after = np.asarray(centers_ang_zyx, np.float64).reshape(-1, 3)
        if len(rows) and not np.array_equal(before, after):
            far_ang = float(np.linalg.norm(after - before, axis=1).mean())
            how = f"to {_place(after[0])}" if len(rows) == 1 else f"by {far_ang:.1f} Å on average"
            self._do(f"{verb} {self._told(rows)} {how}.", CENTERS, rows, before, after)

    def retype(self, rows: Rows, index: int) -> None:
        """Make picks be of another type."""
        rows = rows[self.picks[TYPE][rows] != index]
        if len(rows):
            note = f"Gave {self._told(rows)} the type {self.types[index].name}."
            self._do(note, TYPE, rows, self.picks[TYPE][rows].copy(), np.array(index))

    def turn(self, rows: Rows, quaternions_xyzw: ArrayLike) -> None:
        """Give picks other orientations, float64[k, 4], of any length but zero."""
        before = self.picks[QUATERNIONS][rows].copy()
        after = np.asarray(quaternions_xyzw, np.float64).reshape(-1, 4)
        after = after / np.linalg.norm(after, axis=1, keepdims=True)
        if len(rows) and not np.array_equal(before, after):
            turns = Rotation.from_quat(after) * Rotation.from_quat(before).inv()
            turned_deg = float(np.rad2deg(turns.magnitude()).mean())
            self._do(f"Turned {self._told(rows)} by {turned_deg:.1f}°.", QUATERNIONS, rows, before, after)

    def add_type(self) -> int:
        """Add a type like the last one, under another name and colour, and make it the active one."""
        present = [one for one in self.types if one.is_present]
        taken = {one.name for one in present}
        name = next(name for n in range(1, len(taken) + 2) if (name := f"type {n}") not in taken)
        wanted = unlike(replace(present[-1], name=name, colour=COLOURS[0], is_visible=True), present)
        index = len(self.types)
        self._do(f"Added the type {name}.", TYPES, np.array([index]), None, (wanted.to_dict(),))
        self.active_type = index
        return index

    def change_type(self, index: int, **values: Any) -> None:
        """Give a type another name, colour, size, symmetry or visibility.

        Raises
        ------
        ParamError
            A value it may not have.
        """
        before = self.types[index]
        after = replace(before, **values)
        if any(one.is_present and one.name == after.name and at != index for at, one in enumerate(self.types)):
            raise ParamError(f"There is a type called {after.name} already; choose another name.")
        if after != before:
            said = ", ".join(f"{name} {value}" for name, value in values.items())
            note = f"Changed {before.name}: {said}."
            self._do(note, TYPES, np.array([index]), (before.to_dict(),), (after.to_dict(),))

    def remove_type(self, index: int) -> None:
        """Take a type off the list.

        Raises
        ------
        ParamError
            It has picks, or is the last one.
        """
        name = self.types[index].name
        n_picks = sum(int((picks[TYPE][picks.there()] == index).sum()) for picks in self._state.picks.values())
        if n_picks:
            raise ParamError(f"{name} cannot be removed while it has {counted(n_picks)}; delete or re-type them first.")
        others = [at for at, one in enumerate(self.types) if one.is_present and at != index]
        if not others:
            raise ParamError(f"{name} is the only type; add another before you remove it.")
        self.active_type = others[0] if self.active_type == index else self.active_type
        self.change_type(index, is_present=False)

    def undo(self) -> None:
        """Take the last change back and look where it was."""
        if self.can_undo:
            self._tell({"undo": 1})
            self._follow(self._state.history.undone[-1])

    def redo(self) -> None:
        """Make the change again that was taken back last, and look where it is."""
        if self.can_redo:
            self._tell({"redo": 1})
            self._follow(self._state.history.done[-1])

    def _follow(self, change: Change) -> None:
        if change.column != TYPES and change.tomogram != self.tomogram:
            self._look_at(change.tomogram)
        if not self.types[self.active_type].is_present:
            self.active_type = next(at for at, one in enumerate(self.types) if one.is_present)
        self.changed.emit()

    def _look_at(self, tomogram: str) -> None:
        self.tomogram = tomogram
        self.select([])

    def _do(self, note: str, column: str, rows: Rows, before: Any, after: Any, tomogram: str = "") -> None:
        self._tell({"do": Change(tomogram or self.tomogram, note, column, rows, before, after)})
        self.changed.emit()

    def _tell(self, event: Event) -> Rows:
        """Let an event happen, once it is safe."""
        self._log(event)
        rows = self._state.take(event, self._load)
        return np.zeros(0, np.int64) if rows is None else rows

    def _take_picks_of(self, tomogram: str, job: int) -> None:
        """Take the picks of a job in place of those there are; if those were not saved, nor is the change."""
        was_saved = not self.is_dirty(tomogram)
        self.tomogram = tomogram
        there = self.picks.there()
        rows = self._tell({"load": {"tomogram": tomogram, "job": job}})
        both = np.concatenate([there, rows])
        is_new = np.arange(len(both)) >= len(there)
        self._do(f"Took the {len(rows)} picks of job {job}.", IS_THERE, both, ~is_new, is_new)
        if was_saved:
            self._tell({"saving": tomogram})
            self.note_saved(tomogram, job)

    def _told(self, rows: Rows) -> str:
        """Say which picks: ``1 pick of gold at x 10.0 Å, y 3.0 Å, z 1.0 Å``, ``3 picks``."""
        types = np.unique(self.picks[TYPE][rows])
        of = f" of {self.types[types[0]].name}" if len(types) == 1 else ""
        if len(rows) == 1:
            return f"{counted(1)}{of} at {_place(self.picks[CENTERS][rows[0]])}"
        return f"{counted(len(rows))}{of}"


def turned(quaternions_xyzw: ArrayLike, axis_xyz: ArrayLike, angle_deg: float, *, own: bool) -> NDArray[np.float64]:
    """Turn orientations, float64[k, 4], about an axis: of each particle's own frame, or of the tomogram's."""
    before = Rotation.from_quat(np.asarray(quaternions_xyzw, np.float64).reshape(-1, 4))
    axis = np.asarray(axis_xyz, np.float64)
    turn = Rotation.from_rotvec(np.deg2rad(angle_deg) * axis / np.linalg.norm(axis))
    return np.asarray((before * turn if own else turn * before).as_quat(canonical=True))


def counted(n_picks: int) -> str:
    """Say how many picks."""
    return f"{n_picks} pick{'s' if n_picks != 1 else ''}"


def _place(center_ang_zyx: NDArray[np.float64]) -> str:
    z, y, x = center_ang_zyx
    return f"x {x:.1f} Å, y {y:.1f} Å, z {z:.1f} Å"
