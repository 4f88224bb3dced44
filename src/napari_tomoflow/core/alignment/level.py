"""How thick the specimen is, at what height it lies and how it leans."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_tomoflow.core.alignment.matching import depth_count, ramp_weighted
from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.alignment.views import turn_views
from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.ops.peaks import noise_sd

Floats = NDArray[np.float64]

_SEARCHED = 0.6
"""Depth searched for the specimen, as a fraction of the field."""

_PATCHES = 12
"""The field is cut into this many patches along each direction; the outermost are not used."""

_CLEAR = 5.0
"""The specimen is seen when the profile across it stands out of its own noise by this factor."""

_EDGE = 0.25
"""Where the profile has fallen to this fraction of its top, the specimen ends."""

_GENEROUS = 1.3
"""Matter next to the surfaces counts too: depth looked at, in thicknesses."""

_ERRORS = 3.0
"""A slope is believed only if it is this many standard errors."""

_LEAST_SLOPE, _MOST_SLOPE = 0.02, 0.36
"""Slopes below about 1° are less than patches of a field can tell; beyond 20° no specimen lay flat on its grid."""

MOST_SLOPE_ERROR = np.tan(np.deg2rad(1.0))
"""A slope less certain than this lays no specimen flat."""

_GROUPS = 20
"""Groups of patches left out in turn for the standard errors."""

_ROUNDS = 4
"""Times the slope is fitted inside limits that follow the slope found before."""


@dataclass(frozen=True)
class Slab:
    """Where the specimen lies: z = height + slope_x · x + slope_y · y, in the frame of an alignment's axis.

    Attributes
    ----------
    seen : bool
        Whether matter stands out of the noise at all; if not, the other values say nothing.
    height_ang, thickness_ang : float
    slope_x, slope_y : float
        Across and along the tilt axis; zero where it cannot be told from zero.
    slope_error : float
        Standard error of the slopes, from groups of patches left out in turn.
    """

    seen: bool
    height_ang: float = 0.0
    thickness_ang: float = 0.0
    slope_x: float = 0.0
    slope_y: float = 0.0
    slope_error: float = float("inf")

    def depth_ang(self, field_ang: float) -> float:
        """Return the depth, centred on the origin, that holds the specimen over the whole field and some more."""
        lean = max(abs(self.slope_x), abs(self.slope_y)) * field_ang
        return 2.0 * abs(self.height_ang) + _GENEROUS * self.thickness_ang + lean

    @property
    def lean_deg_yx(self) -> tuple[float, float]:
        """Rotations about y and x that lay the specimen flat, for `Alignment.levelled`."""
        about_y = np.arctan(-self.slope_x)
        about_x = np.arcsin(self.slope_y / np.sqrt(1.0 + self.slope_x**2 + self.slope_y**2))
        return float(np.rad2deg(about_y)), float(np.rad2deg(about_x))


def find_slab(stack: WorkStack, alignment: Alignment) -> Slab:
    """Find the specimen as the heights at which two half data sets reconstruct the same.

    Two back-projections, from even and odd tilts, are multiplied voxel by voxel: noise averages to
    zero, matter does not. The heights of the products in patches of the field lie on a plane.
    """
    from napari_tomoflow.core.kernels.rows import multiply_halves

    views = turn_views(stack, alignment)
    angle = np.deg2rad(views.tilt_deg)
    n = views.images.shape[1]
    n_depths = depth_count(_SEARCHED * stack.field_ang, stack.pixel_ang)
    products = np.zeros((n, n_depths, n), np.float32)
    even = np.arange(len(views)) % 2 == 0
    multiply_halves(products, ramp_weighted(views), np.cos(angle), np.sin(angle), even)
    # The root keeps a few dense beads from outvoting everything else, and noise symmetric about zero.
    products = np.sign(products) * np.sqrt(np.abs(products))
    return _fit_slab(*_patch_profiles(products, stack.pixel_ang))


def _patch_profiles(products_yzx: NDArray[np.float32], pixel_ang: float) -> tuple[Floats, Floats, Floats]:
    """Average patches: (profiles[P, nz], patch centres [P, 2] as x, y in Å, heights [nz] in Å)."""
    n, nz, _ = products_yzx.shape
    edges = np.linspace(0, n, _PATCHES + 1).astype(np.int64)
    inner = range(1, _PATCHES - 1)
    profiles = [
        products_yzx[edges[i] : edges[i + 1], :, edges[j] : edges[j + 1]].mean(axis=(0, 2))
        for i in inner
        for j in inner
    ]
    middles = 0.5 * (edges[:-1] + edges[1:] - 1) - n // 2
    centres = [(middles[j], middles[i]) for i in inner for j in inner]
    heights = (np.arange(nz) - nz // 2) * pixel_ang
    return np.array(profiles, np.float64), np.array(centres) * pixel_ang, heights


def _fit_slab(profiles: Floats, centres_xy: Floats, heights: Floats) -> Slab:
    """Fit limits to the profile across the specimen and a slope to the matter within them, in turns."""
    slope, error = np.zeros(2), np.inf
    limits = _limits(profiles.mean(axis=0), heights)
    if limits is None:
        return Slab(seen=False)
    for _ in range(_ROUNDS):
        slope, error = _slope_with_error(profiles, centres_xy, heights, limits, slope)
        limits = _limits(_sheared(profiles, centres_xy @ slope, heights).mean(axis=0), heights) or limits
    steep = np.abs(slope)
    told = (steep > _ERRORS * error) & (steep > _LEAST_SLOPE) & (steep < _MOST_SLOPE) & (error < MOST_SLOPE_ERROR)
    slope = np.where(told, slope, 0.0)
    limits = _limits(_sheared(profiles, centres_xy @ slope, heights).mean(axis=0), heights) or limits
    low, high = limits
    return Slab(True, 0.5 * (low + high), high - low, float(slope[0]), float(slope[1]), float(error))


def _sheared(profiles: Floats, rises: Floats, heights: Floats) -> Floats:
    """Slide each profile down by its rise."""
    return np.stack([np.interp(heights + rise, heights, one) for one, rise in zip(profiles, rises, strict=True)])


def _limits(profile: Floats, heights: Floats) -> tuple[float, float] | None:
    """Return where the specimen begins and ends, or None when the profile does not stand out of the noise."""
    smooth = gaussian_filter1d(profile, 1.0)
    outside = np.abs(heights) > 0.8 * np.abs(heights).max()
    base = float(np.median(smooth[outside]))
    noise = max(noise_sd(smooth[outside]), 1e-12)
    top = float(smooth.max())
    if top - base < _CLEAR * noise:
        return None
    inside = np.flatnonzero(smooth - base > _EDGE * (top - base))
    return float(heights[inside[0]]), float(heights[inside[-1]])


def _slope_with_error(
    profiles: Floats, centres_xy: Floats, heights: Floats, limits: tuple[float, float], slope: Floats
) -> tuple[Floats, float]:
    """Fit a plane to all matter within the limits, which lean with the slope found before."""
    apart = heights - (centres_xy @ slope)[:, None]
    margin = 0.25 * (limits[1] - limits[0])
    inside = (apart > limits[0] - margin) & (apart < limits[1] + margin)
    # The ramp leaves negative tails beside matter; taken for mass they would steepen the slope.
    base = np.where(inside, 0.0, profiles).sum() / max(np.count_nonzero(~inside), 1)
    weights = np.where(inside, profiles - base, 0.0)
    # Products are signed, so noise cancels in the moments; centroids of positive parts are drawn to the middle.
    design = np.column_stack([np.ones(len(centres_xy)), centres_xy])
    mass, moment = weights.sum(axis=1), weights @ heights
    groups = np.arange(len(mass)) % _GROUPS
    fits = np.array([_plane(design, mass, moment, groups != group) for group in range(_GROUPS)])
    error = np.sqrt((_GROUPS - 1) * fits.var(axis=0)).max()
    return _plane(design, mass, moment, groups >= 0), float(error)


def _plane(design: Floats, mass: Floats, moment: Floats, used: NDArray[np.bool_]) -> Floats:
    """Solve the normal equations of a plane through matter: (slope across the axis, slope along it)."""
    d = design[used]
    solution = np.linalg.lstsq(d.T @ (mass[used, None] * d), d.T @ moment[used], rcond=None)[0]
    slopes: Floats = np.clip(solution[1:], -1.0, 1.0)
    return slopes
