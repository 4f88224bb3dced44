"""IMOD's alignment files: ``.xf`` with ``.tlt`` and ``.xtilt``, exactly, the half pixel included.

A line of an ``.xf`` takes a point of the raw image to the aligned one, whose tilt axis is vertical::

    r' - c = A (r - c) + d          r, r' pixels (x, y) from 0;  c = (N - 1) / 2, between pixels for even N

and with R = A⁻¹ = Rz(axis) ours is, in Å from pixel N // 2,

    s = pixel (-R d + c - N // 2)

A stack that was binned before it was aligned has its own pixel; ``binning`` and ``binned_by`` say how:
averaging keeps c where it is, a Fourier crop keeps N // 2 where it is.

``.tlt`` angles are those of our Ry and ``.xtilt`` angles those of our Rx: IMOD's reconstruction turned by
``trimvol -rx`` has our axes (see the conventions page).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Deformation
from napari_tomoflow.core.ops.geometry import rotation_z
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.foreign import BinnedBy, Shape, centre_between_pixels
from napari_tomoflow.io.tilts import read_rows, read_tilts, write_tilts

Floats = NDArray[np.float64]

_STRETCH = 5e-4
"""Beyond this an image is not only turned: half a pixel at 1000 px from its centre."""

_BENT_PX = 0.05
"""Bending a transform cannot say is told of when it is more than this."""

_NODES = 13
"""Nodes along an image for what is not turning. It is linear, and the ends of our spline are flat: many keep the
error near the edge."""


def read_imod_alignment(
    xf: Path,
    tlt: Path,
    *,
    pixel_ang: float,
    shape_yx: tuple[int, int],
    xtilt: Path | None = None,
    binning: float = 1,
    binned_by: BinnedBy = "average",
) -> Alignment:
    """Read an alignment IMOD (or AreTomo for IMOD) wrote.

    Parameters
    ----------
    xf, tlt : Path
        Transforms and refined tilt angles.
    pixel_ang : float
        Pixel of the unbinned images.
    shape_yx : (ny, nx)
        Size of the unbinned images, px.
    xtilt : Path, optional
        Tilts about x.
    binning : float
        Of the stack the ``.xf`` was made on; below 1 when ours is the binned one.
    binned_by : {"average", "crop"}
        ``average`` as newstack and SerialEM bin, ``crop`` as Fourier cropping does.

    Raises
    ------
    DataError
        A file is damaged, or the files hold different numbers of tilts.
    """
    matrices, shifts_px = read_xf(xf)
    tilt_deg = read_tilts(tlt)
    xtilt_deg = np.zeros(len(tilt_deg)) if xtilt is None else read_tilts(xtilt)
    if not len(matrices) == len(tilt_deg) == len(xtilt_deg):
        raise DataError(
            f"{xf} holds {len(matrices)} transforms, {tlt} {len(tilt_deg)} angles and the x-tilts number "
            f"{len(xtilt_deg)}; give files of the same series."
        )
    raw_from_aligned: Floats = np.asarray(np.linalg.inv(matrices), np.float64)
    moved_px = -binning * np.einsum("nij,nj->ni", raw_from_aligned, shifts_px)
    shift_xy = pixel_ang * (moved_px + centre_between_pixels(shape_yx, binning, binned_by))
    alignment = Alignment(
        tilt_deg=tilt_deg,
        axis_deg=np.rad2deg(np.arctan2(matrices[:, 0, 1] - matrices[:, 1, 0], matrices[:, 0, 0] + matrices[:, 1, 1])),
        xtilt_deg=xtilt_deg,
        shift_ang_yx=shift_xy[:, ::-1],
        quality={"warnings": []},
    )
    worst = float(np.abs(np.linalg.svd(matrices, compute_uv=False) - 1).max())
    if worst <= _STRETCH:
        return alignment
    kept = f"{xf.name} stretches images by up to {100 * worst:.1f} %, which is kept as a bending of the images."
    return alignment.replace(
        deformation=_stretched(alignment, raw_from_aligned, pixel_ang, shape_yx), quality={"warnings": [kept]}
    )


def write_imod_alignment(
    alignment: Alignment, xf: Path, tlt: Path, *, pixel_ang: float, shape_yx: Shape, xtilt: Path | None = None
) -> list[str]:
    """Write an alignment for IMOD, for the unbinned images: the inverse of `read_imod_alignment`.

    A transform can stretch an image but not bend it, so of a deformation the part that is linear over
    the image is written.

    Returns
    -------
    list of str
        What was left out.
    """
    shift_px = alignment.shift_ang_yx[:, ::-1] / pixel_ang - centre_between_pixels(shape_yx)
    matrices = rotation_z(-alignment.axis_deg)[:, :2, :2]
    warnings = []
    if alignment.deformation is not None:
        beyond, moved_ang, left_ang = _linear_part(alignment, alignment.deformation)
        shift_px = shift_px - moved_ang / pixel_ang
        matrices = matrices @ np.linalg.inv(np.eye(2) - beyond)
        if left_ang > _BENT_PX * pixel_ang:
            warnings.append(
                f"IMOD's transforms bend no images: up to {left_ang / pixel_ang:.2g} px of the specimen's bending "
                "are left out."
            )
    write_xf(xf, matrices, -np.einsum("nij,nj->ni", matrices, shift_px))
    write_tilts(tlt, alignment.tilt_deg)
    if xtilt is not None:
        write_tilts(xtilt, alignment.xtilt_deg)
    return warnings


def read_xf(path: Path) -> tuple[Floats, Floats]:
    """Read transforms: A float64[N, 2, 2] and d float64[N, 2] in px, both acting on (x, y).

    Raises
    ------
    DataError
        A line does not have six numbers, or a transform cannot be undone.
    """
    rows = read_rows(path, "an IMOD .xf file")
    wrong = next((number for number, row in enumerate(rows, start=1) if len(row) != 6), 0)
    if wrong:
        raise DataError(
            f"{path}, transform {wrong}: {len(rows[wrong - 1])} numbers where an .xf has six; mend the file."
        )
    table = np.array(rows)
    matrices = table[:, :4].reshape(-1, 2, 2)
    flat = np.flatnonzero(np.abs(np.linalg.det(matrices)) < 1e-6)
    if len(flat):
        raise DataError(f"{path}, transform {flat[0] + 1} squeezes the image to a line; align that tilt again.")
    return matrices, table[:, 4:]


def write_xf(path: Path, matrices: Floats, shifts_px: Floats) -> None:
    """Write transforms with ten decimals, which IMOD's free format reads as its own."""
    rows = np.concatenate([matrices.reshape(-1, 4), shifts_px], axis=1)
    write_text(path, "".join(" ".join(f"{value:15.10f}" for value in row) + "\n" for row in rows))


