"""Choose places in a preliminary tomogram where two half data sets show the same dense thing."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from napari_tomoflow.core.alignment.matching import depth_count
from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.alignment.views import turn_views
from napari_tomoflow.core.model.alignment import Alignment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SMOOTHING_PX = 1.5
_CANDIDATES = 5000

_FEWEST_TOGETHER = 3
"""Places below which a neighbourhood says too little."""


class Selection(NamedTuple):
    """Which places are chosen, and which of them are one landmark.

    Attributes
    ----------
    most : int
    apart_of_field : float
        Least distance of two places, as a fraction of the field.
    neighbourhoods : int
        Along each side of the field; the places within one are measured together. 0: each by itself, and none
        above another, which would be seen as one.
    """

    most: int
    apart_of_field: float
    neighbourhoods: int = 0


def select_places(
    stack: WorkStack, alignment: Alignment, depth_ang: float, selection: Selection
) -> tuple[Floats, Ints]:
    """Choose the strongest places of the specimen, spread over the field.

    Parameters
    ----------
    stack : WorkStack
        Whitened, binned so far that a back-projection is cheap.
    alignment : Alignment
        Of the tilts of the stack.
    depth_ang : float
        Heights from minus to plus half of this are searched.
    selection : Selection

    Returns
    -------
    points_ang_zyx : float64[P, 3]
        Strongest first.
    landmark : int64[P]
        The one that each belongs to.
    """
    apart_ang = selection.apart_of_field * stack.field_ang
    strongest = _strongest(stack, alignment, depth_ang)
    if selection.neighbourhoods:
        points = strongest[_spread(strongest, apart_ang, selection.most)]
        return _gathered(points, stack.field_ang, selection.neighbourhoods)
    points = strongest[_spread(strongest[:, 1:], apart_ang, selection.most)]
    return points, np.arange(len(points))


def _strongest(stack: WorkStack, alignment: Alignment, depth_ang: float) -> Floats:
    """Return the places where half data sets agree most within their surroundings, Å zyx, the strongest first."""
    agreement = _half_maps_agreement(stack, alignment, depth_ang)
    smooth = gaussian_filter(agreement, _SMOOTHING_PX)
    tops = (smooth == maximum_filter(smooth, size=3)) & (smooth > 0.0)
    y, z, x = np.nonzero(tops)
    strongest = np.argsort(-smooth[y, z, x], kind="stable")[:_CANDIDATES]
    middles = [n // 2 for n in (agreement.shape[1], agreement.shape[0], agreement.shape[2])]
    return np.asarray((np.stack([z, y, x], axis=1)[strongest] - middles) * stack.pixel_ang)


def _half_maps_agreement(stack: WorkStack, alignment: Alignment, depth_ang: float) -> NDArray[np.float32]:
    """Back-project even and odd tilts and multiply: float32[y, z, x], the signed root of the products."""
    from napari_tomoflow.core.kernels.rows import multiply_halves

    views = turn_views(stack, alignment)
    n = views.images.shape[1]
    angle = np.deg2rad(views.tilt_deg)
    products = np.zeros((n, depth_count(depth_ang, stack.pixel_ang), n), np.float32)
    multiply_halves(products, views.images, np.cos(angle), np.sin(angle), np.arange(len(views)) % 2 == 0)
    # The root keeps a few very dense places from hiding everything around them.
    return np.asarray(np.sign(products) * np.sqrt(np.abs(products)), np.float32)


def _spread(places_ang: Floats, apart_ang: float, most: int) -> list[int]:
    """Keep places, in their order, that lie apart from those kept before."""
    kept: list[int] = []
    for index in range(len(places_ang)):
        if len(kept) == most:
            break
        if not (np.linalg.norm(places_ang[kept] - places_ang[index], axis=1) < apart_ang).any():
            kept.append(index)
    return kept


def _gathered(points_ang_zyx: Floats, field_ang: float, across: int) -> tuple[Floats, Ints]:
    """Divide points among squares of the field and number the squares that hold enough of them."""
    cell = np.clip(np.floor((points_ang_zyx[:, 1:] / field_ang + 0.5) * across), 0, across - 1)
    _, square, count = np.unique(cell @ [across, 1], return_inverse=True, return_counts=True)
    enough = count[square] >= _FEWEST_TOGETHER
    return points_ang_zyx[enough], np.unique(square[enough], return_inverse=True)[1]
