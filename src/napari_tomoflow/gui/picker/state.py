"""Picks, types and history of many tomograms, as the events that were told make them.

What happens while a person works and what is told again after a crash go through the same function, so both end
in the same state. It knows neither viewer nor files.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui.picker.changes import TYPES, Change, History
from napari_tomoflow.gui.picker.particle_types import ParticleType, types_of, unlike
from napari_tomoflow.gui.picker.picks import CENTERS, IS_THERE, TYPE, Picks, Rows
from napari_tomoflow.gui.picker.told_particles import particles_told

Load = Callable[[str, int], ParticleSet]
"""``load(tomogram, job)``: the particles a job left of a tomogram."""

Event = Mapping[str, Any]
"""One entry: what happened → what is to be known of it, fit for JSON but for arrays and changes."""

_TO_BEGIN_WITH = ParticleType("particle")


class State:
    """How things stand.

    Attributes
    ----------
    types : list of ParticleType
        One that was taken off the list stays in its place, not present.
    picks : dict of str to Picks
        By tomogram.
    jobs : dict of str to int
        The job whose picks were opened or saved last; 0 before the first.
    saved, saving : dict of str to tuple of Change
        The changes that stood when they were, or when saving began that has not ended.
    history : History
    """

    def __init__(self) -> None:
        self.types: list[ParticleType] = [_TO_BEGIN_WITH]
        self.picks: dict[str, Picks] = {}
        self.jobs: dict[str, int] = {}
        self.saved: dict[str, tuple[Change, ...]] = {}
        self.saving: dict[str, tuple[Change, ...]] = {}
        self.history = History()

    def take(self, event: Event, load: Load) -> Rows | None:
        """Let an event happen; return the rows it made, if it made some."""
        ((what, told),) = event.items()
        if what == "types":
            self.types = [ParticleType.from_dict(values) for values in told]
        elif what == "begin":
            self.picks[told], self.saved[told], self.jobs[told] = Picks(), (), 0
        elif what == "load":
            return self._load(told["tomogram"], load(told["tomogram"], told["job"]), told["job"])
        elif what == "take":
            return self._append(told["tomogram"], particles_told(told))
        elif what == "append":
            centers = np.asarray(told[CENTERS], np.float64).reshape(-1, 3)
            return self.picks[told["tomogram"]].append(len(centers), **{CENTERS: centers, TYPE: told[TYPE]})
        elif what == "saving":
            self.saving[told] = self.history.of(told)
        elif what == "saved":
            self.saved[told["tomogram"]] = self.saving.pop(told["tomogram"])
            self.jobs[told["tomogram"]] = told["job"]
        else:
            self._change(what, told)
        return None

    def _change(self, what: str, told: Any) -> None:
        if what == "do":
            change = told if isinstance(told, Change) else Change.from_dict(told)
            self.history.do(change)
            self._apply(change, change.after)
        elif what == "undo":
            change = self.history.undo()
            self._apply(change, change.before)
        elif what == "redo":
            change = self.history.redo()
            self._apply(change, change.after)

    def _apply(self, change: Change, values: Any) -> None:
        if change.column != TYPES:
            self.picks[change.tomogram][change.column][change.rows] = values
            return
        index = int(change.rows[0])
        if index == len(self.types):
            self.types.append(ParticleType.from_dict(values[0]))
        elif values is None:
            self.types[index] = replace(self.types[index], is_present=False)
        else:
            self.types[index] = ParticleType.from_dict(values[0])

    def _load(self, tomogram: str, particles: ParticleSet, job: int) -> Rows:
        """Append the particles of a job; they are there at once where it is the first of a tomogram."""
        is_first = tomogram not in self.picks
        rows = self._append(tomogram, particles)
        if is_first:
            self.picks[tomogram][IS_THERE][rows] = True
            self.saved[tomogram] = ()
        self.jobs[tomogram] = job
        return rows

    def _append(self, tomogram: str, particles: ParticleSet) -> Rows:
        """Append particles that are not there yet, and types as far as there is none of their name."""
        nothing_yet = self.types == [_TO_BEGIN_WITH] and not any(len(picks) for picks in self.picks.values())
        if len(particles) and nothing_yet:
            self.types = []
        theirs, which = types_of(particles)
        index_of = {one.name: index for index, one in enumerate(self.types) if one.is_present}
        for one in theirs:
            if one.name not in index_of:
                index_of[one.name] = len(self.types)
                self.types.append(unlike(one, self.types))
        types = np.array([index_of[one.name] for one in theirs], np.int64)[which]
        return self.picks.setdefault(tomogram, Picks()).append_set(particles, types)
