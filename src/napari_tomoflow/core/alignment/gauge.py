"""What no comparison of images can decide, decided: where the specimen's centre is and how it lies."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.level import Slab
from napari_tomoflow.core.model.alignment import Alignment


def in_axis_frame(alignment: Alignment) -> NDArray[np.float64]:
    """Turn the shifts into the frame of the axis: float64[N, 2], along and across it."""
    angle = np.deg2rad(alignment.axis_deg)
    v, u = alignment.shift_ang_yx.T
    return np.stack([np.cos(angle) * v - np.sin(angle) * u, np.sin(angle) * v + np.cos(angle) * u], axis=1)


def centred(alignment: Alignment, slab: Slab, *, level: bool) -> Alignment:
    """Put the origin into the middle of the specimen and, where its lean is known, lay it flat.

    A shift of −z sin(tilt) is a height: where the slab is seen it is taken from there, otherwise the
    one that leaves the smallest shifts. Along the plane, the origin goes where the images are centred on average.
    """
    along, across = in_axis_frame(alignment)[alignment.kept].T
    tilt = np.deg2rad(alignment.tilt_deg[alignment.kept])
    cosine, sine = np.cos(tilt), np.sin(tilt)
    y = -float(along.mean())
    if slab.seen:
        # z follows from x and y because the origin lies on the plane of the slab.
        design = cosine + slab.slope_x * sine
        x = -float(design @ (across + (slab.height_ang + slab.slope_y * y) * sine) / (design @ design))
        z = slab.height_ang + slab.slope_x * x + slab.slope_y * y
    else:
        x, z = (float(value) for value in -np.linalg.lstsq(np.stack([cosine, sine], axis=1), across, rcond=None)[0])
    before_z, before_y, before_x = alignment.centre_ang_zyx
    levelled = alignment.levelled(slab.lean_deg_yx if level else (0.0, 0.0), (z, y, x))
    return levelled.replace(centre_ang_zyx=(before_z + z, before_y + y, before_x + x))


def filled(
    alignment: Alignment, tilts: NDArray[np.int64], tilt_deg: NDArray[np.float64], residual_ang: NDArray[np.float64]
) -> Alignment:
    """Extend an alignment of the tilts in use to all: the others are interpolated and marked.

    Parameters
    ----------
    alignment : Alignment
        Of the tilts in use, by increasing tilt.
    tilts : int64[K]
        Their indices.
    tilt_deg : float64[N]
        Of all tilts, as on file; those in use are taken from their alignment.
    residual_ang : float64[K]
    """
    tilt_deg = np.array(tilt_deg)
    tilt_deg[tilts] = alignment.tilt_deg
    shifts = np.stack([np.interp(tilt_deg, alignment.tilt_deg, column) for column in alignment.shift_ang_yx.T], axis=1)
    shifts[tilts] = alignment.shift_ang_yx
    residuals = np.full(len(tilt_deg), np.nan)
    residuals[tilts] = residual_ang
    return Alignment(
        tilt_deg=tilt_deg,
        axis_deg=np.full(len(tilt_deg), alignment.axis_deg[0]),
        shift_ang_yx=shifts,
        kept=np.isin(np.arange(len(tilt_deg)), tilts),
        residual_ang=residuals,
    )
