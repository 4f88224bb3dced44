"""Choose features: places in a preliminary tomogram where two half data sets show the same dense thing."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from napari_tomoflow.core.alignment.matching import depth_count
from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.alignment.views import turn_views
from napari_tomoflow.core.model.alignment import Alignment

Floats = NDArray[np.float64]

_SMOOTHING_PX = 1.5
_CANDIDATES = 5000


def select_features(stack: WorkStack, alignment: Alignment, depth_ang: float, apart_ang: float, most: int) -> Floats:
    """Choose the strongest features of the specimen, spread over the field.

    Parameters
    ----------
    stack : WorkStack
        Whitened, binned so far that a back-projection is cheap.
    alignment : Alignment
        Of the tilts of the stack.
    depth_ang : float
        Heights from minus to plus half of this are searched.
    apart_ang : float
        Least distance of two features in the plane of the specimen: one above another would be seen as one.
    most : int

    Returns
    -------
    float64[P, 3]
        Å zyx, strongest first.
    """
    agreement = _half_maps_agreement(stack, alignment, depth_ang)
    smooth = gaussian_filter(agreement, _SMOOTHING_PX)
    tops = (smooth == maximum_filter(smooth, size=3)) & (smooth > 0.0)
    y, z, x = np.nonzero(tops)
    strongest = np.argsort(-smooth[y, z, x], kind="stable")[:_CANDIDATES]
    middles = [n // 2 for n in (agreement.shape[1], agreement.shape[0], agreement.shape[2])]
    points = (np.stack([z, y, x], axis=1)[strongest] - middles) * stack.pixel_ang
    return np.asarray(points[_spread(points, apart_ang, most)])


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


def _spread(points_ang_zyx: Floats, apart_ang: float, most: int) -> list[int]:
    """Keep points, in their order, that lie apart from those kept before."""
    kept: list[int] = []
    for index, point in enumerate(points_ang_zyx):
        if len(kept) == most:
            break
        from_kept = points_ang_zyx[kept, 1:] - point[1:]
        if not (np.hypot(*from_kept.T) < apart_ang).any():
            kept.append(index)
    return kept
