"""What particles are aligned with: halves under a mask, as far as they agree."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.resizing import low_pass, shell_filtered
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.local_fsc import local_filter, window_px
from napari_tomoflow.core.ops.masks import edge_px_for, mask_of_map

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

_BODY_AT_ANG = 15.0
_EXTEND_PX = 3.0


def tight_mask(halves: tuple[Reals, Reals], widest: Reals, pixel_ang: float, resolution_ang: float) -> Reals:
    """Mask what has appeared, no tighter than a resolution allows.

    Parameters
    ----------
    halves : pair of float32[n, n, n]
    widest : float32[n, n, n]
        The mask never reaches beyond this one, and is this one where no body stands out.
    pixel_ang : float
    resolution_ang : float
        The body is looked for no finer than this, extended by half of it, and fades over two of it.
    """
    try:
        body = mask_of_map(
            (halves[0] + halves[1]) * widest,
            pixel_ang,
            extend_px=max(_EXTEND_PX, 0.5 * resolution_ang / pixel_ang),
            edge_px=edge_px_for(resolution_ang, pixel_ang),
            lowpass_ang=max(_BODY_AT_ANG, 3.0 * pixel_ang, resolution_ang),
        )
    except DataError:
        return widest
    return body * widest


def globally_filtered(halves: tuple[Reals, Reals], fsc: Floats, radius: float) -> tuple[Reals, Reals]:
    """Weigh the shells of both halves by how far they agree, up to a radius."""
    gain = np.clip(fsc, 0.0, 1.0)[: int(radius) + 2]
    return shell_filtered(halves[0], gain), shell_filtered(halves[1], gain)


def locally_filtered(halves: tuple[Reals, Reals], radius: float) -> tuple[Reals, Reals]:
    """Weigh the detail of both halves by how far they agree around each voxel, up to a radius."""
    found = local_filter(*halves, window_px(len(halves[0]) / radius, 1.0), lambda fsc: fsc)
    first, second = (shell_filtered(half, low_pass(radius)) for half in found.halves)
    return first, second
