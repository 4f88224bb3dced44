"""What a person does to an alignment: every change a step that can be taken back, told in words and numbers.

It knows neither viewer nor files. Legend: N tilts, M measurements.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment import mend
from napari_tomoflow.core.model import Alignment, Landmarks, Noun, TiltSeries
from napari_tomoflow.gui.history import History
from napari_tomoflow.gui.left_out import with_reasons, with_tilt_toggled

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class State:
    """How things stand after some changes.

    Attributes
    ----------
    alignment : Alignment
        As last solved, with the landmarks and the tilts in use as they now are.
    excluded_because : tuple of str
        For the series.
    is_solved : bool
        Whether the geometry follows from these landmarks and tilts.
    """

    alignment: Alignment
    excluded_because: tuple[str, ...]
    is_solved: bool = True


class Session(History[State]):
    """Work on the alignment of one series.

    Attributes
    ----------
    series : TiltSeries
    opened : Alignment
        As it was in the beginning; every new solution starts from it.
    order : int64[N]
        Index in the stack of each tilt, by rising angle.
    rank : int64[N]
        Place in that order of each image of the stack.
    """

    def __init__(self, series: TiltSeries, alignment: Alignment) -> None:
        super().__init__(State(alignment, series.excluded_because))
        self.series = series
        self.opened = alignment
        self.order = np.argsort(alignment.tilt_deg, kind="stable")
        self.rank = np.argsort(self.order)

    @property
    def alignment(self) -> Alignment:
        """The alignment as it now is."""
        return self.now.alignment

    @property
    def landmarks(self) -> Landmarks | None:
        """The landmarks as they now are."""
        return self.alignment.landmarks

    @property
    def needs_solving(self) -> bool:
        """Whether the geometry is that of other landmarks than there now are."""
        return not self.now.is_solved and self.landmarks is not None and len(self.landmarks.tilt) > 0

    def toggle_tilt(self, tilt: int) -> None:
        """Leave a tilt out, or take it in again."""
        kept = np.array(self.alignment.kept)
        reasons = with_tilt_toggled(self.now.excluded_because, tilt, is_kept=bool(kept[tilt]))
        kept[tilt] = not kept[tilt]
        verb = "Took in" if kept[tilt] else "Left out"
        self.do(
            f"{verb} tilt {tilt} ({self.alignment.tilt_deg[tilt]:+.1f}°).",
            State(self.alignment.replace(kept=kept), reasons, is_solved=False),
        )

    def delete_point(self, point: int) -> None:
        """Delete a landmark."""
        self._do_landmarks(f"Deleted landmark {point}.", mend.without_point(self._some, point))

    def delete_measurements(self, which: NDArray[np.int64]) -> None:
        """Delete some measurements."""
        landmarks = self._some
        sentences = [self._place(one) for one in which]
        keep = ~np.isin(np.arange(len(landmarks.tilt)), which)
        self._do_landmarks(f"Deleted {'; '.join(sentences)}.", landmarks.subset(keep))

    def move(self, which: NDArray[np.int64], positions_ang_yx: Floats) -> None:
        """Move some measurements within their tilts."""
        landmarks, sentences = self._some, []
        for one, position in zip(which, positions_ang_yx, strict=True):
            sentences.append(f"{self._place(one)} to y = {position[0]:.1f} Å, x = {position[1]:.1f} Å")
            landmarks = mend.with_measurement_moved(landmarks, int(one), position)
        self._do_landmarks(f"Moved {'; '.join(sentences)}.", landmarks)

    def take_landmark(self, landmarks: Landmarks) -> None:
        """Take the landmarks with a new one, followed from where a person pointed."""
        point = landmarks.n_points - 1
        z, y, x = landmarks.points_ang_zyx[point]
        seen = int((landmarks.point == point).sum())
        sentence = f"Added landmark {point} at z = {z:.1f} Å, y = {y:.1f} Å, x = {x:.1f} Å, seen in {seen} tilts."
        self._do_landmarks(sentence, landmarks)

    def take_solution(self, alignment: Alignment) -> None:
        """Take the alignment solved from what there now is."""
        residual_nm = alignment.quality["residual_nm"]["mean"]
        self.do(
            f"Solved again: residual {residual_nm:.3g} nm.",
            replace(self.now, alignment=alignment, is_solved=True),
        )

    def changed(self) -> tuple[Noun, ...]:
        """Return the nouns that differ from what was opened, fit to be saved."""
        nouns: list[Noun] = []
        if self.now.excluded_because != self.series.excluded_because:
            nouns.append(with_reasons(self.series, self.now.excluded_because))
        if self.notes:
            nouns.append(self.alignment)
        return tuple(nouns)

    def residuals_ang(self) -> Floats:
        """Return measured minus predicted of every measurement, float64[M, 2]; NaN for dropped landmarks."""
        return self.alignment.landmark_residuals()

    def tilt_residuals_ang(self) -> Floats:
        """Return the residual of every tilt, float64[N]: of its believed landmarks, else as the alignment says."""
        found = np.array(self.alignment.residual_ang)
        if self.landmarks is None:
            return found
        squares = np.where(self.landmarks.believed, (self.residuals_ang() ** 2).sum(axis=1), np.nan)
        for tilt in np.unique(self.landmarks.tilt[self.landmarks.believed]):
            found[tilt] = np.sqrt(np.nanmean(squares[self.landmarks.tilt == tilt]))
        return found

    def largest_residuals(self) -> NDArray[np.int64]:
        """Return the measurements in tilts in use, the worst first."""
        if self.landmarks is None:
            return np.zeros(0, np.int64)
        length = np.linalg.norm(self.residuals_ang(), axis=1)
        length = np.where(self.alignment.kept[self.landmarks.tilt], length, np.nan)
        order = np.argsort(-np.nan_to_num(length, nan=-1.0), kind="stable")
        return order[np.isfinite(length[order])]

    @property
    def _some(self) -> Landmarks:
        if self.landmarks is None:
            raise ValueError("there are no landmarks to change")
        return self.landmarks

    def _place(self, measurement: int) -> str:
        landmarks = self._some
        return f"landmark {landmarks.point[measurement]} in tilt {landmarks.tilt[measurement]}"

    def _do_landmarks(self, note: str, landmarks: Landmarks) -> None:
        self.do(note, replace(self.now, alignment=self.alignment.replace(landmarks=landmarks), is_solved=False))
