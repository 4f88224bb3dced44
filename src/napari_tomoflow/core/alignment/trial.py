"""Whether an alignment by landmarks is better than one by images alone, and which of two by landmarks is better.

What is compared is the error that each expects of itself over the volume of the specimen, raised where the
distance between two alignments shows that it was taken for too small.
"""

from typing import NamedTuple

import numpy as np

from napari_tomoflow.core.alignment.course import Course
from napari_tomoflow.core.alignment.expected import difference_ang, expected_error_ang, spreads_by_images
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.landmarks import BELIEVED
from napari_tomoflow.core.model.tilt_series import TiltSeries

TOO_FEW = "not enough that can be followed"

_THICKNESS_OF_FIELD = 0.3
"""Thickness assumed where the specimen was not seen, as a fraction of the field."""

_PLENTY = 30
"""With so many features, patches are not followed as well."""

_CONTRADICTION = 1.5
"""Where few features and patches are apart by so many times what they expect, most features are taken for false:
a feature counts by heights that noise reaches, a patch does not."""

_CONFIRMING = 3
"""Fewer landmarks than this do not confirm where a tilt lies: chance finds one or two anywhere."""


class Candidate(NamedTuple):
    """An alignment by one kind of landmarks and the error expected of it."""

    name: str
    found: Tracked
    error_ang: float


def is_few(found: Tracked) -> bool:
    """Tell whether features are so few that patches are to be followed as well."""
    return found.kind == "feature" and found.bundle.n_points_used < _PLENTY


class Trial:
    """What the kinds of landmarks have to say for themselves, against images alone and against each other."""

    def __init__(self, start: Alignment, axis_error_deg: float, size_ang_zyx: tuple[float, float, float]) -> None:
        self._start, self._axis_error_deg, self._size_ang_zyx = start, axis_error_deg, size_ang_zyx
        self._candidates: list[Candidate] = []
        self._declined: dict[str, str] = {}
        self.without_ang = expected_error_ang(start, spreads_by_images(start, axis_error_deg), size_ang_zyx)

    @classmethod
    def of(cls, series: TiltSeries, start: Alignment, course: Course) -> "Trial":
        """Judge over the volume of the specimen, as far as it is known."""
        field_ang_yx = tuple(n * series.pixel_ang for n in series.shape_yx)
        thickness_ang = course.slab.thickness_ang if course.slab.seen else _THICKNESS_OF_FIELD * min(field_ang_yx)
        return cls(start, course.axis_error_deg, (thickness_ang, field_ang_yx[0], field_ang_yx[1]))

    def hear(self, name: str, found: Tracked | None) -> None:
        """Take in what following one kind of landmarks led to."""
        if found is None:
            self._declined[name] = TOO_FEW
            return
        error_ang = _error_with(found, self._start, self._axis_error_deg, self._size_ang_zyx)
        # Two alignments that differ by more than the error of one show the error of the other.
        shown_ang = difference_ang(self._start, found.alignment, self._size_ang_zyx)
        self.without_ang = max(self.without_ang, float(np.sqrt(max(shown_ang**2 - error_ang**2, 0.0))))
        if error_ang < self.without_ang:
            self._candidates.append(Candidate(name, found, error_ang))
        else:
            self._decline(name, error_ang, f"without them {self.without_ang:.1f} Å")

    @property
    def has_enough(self) -> bool:
        """Whether there is no need to follow another kind."""
        return not all(is_few(one.found) for one in self._candidates)

    def verdict(self) -> tuple[Candidate | None, dict[str, str]]:
        """Return the best alignment by landmarks, if any, and why each other kind is not used."""
        if not self._candidates:
            return None, self._declined
        best, *others = self._ranked()
        for other in others:
            if other.error_ang < best.error_ang:
                self._declined[other.name] = f"{best.name} contradict them, and of so few most may be false"
            else:
                self._decline(other.name, other.error_ang, f"with {best.name} {best.error_ang:.1f} Å")
        return best, self._declined

    def _ranked(self) -> list[Candidate]:
        """Put the better alignment first, and raise the errors of both until they explain how far they are apart."""
        if len(self._candidates) == 1:
            return self._candidates
        few, patches = self._candidates
        apart_ang = difference_ang(few.found.alignment, patches.found.alignment, self._size_ang_zyx)
        factor = max(1.0, apart_ang / float(np.hypot(few.error_ang, patches.error_ang)))
        ranked = [patches, few] if factor > _CONTRADICTION else sorted((few, patches), key=lambda one: one.error_ang)
        return [one._replace(error_ang=factor * one.error_ang) for one in ranked]

    def _decline(self, name: str, error_ang: float, otherwise: str) -> None:
        self._declined[name] = f"the error expected with them is {error_ang:.1f} Å, {otherwise}"


def _error_with(
    found: Tracked, start: Alignment, axis_error_deg: float, size_ang_zyx: tuple[float, float, float]
) -> float:
    """Return the error expected of an alignment by landmarks, Å: what chance makes of it, and the way still to go.

    One solution takes the errors of all observations for independent; those of one landmark in neighbouring
    tilts are not, and show in how far two halves of the landmarks disagree. Half of that is the error of
    the mean. A step that was hidden by half is followed by as much again. Tilts that hardly any landmark
    was seen in hold to their neighbours by their images alone, as they did at the `start`.
    """
    seen = found.observations.tilt[found.bundle.weight >= BELIEVED]
    confirmed = np.bincount(seen, minlength=start.n_tilts) >= _CONFIRMING
    by_landmarks = np.where(confirmed[:, None, None], found.bundle.spreads, 0.0)
    spreads = np.concatenate([by_landmarks, spreads_by_images(start, axis_error_deg, confirmed)], axis=2)
    chance_ang = expected_error_ang(found.alignment, spreads, size_ang_zyx)
    if found.halves is not None:
        chance_ang = max(chance_ang, 0.5 * difference_ang(*found.halves, size_ang_zyx))
    bias_ang = 0.0 if found.before is None else difference_ang(found.before, found.alignment, size_ang_zyx)
    return float(np.hypot(chance_ang, bias_ang))
