"""Places on the objects of a segmentation."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_tomoflow.core.errors import TomoflowError
from napari_tomoflow.core.ops.geometry import ang_from_pixels
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.picking.boundary import boundary_of
from napari_tomoflow.core.picking.frames import across, poses_along
from napari_tomoflow.core.picking.params import PickParams
from napari_tomoflow.core.picking.places import Places, facing
from napari_tomoflow.core.picking.segmented import Objects, agreeing, local_shapes, scattered, shape_radius
from napari_tomoflow.core.picking.spacing import even_points
from napari_tomoflow.core.report import Report, part, silent

Floats = NDArray[np.float64]

MODEL = "model"
"""Feature that tells which object a pick is from."""


def segmented_places(
    objects: Objects, voxel_ang: float, params: PickParams, rng: np.random.Generator, report: Report = silent
) -> tuple[Places, list[str]]:
    """Put particles on segmented objects.

    Returns
    -------
    places : Places
        Features: ``model``, the number of the object; ``diameter_ang`` of blobs.
    left_out : list of str
        Why objects have no picks.

    Raises
    ------
    DataError, ParamError
        No object is fit to be picked on.
    """
    if params.model == "segmented-blobs":
        return _blobs(objects, voxel_ang, params), []
    if params.model == "segmented-surface":
        return _surfaces(objects, voxel_ang, params, rng, report)
    return _continuous(objects, voxel_ang, params, rng, report), []


def _blobs(objects: Objects, voxel_ang: float, params: PickParams) -> Places:
    """Set a particle in the middle of every blob, z along its longest axis if its shape counts."""
    count = len(objects.diameter_ang)
    ways = np.tile([1.0, 0.0, 0.0], (count, 1))
    if params.orientation == "shape":
        for number, window in enumerate(ndimage.find_objects(objects.numbers_zyx), start=1):
            voxels = np.argwhere(objects.numbers_zyx[window] == number)
            if len(voxels) > 1:
                ways[number - 1] = np.linalg.eigh(np.cov(voxels.T))[1][:, 2]
        ways[ways[:, 0] < 0] *= -1.0
    features = {MODEL: np.arange(1, count + 1), "diameter_ang": objects.diameter_ang}
    return Places(objects.centers_ang_zyx, _standing(ways), features)


def _continuous(
    objects: Objects, voxel_ang: float, params: PickParams, rng: np.random.Generator, report: Report
) -> Places:
    """Scatter particles over sheets or strands, z along the normal or the strand."""
    numbers = objects.numbers_zyx
    sheet = params.model == "segmented-membrane"
    spacing_px = 10.0 * params.spacing_nm / voxel_ang
    report(0, 1, "Scattering picks")
    # Moved to the middle, places come closer: twice as close at first leaves no gaps when they are chosen from.
    places = scattered(numbers > 0, 0.5 * spacing_px, rng)
    own = numbers[tuple(places.astype(int).T)].astype(np.int64)
    radius_px = shape_radius(numbers > 0)
    places, ways = local_shapes(numbers, places, radius_px, "sheet" if sheet else "strand", report)
    chosen = spaced(places, spacing_px, range(len(places)))
    places, ways, own = places[chosen], ways[chosen], own[chosen]
    for number in np.unique(own):
        one = own == number
        ways[one] = agreeing(places[one], ways[one])
        ways[one] *= facing(places[one], ways[one], params.side if sheet else "up")
    return Places(ang_from_pixels(places, voxel_ang, numbers.shape), _standing(ways), {MODEL: own})


def _surfaces(
    objects: Objects, voxel_ang: float, params: PickParams, rng: np.random.Generator, report: Report
) -> tuple[Places, list[str]]:
    """Spread particles evenly over the surfaces of bodies, z along the normal; bodies too small are left out."""
    numbers = objects.numbers_zyx
    centers, ways, own = [np.zeros((0, 3))], [np.zeros((0, 3))], [np.zeros(0, np.int64)]
    failures: list[TomoflowError] = []
    windows = ndimage.find_objects(numbers)
    for number, window in enumerate(windows, start=1):
        share = part(report, number - 1, len(windows))
        try:
            surface = boundary_of(numbers, number, window, voxel_ang)
            points = even_points(surface, 10.0 * params.spacing_nm, rng, report=share)
        except TomoflowError as error:
            failures.append(error)
            continue
        normals = surface.normals(points)
        centers.append(points)
        ways.append(normals if params.side == "outward" else normals * facing(points, normals, params.side))
        own.append(np.full(len(points), number))
    if failures and len(failures) == len(windows):
        raise failures[0]
    left_out = [f"{len(failures)} of {len(windows)} bodies have no picks: {failures[0]}"] if failures else []
    return Places(np.concatenate(centers), _standing(np.concatenate(ways)), {MODEL: np.concatenate(own)}), left_out


def _standing(ways: Floats) -> Floats:
    """Build poses with z along given ways and x near the volume's."""
    return poses_along(ways, across(ways, np.eye(3)[::-1]))
