"""Particles from a segmentation: isolated blobs, and random places on what is continuous.

Positions inside this module are voxels of the volume, counted from 0, unless a name says Å.

Legend: P places, O objects.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from napari_tomoflow.core.ops.geometry import ang_from_pixels
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.picking.frames import unit
from napari_tomoflow.core.picking.spacing import nearest
from napari_tomoflow.core.report import Report, silent, watched

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int32]

_TOUCHING = np.ones((3, 3, 3), bool)

_LARGER = 1.5
"""Objects of more than this many expected volumes are looked into for several."""

_CANDIDATES = 4
"""Candidates per spacing along a line: voxels finer than that are not all looked at."""

_WIDE = 2.0
"""Radius in which a shape is judged, in thicknesses of it."""

_STRAIGHT = 0.25
"""Part of that radius within which a bend makes no difference."""

_OBLIQUE = 1.5
"""Faces of voxels over the area of the surface they stand for, in the mean over directions."""

_NARROWEST_PX = 3.0
_SHIFTS = 3
_NEIGHBOURS = 8


@dataclass(frozen=True, eq=False)
class Objects:
    """Connected objects of a segmentation.

    Attributes
    ----------
    numbers_zyx : int32[nz, ny, nx]
        Which object a voxel belongs to, from 1.
    centers_ang_zyx : float64[O, 3]
        Centres of mass, Å from the volume's centre.
    diameter_ang : float64[O]
        Of the ball of the same volume.
    """

    numbers_zyx: Numbers
    centers_ang_zyx: Floats
    diameter_ang: Floats


def find_objects(
    mask_zyx: Mask,
    voxel_ang: float,
    smallest_ang: float = 0.0,
    largest_ang: float = np.inf,
    expected_ang: float | None = None,
) -> Objects:
    """Find the objects of a mask within limits of size.

    Parameters
    ----------
    mask_zyx : bool[nz, ny, nx]
    voxel_ang : float
    smallest_ang, largest_ang : float
        Limits of the diameter of a ball of the same volume.
    expected_ang : float, optional
        Diameter of one particle: larger objects are divided where they are narrow.

    Notes
    -----
    Voxels that share a corner belong together. Objects are divided by a watershed of the distance to their
    border, from maxima at least half a diameter apart.
    """
    numbers = np.zeros(mask_zyx.shape, np.int32)
    count = int(ndimage.label(mask_zyx, _TOUCHING, output=numbers))
    if expected_ang is not None:
        count = _divide(numbers, count, expected_ang / voxel_ang)
    volumes = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    diameter = voxel_ang * np.cbrt(6.0 / np.pi * volumes)
    kept = (volumes > 0) & (diameter >= smallest_ang) & (diameter <= largest_ang)
    renumbered = np.zeros(count + 1, np.int32)
    renumbered[1:][kept] = np.arange(1, np.count_nonzero(kept) + 1)
    numbers = renumbered[numbers]
    found = range(1, int(renumbered.max()) + 1)
    centers = np.array(ndimage.center_of_mass(numbers > 0, numbers, found)).reshape(-1, 3)
    return Objects(numbers, ang_from_pixels(centers, voxel_ang, mask_zyx.shape), diameter[kept])


def scattered(mask_zyx: Mask, distance_px: float, rng: np.random.Generator) -> Floats:
    """Take random voxels of a mask at least a distance apart, until there is no room for more: float64[P, 3]."""
    voxels = np.argwhere(mask_zyx)[rng.permutation(np.count_nonzero(mask_zyx))]
    block = int(distance_px / _CANDIDATES)
    if block > 1:
        voxels = voxels[np.sort(np.unique(voxels // block, axis=0, return_index=True)[1])]
    places: Floats = voxels.astype(np.float64)
    return places[spaced(places, distance_px, range(len(places)))]


def shape_radius(mask_zyx: Mask) -> float:
    """Return the radius, in voxels, in which the shape of a membrane or filament shows: two thicknesses.

    Volume over surface is half the thickness of a sheet and a quarter of that of a strand.
    """
    faces = sum(np.count_nonzero(np.diff(mask_zyx, axis=axis)) for axis in range(3))
    return max(_NARROWEST_PX, _WIDE * 2.0 * _OBLIQUE * np.count_nonzero(mask_zyx) / max(faces, 1))


def local_shapes(
    numbers_zyx: Numbers, places: Floats, radius_px: float, kind: Literal["sheet", "strand"], report: Report = silent
) -> tuple[Floats, Floats]:
    """Move places to the middle of the sheet or strand they lie in, and tell which way it runs there.

    Parameters
    ----------
    numbers_zyx : int32[nz, ny, nx]
        From `find_objects`; only voxels of a place's own object count.
    places : float64[P, 3]
        Voxels of objects.
    radius_px : float
        From `shape_radius`.
    kind
    report

    Returns
    -------
    places : float64[P, 3]
    directions : float64[P, 3]
        Unit normals of a sheet, unit directions of a strand; the sign means nothing.

    Notes
    -----
    Moments of the voxels within a ball; the normal is the axis they spread least along, a strand's direction
    the one they spread most along. The ball then moves across the shape to the middle of what is straight
    above and below or beside, as the middle of all lies on the hollow side of a bend.
    """
    middles, directions = places.copy(), np.zeros_like(places)
    narrow = max(_NARROWEST_PX / 2.0, _STRAIGHT * radius_px)
    own = numbers_zyx[tuple(np.rint(places).astype(int).T)]
    for place in watched(range(len(places)), report, "Looking at shapes"):
        for _ in range(_SHIFTS):
            around = _voxels_around(numbers_zyx, own[place], middles[place], radius_px)
            axes = np.linalg.eigh(np.cov(around.T) if len(around) > 1 else np.eye(3))[1].T
            across, along = (axes[:1], axes[1:]) if kind == "sheet" else (axes[:2], axes[2:])
            from_place = around - middles[place]
            beside = from_place[np.linalg.norm(from_place @ along.T, axis=1) <= narrow]
            middles[place] += beside.mean(axis=0) @ across.T @ across if len(beside) else 0.0
        directions[place] = across[0] if kind == "sheet" else along[0]
    return middles, directions


def agreeing(points: Floats, directions: Floats) -> Floats:
    """Choose signs so that neighbouring directions agree: float64[P, 3].

    Notes
    -----
    Signs are carried along the tree of neighbours that turn least (Hoppe et al. 1992, doi:10.1145/133994.134011).
    """
    if len(points) < 2:
        return directions
    neighbours = nearest(points, points, min(_NEIGHBOURS, len(points)))[1]
    first, second = np.repeat(np.arange(len(points)), neighbours.shape[1]), neighbours.ravel()
    turn = 1.001 - np.abs(np.sum(directions[first] * directions[second], axis=1))  # 0 would be no edge
    tree = minimum_spanning_tree(coo_array((turn, (first, second)), (len(points),) * 2).tocsr())
    signed = directions.copy()
    for root in np.unique(connected_components(tree, directed=False)[1], return_index=True)[1]:
        order, before = breadth_first_order(tree, root, directed=False)
        for index in order[1:]:
            if signed[index] @ signed[before[index]] < 0:
                signed[index] *= -1.0
    return unit(signed)


def _divide(numbers: Numbers, count: int, expected_px: float) -> int:
    """Divide objects larger than expected, in place; return the new number of objects."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    usual = np.pi / 6.0 * expected_px**3
    for number, window in enumerate(ndimage.find_objects(numbers), start=1):
        mask = np.pad(numbers[window] == number, 1)
        if np.count_nonzero(mask) < _LARGER * usual:
            continue
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0)
        tops = peak_local_max(depth, min_distance=max(1, round(expected_px / 2)), labels=mask.astype(np.int32))
        seeds = np.zeros(mask.shape, np.int32)
        seeds[tuple(tops.T)] = np.arange(len(tops)) + 1
        parts = watershed(-depth, seeds, mask=mask)[1:-1, 1:-1, 1:-1]
        others = parts > 1
        numbers[window][others] = count + parts[others] - 1
        count += max(len(tops) - 1, 0)
    return count


def _voxels_around(numbers_zyx: Numbers, own: int, place: Floats, radius_px: float) -> Floats:
    """Return the voxels of one object within a ball: float64[V, 3]; the ball's centre if there are none."""
    low = np.maximum(np.floor(place - radius_px).astype(int), 0)
    high = np.minimum(np.ceil(place + radius_px).astype(int) + 1, numbers_zyx.shape)
    voxels = np.argwhere(numbers_zyx[tuple(map(slice, low, high))] == own) + low
    near = voxels[np.sum((voxels - place) ** 2, axis=1) <= radius_px**2]
    return near.astype(np.float64) if len(near) else place[None]