def _stretched(alignment: Alignment, raw_from_aligned: Floats, pixel_ang: float, shape_yx: Shape) -> Deformation:
    """Keep what a transform does beyond turning: how far it puts points from where the rotation would."""
    height, width = (pixel_ang * size for size in shape_yx)
    nodes_yx = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, _NODES)] * 2, indexing="ij"), axis=-1) * (height, width)
    turned = rotation_z(alignment.axis_deg)[:, :2, :2]
    beyond = np.eye(2) - raw_from_aligned @ turned.transpose(0, 2, 1)
    from_centre_xy = (nodes_yx - alignment.shift_ang_yx[:, None, None])[..., ::-1]
    displaced_xy = np.einsum("nij,nyxj->nyxi", beyond, from_centre_xy)
    return Deformation(nodes_ang_yx=displaced_xy[..., ::-1], field_ang_yx=(height, width))


def _linear_part(alignment: Alignment, deformation: Deformation) -> tuple[Floats, Floats, float]:
    """Fit D2(u) = beyond · (u − shift) + moved to each tilt.

    Returns
    -------
    beyond : float64[N, 2, 2]
        Acting on (x, y).
    moved_ang_xy : float64[N, 2]
    left_ang : float
        The farthest that any node is from the fit.
    """
    n_tilts, rows, columns, _ = deformation.nodes_ang_yx.shape
    height, width = deformation.field_ang_yx
    across = np.linspace(-0.5, 0.5, rows) * height, np.linspace(-0.5, 0.5, columns) * width
    nodes_yx = np.stack(np.meshgrid(*across, indexing="ij"), axis=-1).reshape(-1, 2)
    beyond, moved, left_ang = np.zeros((n_tilts, 2, 2)), np.zeros((n_tilts, 2)), 0.0
    for tilt in np.flatnonzero(alignment.kept):
        from_shift_xy = (nodes_yx - alignment.shift_ang_yx[tilt])[:, ::-1]
        known = np.column_stack([from_shift_xy, np.ones(len(nodes_yx))])
        displaced_xy = deformation.nodes_ang_yx[tilt].reshape(-1, 2)[:, ::-1]
        fitted = np.linalg.lstsq(known, displaced_xy)[0]
        beyond[tilt], moved[tilt] = fitted[:2].T, fitted[2]
        left_ang = max(left_ang, float(np.linalg.norm(known @ fitted - displaced_xy, axis=1).max()))
    return beyond, moved, left_ang
