"""The centre of what was clicked: of its mass, or the one about which it is round. It knows no viewer."""

from typing import Literal

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Method = Literal["centre of mass", "roundness"]
METHODS: tuple[Method, ...] = ("centre of mass", "roundness")

_RADIUS_VOXELS = 8.0
"""Bigger particles are binned to about this radius: a centre needs no finer detail."""

_TURNS = 30
_STILL_VOXELS = 0.02
_ROUND_TURNS = 4
_SURROUNDINGS = 1.4
"""The radial average reaches this many radii: without the fall at its edge a particle is as round anywhere."""


def snap(
    tomogram: Tomogram,
    centers_ang_zyx: Floats,
    diameter_ang: Floats,
    method: Method = "centre of mass",
    report: Report = silent,
) -> Floats:
    """Move centres to the middle of the dense matter about them, none farther than the particle's radius.

    Parameters
    ----------
    tomogram : Tomogram
        Its contrast tells which sign dense matter has.
    centers_ang_zyx : float64[k, 3]
    diameter_ang : float64[k]
    method : {"centre of mass", "roundness"}
        The second goes on from the first to where the density correlates best with its own radial average.

    Returns
    -------
    float64[k, 3]
    """
    found = np.array(centers_ang_zyx, np.float64).reshape(-1, 3)
    for k in watched(range(len(found)), report, "Snapping to centres"):
        found[k] = _local_centre(tomogram, found[k], float(diameter_ang[k]), method)
    return found


def _local_centre(tomogram: Tomogram, center_ang: Floats, diameter_ang: float, method: Method) -> Floats:
    radius_px = diameter_ang / 2.0 / tomogram.voxel_ang
    binning = max(1, round(radius_px / _RADIUS_VOXELS))
    density, corner_ang = _cut_out(tomogram, center_ang, 2.0 * radius_px + binning, binning)
    step_ang = tomogram.voxel_ang * binning
    start = (center_ang - corner_ang) / step_ang
    radius = radius_px / binning
    inside = all(0 <= at <= n - 1 for at, n in zip(start, density.shape, strict=True))
    if not inside or np.ptp(density) == 0:
        return center_ang
    found = _centre_of_mass(density, start, radius)
    if method == "roundness":
        found = _centre_of_roundness(density, found, radius)
    away = found - start
    away *= min(1.0, radius / max(float(np.linalg.norm(away)), 1e-9))
    return np.asarray(center_ang + away * step_ang)


def _cut_out(
    tomogram: Tomogram, center_ang: Floats, reach_px: float, binning: int
) -> tuple[NDArray[np.float32], Floats]:
    """Read the cube around a place, dense matter positive and binned; return it and where its first voxel lies, Å."""
    shape = np.array(tomogram.volume.shape)
    origin = np.array(tomogram.origin_ang_zyx)
    middle = (center_ang - origin) / tomogram.voxel_ang + shape // 2
    low = np.clip(np.floor(middle - reach_px), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(middle + reach_px) + 1, low + 1, shape).astype(int)
    high = np.maximum(low + (high - low) // binning * binning, low + 1)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    block = np.asarray(tomogram.volume[z, y, x], np.float32)
    block = np.nan_to_num(-block if tomogram.contrast == "dark" else block)
    if binning > 1 and min(block.shape) >= binning:
        nz, ny, nx = (n // binning for n in block.shape)
        block = block.reshape(nz, binning, ny, binning, nx, binning).mean(axis=(1, 3, 5))
    first = (low - shape // 2) * tomogram.voxel_ang + origin + (binning - 1) / 2.0 * tomogram.voxel_ang
    return block, first


def _distances(shape: tuple[int, ...], center: Floats) -> NDArray[np.float64]:
    squares = [(np.arange(n) - c) ** 2 for n, c in zip(shape, center, strict=True)]
    return np.asarray(np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2]))


def _centre_of_mass(density: NDArray[np.float32], start: Floats, radius: float) -> Floats:
    """Shift a sphere to the mean of the density in it until it stays.

    Only what stands out of the surroundings counts: with all of it, the sphere would stay where it is.
    """
    smooth = gaussian_filter(density, max(radius / 4.0, 0.7), mode="nearest")
    low, high = np.percentile(smooth, (50, 99))
    weights = np.clip(smooth - (low + 0.25 * (high - low)), 0.0, None).astype(np.float64)
    axes = [np.arange(n, dtype=np.float64) for n in density.shape]
    center = start.copy()
    for _ in range(_TURNS):
        # A soft edge: with a hard one the centre jumps between voxels for ever.
        mass = weights * np.clip(radius + 0.5 - _distances(density.shape, center), 0.0, 1.0)
        total = float(mass.sum())
        if total <= 0.0:
            return center
        moved = np.array([float((mass.sum(axis=tuple({0, 1, 2} - {k})) * axes[k]).sum()) / total for k in range(3)])
        if np.linalg.norm(moved - start) > radius or np.linalg.norm(moved - center) < _STILL_VOXELS:
            return moved
        center = moved
    return center


def _centre_of_roundness(density: NDArray[np.float32], start: Floats, radius: float) -> Floats:
    """Correlate the density with its own radial average about the centre, and go where that fits best."""
    reach = _SURROUNDINGS * radius
    size = 2 * int(np.ceil(reach)) + 1
    center = start.copy()
    for _ in range(_ROUND_TURNS):
        distances = _distances(density.shape, center)
        bins = np.minimum(distances + 0.5, reach + 1.0).astype(int)
        counts = np.maximum(np.bincount(bins.ravel()), 1)
        profile = np.bincount(bins.ravel(), density.ravel()) / counts
        model = _distances((size,) * 3, np.full(3, size // 2, np.float64))
        template = np.interp(model, np.arange(len(profile)), profile) * (model <= reach)
        template -= (model <= reach) * template[model <= reach].mean()
        moved = _best_fit(density, template, center)
        if np.linalg.norm(moved - start) > radius / 2.0:
            return start
        if np.linalg.norm(moved - center) < _STILL_VOXELS:
            return moved
        center = moved
    return center


def _best_fit(density: NDArray[np.float32], template: Floats, near: Floats) -> Floats:
    """Find where a template fits best within two voxels of a place, to a fraction of a voxel."""
    half = template.shape[0] // 2
    reach = 2
    grid = np.mgrid[[slice(-half - reach, half + reach + 1)] * 3].reshape(3, -1) + near[:, None]
    side = 2 * (half + reach) + 1
    local = map_coordinates(density, grid, order=1, mode="nearest").reshape((side,) * 3)
    shape = (side,) * 3
    product = scipy.fft.rfftn(local - local.mean(), shape) * np.conj(scipy.fft.rfftn(template, shape))
    scores = scipy.fft.irfftn(product, shape)[: 2 * reach + 1, : 2 * reach + 1, : 2 * reach + 1]
    peak = np.array(np.unravel_index(int(np.argmax(scores)), scores.shape))
    offset = peak - float(reach)
    for axis in range(3):
        if 0 < peak[axis] < 2 * reach:
            before, top, after = (scores[tuple(peak + np.eye(3, dtype=int)[axis] * step)] for step in (-1, 0, 1))
            bend = before - 2.0 * top + after
            offset[axis] += 0.5 * (before - after) / bend if bend < 0 else 0.0
    return np.asarray(near + offset)
