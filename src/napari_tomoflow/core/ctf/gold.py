"""Gold beads in an image: found, filled before its spectra are taken, and kept as radial profiles.

A bead outshines the rings of everything else, and the form of a ball has rings of its own. So spectra are
taken without gold; what its fringes tell is read from the beads themselves.

Legend: B beads, R radii.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, find_objects, gaussian_filter, label, maximum

from napari_tomoflow.core.ops.cleaning import fill_disks
from napari_tomoflow.core.ops.geometry import ang_from_pixels
from napari_tomoflow.core.ops.peaks import noise_sd

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_BLOCK_ANG, _BLUR_ANG, _AROUND_ANG = 20.0, 20.0, 200.0
"""Gold is looked for in blocks of pixels, blurred, against the mean of what is around."""

_DENSE_SD = 10.0
"""Gold stands out by more than this; in simulated series of ribosomes and membranes nothing by more than 8."""

_DIAMETERS_ANG = (40.0, 250.0)
_LONGEST = 1.6
"""A bead is no longer than this many times its width."""

_FRINGES_ANG = 60.0
"""Width of what is filled around a bead: its first fringe at 5 µm."""

_CENTRING_ROUNDS = 3
_STEP_ANG, _REACH_ANG, _SURROUNDINGS_ANG = 5.0, 150.0, 120.0
"""Profiles have steps of this, or of a pixel, and reach so far; beyond the last fringes are faint."""

_MOST_PROFILES = 15
"""Of an image: they tell enough, and cost as much as its spectra."""

_OF_EACH = ("profile", "error", "tilt", "position_ang_yx", "radius_ang")


@dataclass(frozen=True, eq=False)
class Beads:
    """Gold in one image.

    Attributes
    ----------
    position_px_yx : float64[B, 2]
        0-based.
    radius_px : float64[B]
    """

    position_px_yx: Floats
    radius_px: Floats


@dataclass(frozen=True, eq=False)
class BeadProfiles:
    """Radial profiles of beads of a series that no other bead disturbs.

    Attributes
    ----------
    pixel_ang : float
        Of the images they were measured in, binned where pixels are small.
    step_ang : float
        Width of the rings.
    profile : float64[B, R]
        Brightness less that of the surroundings; dense is negative.
    error : float64[B, R]
        Standard errors; infinite where others lie.
    tilt : int64[B]
        Place among the tilts in use.
    position_ang_yx : float64[B, 2]
        From the image centre.
    radius_ang : float64[B]
    """

    pixel_ang: float
    step_ang: float
    profile: Floats
    error: Floats
    tilt: NDArray[np.int64]
    position_ang_yx: Floats
    radius_ang: Floats

    def __len__(self) -> int:
        return len(self.tilt)

    @classmethod
    def of(cls, image_yx: Reals, beads: Beads, pixel_ang: float, tilt: int) -> Self:
        """Measure the profiles of an image's beads."""
        factor = max(1, int(_STEP_ANG / pixel_ang))
        binned_yx, binned_ang = _block_means(image_yx, factor), factor * pixel_ang
        beads = Beads((beads.position_px_yx + 0.5) / factor - 0.5, beads.radius_px / factor)
        step_px = max(_STEP_ANG / binned_ang, 1.0)
        n_rings = int(_REACH_ANG / binned_ang / step_px)
        fringes_px = _FRINGES_ANG / binned_ang
        chosen = _spread_out(_alone(beads, binned_yx.shape, fringes_px))
        places = [_Place(binned_yx, beads, int(i), fringes_px, step_px, n_rings) for i in chosen]
        for _ in range(_CENTRING_ROUNDS):
            found = [one.profile() for one in places]
            profile, error = np.array(found).reshape(len(found), 2, n_rings).transpose(1, 0, 2)
            for one in places:
                one.centre_on(profile.mean(axis=0))
        centres = np.array([one.centre_yx for one in places]).reshape(-1, 2)
        return cls(
            pixel_ang=binned_ang,
            step_ang=step_px * binned_ang,
            profile=profile,
            error=error,
            tilt=np.full(len(chosen), tilt, np.int64),
            position_ang_yx=ang_from_pixels((centres + 0.5) * factor - 0.5, pixel_ang, image_yx.shape),
            radius_ang=beads.radius_px[chosen] * binned_ang,
        )

    def chosen(self, which: NDArray[np.bool_]) -> Self:
        """Keep some of the beads."""
        parts = {name: getattr(self, name)[which] for name in _OF_EACH}
        return replace(self, **parts)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put the beads of several images together."""
        whole = {name: np.concatenate([getattr(one, name) for one in parts]) for name in _OF_EACH}
        return cls(pixel_ang=parts[0].pixel_ang, step_ang=parts[0].step_ang, **whole)


def find_beads(image_yx: Reals, pixel_ang: float) -> Beads:
    """Find small round spots far darker than anything else in an image in which dense is dark."""
    factor = max(1, int(_BLOCK_ANG / pixel_ang))
    block_ang = factor * pixel_ang
    coarse = _block_means(image_yx, factor)
    dense = gaussian_filter(coarse, _AROUND_ANG / block_ang) - gaussian_filter(coarse, _BLUR_ANG / block_ang)
    dense -= np.median(dense)
    spots, height = _spots(dense)
    diameters = np.sqrt(4 / np.pi * np.bincount(spots.ravel(), minlength=len(height) + 1)[1:])
    lengths = np.array([max(part.stop - part.start for part in box) for box in find_objects(spots)])
    low, high = np.array(_DIAMETERS_ANG) / block_ang
    is_bead = (height > _DENSE_SD) & (diameters >= low) & (diameters <= high) & (lengths <= _LONGEST * diameters + 1)
    kept = np.flatnonzero(is_bead)
    rough = np.array(center_of_mass(dense, spots, kept + 1)).reshape(-1, 2)
    radius_px = 0.5 * factor * diameters[kept]
    centres = [
        _centre(image_yx, at, radius) for at, radius in zip((rough + 0.5) * factor - 0.5, radius_px, strict=True)
    ]
    return Beads(np.array(centres, np.float64).reshape(-1, 2), radius_px)


def without_beads(image_yx: Reals, beads: Beads, pixel_ang: float) -> Reals:
    """Fill beads and their fringes with the plane of what surrounds each: noise would only hide rings."""
    if not len(beads.radius_px):
        return image_yx
    return fill_disks(image_yx, beads.position_px_yx, float(beads.radius_px.max()) + _FRINGES_ANG / pixel_ang, None)


def _spots(dense_yx: Reals) -> tuple[NDArray[np.signedinteger], Floats]:
    """Mark the spots half as dense as gold by their numbers, and return the height of each over the noise."""
    over_noise = dense_yx / max(noise_sd(dense_yx), 1e-30)
    strong, n_strong = label(over_noise > _DENSE_SD)
    usual = float(np.median(maximum(over_noise, strong, np.arange(1, n_strong + 1)))) if n_strong else np.inf
    spots, n_spots = label(over_noise > 0.5 * usual)
    height: Floats = np.array(maximum(over_noise, spots, np.arange(1, n_spots + 1)), np.float64).reshape(-1)
    return spots, height


def _block_means(image_yx: Reals, factor: int) -> Reals:
    ny, nx = (n // factor for n in image_yx.shape)
    blocks = image_yx[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return np.asarray(blocks.mean(axis=1).mean(axis=-1), np.float32)  # twice as fast as both at once


def _centre(image_yx: Reals, near_yx: Floats, radius_px: float) -> Floats:
    """Find the centre of mass of what is darker than the edge of a window that follows it."""
    at = np.array(near_yx, np.float64)
    for _ in range(_CENTRING_ROUNDS):
        low, window = _window(image_yx, at, 1.5 * radius_px)
        y, x = np.ogrid[: window.shape[0], : window.shape[1]]
        distance = np.hypot(y + low[0] - at[0], x + low[1] - at[1])
        inside = distance <= 1.2 * radius_px
        if inside.all():
            break
        depth = np.where(inside, np.median(window[~inside]) - window, 0.0)
        if depth.sum() <= 0:
            break
        at = np.array(center_of_mass(depth), np.float64) + low
    return at


def _alone(beads: Beads, shape_yx: tuple[int, ...], fringes_px: float) -> NDArray[np.int64]:
    """Choose the beads that lie in the image and outside the fringes of others."""
    position, radius = beads.position_px_yx, beads.radius_px
    margin = (radius + fringes_px)[:, None]
    inside = ((position >= margin) & (position <= np.array(shape_yx) - 1 - margin)).all(axis=1)
    apart = np.hypot(*(position[:, None] - position).transpose(2, 0, 1)) + np.diag(np.full(len(position), np.inf))
    return np.flatnonzero(inside & (apart > radius[:, None] + radius + fringes_px).all(axis=1))


def _spread_out(chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep some that are evenly spread over the image, whose beads are numbered from one side to the other."""
    kept = np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_PROFILES))
    return chosen[np.rint(kept).astype(np.int64)]


