"""Taking out of tilt images what is not the specimen: gold beads, and the slow slopes of ice and beam."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Image = NDArray[np.float32]

_BLOCKS_ACROSS = 24
_ROUNDS = 20
_SMALLEST_MISFIT = 0.01

_RING = 0.6
"""Width of the ring a disk is filled from, in radii of the disk."""

_NARROWEST_RING_PX = 3.0
_FEWEST_PIXELS = 20
_DONOR_DIRECTIONS = 12
_DONOR_DISTANCES = (2.3, 3.0, 4.0)


def background(image_yx: Image) -> Image:
    """Fit a paraboloid to an image: float32[ny, nx].

    It is the one with the least sum of absolute distances to the medians of blocks, so that dense matter
    on a part of the image does not draw it to itself.
    """
    ny, nx = image_yx.shape
    edge = max(1, min(ny, nx) // _BLOCKS_ACROSS)
    by, bx = ny // edge, nx // edge
    blocks = image_yx[: by * edge, : bx * edge].reshape(by, edge, bx, edge)
    values = np.median(blocks, axis=(1, 3)).ravel().astype(np.float64)
    middles = np.meshgrid(*((np.arange(n) + 0.5) * edge - 0.5 for n in (by, bx)), indexing="ij")
    my, mx = middles[0].ravel() / ny, middles[1].ravel() / nx
    terms = np.stack([np.ones_like(my), my, mx, my * my, my * mx, mx * mx], axis=1)
    root_weights = np.ones(len(values))
    for _ in range(_ROUNDS):
        factors = np.linalg.lstsq(terms * root_weights[:, None], values * root_weights)[0]
        misfit = np.abs(values - terms @ factors)
        root_weights = 1.0 / np.sqrt(np.maximum(misfit, _SMALLEST_MISFIT * misfit.mean() + 1e-12))
    y, x = np.ogrid[:ny, :nx]
    one, fy, fx, fyy, fyx, fxx = factors.astype(np.float32)
    y, x = (y / ny).astype(np.float32), (x / nx).astype(np.float32)
    return np.asarray(one + fy * y + fyy * y * y + (fx + fyx * y) * x + fxx * x * x, np.float32)


def fill_disks(image_yx: Image, centres_px_yx: ArrayLike, radius_px: float, rng: np.random.Generator | None) -> Image:
    """Replace disks by what surrounds them: a plane through the ring around each, and noise from beside it.

    The noise is the texture of another disk nearby that holds no bead, so its spectrum is the image's.
    The direction it is taken from changes at random: the same texture never comes twice from the same side,
    and in a tomogram it averages out.

    Parameters
    ----------
    image_yx : float32[ny, nx]
    centres_px_yx : float64[P, 2]
        0-based; disks wholly outside are passed over.
    radius_px : float
    rng : Generator or None
        None leaves the planes without noise.

    Returns
    -------
    float32[ny, nx]
        A copy.
    """
    filled = np.array(image_yx, np.float32)
    centres = np.asarray(centres_px_yx, np.float64).reshape(-1, 2)
    is_bead = np.zeros(image_yx.shape, bool)
    for centre in centres:
        window, distance = _around(centre, radius_px, image_yx.shape)
        is_bead[window] |= distance <= radius_px
    for centre in centres:
        _fill(filled, image_yx, is_bead, centre, radius_px, rng)
    return filled


def _fill(
    filled: Image,
    image_yx: Image,
    is_bead: NDArray[np.bool_],
    centre: Any,
    radius: float,
    rng: np.random.Generator | None,
) -> None:
    """Fill one disk in place."""
    reach = radius + max(_RING * radius, _NARROWEST_RING_PX)
    window, distance = _around(centre, reach, image_yx.shape)
    disk, ring = distance <= radius, (distance > radius) & (distance <= reach) & ~is_bead[window]
    if not disk.any():
        return
    if np.count_nonzero(ring) < _FEWEST_PIXELS:
        filled[window][disk] = np.median(image_yx[~is_bead]) if not is_bead.all() else 0.0
        return
    smooth, residual = _fitted(image_yx[window], ring, ring | disk)
    if rng is None:
        filled[window][disk] = smooth[disk]
        return
    texture = _texture_beside(image_yx, is_bead, window, disk, radius, rng)
    if texture is None:
        texture = rng.choice(residual[ring], np.count_nonzero(disk))
    filled[window][disk] = smooth[disk] + texture


def _texture_beside(
    image_yx: Image, is_bead: NDArray[np.bool_], window: Any, disk: NDArray[np.bool_], radius: float, rng: Any
) -> NDArray[np.float64] | None:
    """Take the noise of a disk nearby that holds no bead and lies in the image; None when there is none."""
    angles = rng.permutation(_DONOR_DIRECTIONS) * (2 * np.pi / _DONOR_DIRECTIONS)
    for distance in _DONOR_DISTANCES:
        for angle in angles:
            move = np.rint(distance * radius * np.array([np.sin(angle), np.cos(angle)])).astype(int)
            starts = [part.start + step for part, step in zip(window, move, strict=True)]
            stops = [part.stop + step for part, step in zip(window, move, strict=True)]
            if min(starts) < 0 or any(stop > n for stop, n in zip(stops, image_yx.shape, strict=True)):
                continue
            donor = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
            if not is_bead[donor][disk].any():
                return np.asarray(_fitted(image_yx[donor], disk, disk)[1][disk])
    return None


def _fitted(patch_yx: Image, known: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> tuple[Any, Any]:
    """Fit a plane to the known pixels: its values at the wanted ones, and what is left of the known ones."""
    y, x = np.indices(patch_yx.shape) / max(patch_yx.shape)
    terms = np.stack([np.ones_like(y), y, x], axis=-1)
    factors = np.linalg.lstsq(terms[known], patch_yx[known].astype(np.float64))[0]
    smooth = np.where(wanted, terms @ factors, 0.0)
    return smooth, np.where(known, patch_yx - smooth, 0.0)


def _around(centre_yx: Any, reach: float, shape_yx: tuple[int, ...]) -> tuple[Any, NDArray[np.float64]]:
    """Cut the part of an image within `reach` of a point: its window, and the distance of its pixels."""
    limits = [
        (max(0, int(np.ceil(at - reach))), min(n, int(np.floor(at + reach)) + 1))
        for at, n in zip(centre_yx, shape_yx, strict=True)
    ]
    window = tuple(slice(low, max(low, high)) for low, high in limits)
    y, x = np.ogrid[window]
    return window, np.hypot(y - centre_yx[0], x - centre_yx[1])
