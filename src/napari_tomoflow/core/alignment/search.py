"""The first placement: which way the axis lies and where each image lies, from nothing or from a nominal axis."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.axis import find_axis
from napari_tomoflow.core.alignment.coarse import align_outward
from napari_tomoflow.core.alignment.prepare import Band, WorkStack
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.report import Report, part, watched

BLIND_DIRECTIONS_DEG = tuple(float(angle) for angle in range(-75, 91, 15))
"""Directions tried when nobody said: outward matching still works 30° beside the true axis."""

_AXIS_ROUNDS = 2

_SEED = 1


class Placement(NamedTuple):
    """A coarse alignment.

    Attributes
    ----------
    alignment : Alignment
    height : float64[K]
        Peak over noise of each tilt's correlation; infinite for the tilt the others hang on.
    """

    alignment: Alignment
    height: NDArray[np.float64]

    @property
    def axis_deg(self) -> float:
        """The axis, common to all tilts."""
        return float(self.alignment.axis_deg[0])

    def turned_to(self, axis_deg: float) -> "Placement":
        """Name the same axis by another half-turn: it mirrors the specimen, shifts stay."""
        return self._replace(alignment=self.alignment.replace(axis_deg=np.full(len(self.height), axis_deg)))

    @property
    def mean_height(self) -> float:
        """Mean over the tilts that were matched."""
        return float(self.height[np.isfinite(self.height)].mean())


class Search:
    """Coarse alignment of one filtered stack at one band, assumed thickness and largest step."""

    def __init__(self, stack: WorkStack, band: Band, thickness_ang: float, max_shift: float) -> None:
        self.stack = stack
        self.band = band
        self.thickness_ang = thickness_ang
        self.max_shift = max_shift

    def place(self, axis_deg: float, report: Report, stack: WorkStack | None = None) -> Placement:
        """Align outward with a given axis."""
        stack = stack or self.stack
        start = Alignment(tilt_deg=stack.tilt_deg, axis_deg=np.full(len(stack), axis_deg))
        return Placement(*align_outward(stack, start, self.band, self.thickness_ang, self.max_shift, report))

    def best_of(self, directions_deg: Sequence[float], report: Report) -> tuple[float, dict[float, float]]:
        """Align outward with each of some axes: (the axis that fits best, mean height of each)."""
        heights = {}
        for index, axis_deg in enumerate(directions_deg):
            heights[axis_deg] = self.place(axis_deg, part(report, index, len(directions_deg))).mean_height
        return max(heights, key=lambda axis_deg: heights[axis_deg]), heights

    def refine(self, axis_deg: float, range_deg: float, report: Report) -> Placement:
        """Find the axis by common lines and the shifts outward, in turns."""
        low, high = axis_deg - range_deg, axis_deg + range_deg
        placed = self.place(axis_deg, part(report, 0, _AXIS_ROUNDS + 1))
        for index in range(_AXIS_ROUNDS):
            found, _ = find_axis(self.stack, placed.alignment, axis_deg, range_deg, self.band)
            placed = self.place(float(np.clip(found, low, high)), part(report, index + 1, _AXIS_ROUNDS + 1))
        return placed

    def place_noise(self, axis_deg: float, report: Report) -> Placement:
        """Align images of the same spectra that have nothing in common: what chance alone achieves."""
        rng = np.random.default_rng(_SEED)
        images = np.empty_like(self.stack.images)
        for i in watched(range(len(images)), part(report, 0, 2), "Measuring chance"):
            images[i] = _phases_randomised(self.stack.images[i], rng)
        return self.place(axis_deg, part(report, 1, 2), replace(self.stack, images=images))


def _phases_randomised(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Keep the amplitudes of an image and take the phases of white noise."""
    noise_rft = scipy.fft.rfft2(rng.standard_normal(image.shape, np.float32))
    phases = noise_rft / np.maximum(np.abs(noise_rft), np.finfo(np.float32).tiny)
    amplitudes = np.abs(scipy.fft.rfft2(image))
    return np.asarray(scipy.fft.irfft2(amplitudes * phases, s=image.shape), np.float32)