class _Place:
    """The surroundings of one bead, other beads and their fringes left out."""

    def __init__(
        self, image_yx: Reals, beads: Beads, bead: int, fringes_px: float, step_px: float, n_rings: int
    ) -> None:
        self.centre_yx = beads.position_px_yx[bead]
        self._step_px, self._n_rings = step_px, n_rings
        low, self._window = _window(image_yx, self.centre_yx, n_rings * step_px + _CENTRING_ROUNDS)
        self._y, self._x = np.indices(self._window.shape) + low[:, None, None]
        self._free = np.ones(self._window.shape, bool)
        apart = np.hypot(*(beads.position_px_yx - self.centre_yx).T)
        near = apart < 1.5 * n_rings * step_px + beads.radius_px + fringes_px
        near[bead] = False
        for other in np.flatnonzero(near):
            away = np.hypot(self._y - beads.position_px_yx[other, 0], self._x - beads.position_px_yx[other, 1])
            self._free &= away > beads.radius_px[other] + fringes_px

    @property
    def _distance(self) -> Floats:
        return np.asarray(np.hypot(self._y - self.centre_yx[0], self._x - self.centre_yx[1]), np.float64)

    def profile(self) -> tuple[Floats, Floats]:
        """Average rings: their brightness less that of the surroundings, and its standard error."""
        ring = (self._distance / self._step_px).astype(np.int64)
        inside = self._free & (ring < self._n_rings)
        around = self._window[inside & (ring >= int(self._n_rings * _SURROUNDINGS_ANG / _REACH_ANG))]
        level, spread = (float(around.mean()), float(around.std())) if around.size else (0.0, np.inf)
        held = np.bincount(ring[inside], minlength=self._n_rings)
        mean = np.bincount(ring[inside], self._window[inside] - level, self._n_rings) / np.maximum(held, 1)
        return mean, np.where(held > 0, max(spread, 1e-30) / np.sqrt(np.maximum(held, 1)), np.inf)

    def centre_on(self, profile: Floats) -> None:
        """Move to where the bead fits a profile best, by one step along its slopes."""
        distance = self._distance
        r_px = (np.arange(len(profile)) + 0.5) * self._step_px
        slope = -np.interp(distance, r_px, np.gradient(profile, self._step_px), right=0.0) / np.maximum(distance, 1.0)
        slope = np.where(self._free, slope, 0.0)
        rest = self._window - np.median(self._window) - np.interp(distance, r_px, profile, right=0.0)
        slopes = np.stack([slope * (self._y - self.centre_yx[0]), slope * (self._x - self.centre_yx[1])])
        moves = (rest * slopes).sum(axis=(1, 2)) / np.maximum((slopes**2).sum(axis=(1, 2)), 1e-30)
        self.centre_yx = self.centre_yx + np.clip(moves, -1.0, 1.0)


def _window(image_yx: Reals, centre_yx: Floats, reach_px: float) -> tuple[NDArray[np.int64], Reals]:
    """Cut what is within reach of a point: its first pixel, and the pixels."""
    low = np.maximum(np.ceil(centre_yx - reach_px), 0).astype(np.int64)
    high = np.minimum(np.floor(centre_yx + reach_px) + 1, image_yx.shape).astype(np.int64)
    return low, image_yx[low[0] : high[0], low[1] : high[1]]
