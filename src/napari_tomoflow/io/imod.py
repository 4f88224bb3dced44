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
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops.geometry import rotation_z
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.foreign import BinnedBy, centre_between_pixels
from napari_tomoflow.io.tilts import read_rows, read_tilts, write_tilts

Floats = NDArray[np.float64]

_STRETCH = 0.02
"""Beyond this an image is not only turned: our alignment cannot say so, and the person is told."""


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
    raw_from_aligned = np.linalg.inv(matrices)
    moved_px = -binning * np.einsum("nij,nj->ni", raw_from_aligned, shifts_px)
    shift_xy = pixel_ang * (moved_px + centre_between_pixels(shape_yx, binning, binned_by))
    return Alignment(
        tilt_deg=tilt_deg,
        axis_deg=np.rad2deg(np.arctan2(matrices[:, 0, 1] - matrices[:, 1, 0], matrices[:, 0, 0] + matrices[:, 1, 1])),
        xtilt_deg=xtilt_deg,
        shift_ang_yx=shift_xy[:, ::-1],
        quality={"warnings": _stretch_warnings(matrices, xf)},
    )


def write_imod_alignment(
    alignment: Alignment, xf: Path, tlt: Path, *, pixel_ang: float, shape_yx: tuple[int, int], xtilt: Path | None = None
) -> None:
    """Write an alignment for IMOD, for the unbinned images: the inverse of `read_imod_alignment`."""
    shift_px = alignment.shift_ang_yx[:, ::-1] / pixel_ang - centre_between_pixels(shape_yx)
    matrices = rotation_z(-alignment.axis_deg)[:, :2, :2]
    write_xf(xf, matrices, -np.einsum("nij,nj->ni", matrices, shift_px))
    write_tilts(tlt, alignment.tilt_deg)
    if xtilt is not None:
        write_tilts(xtilt, alignment.xtilt_deg)


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


def _stretch_warnings(matrices: Floats, xf: Path) -> list[str]:
    stretches = np.linalg.svd(matrices, compute_uv=False)
    worst = float(np.abs(stretches - 1).max())
    if worst <= _STRETCH:
        return []
    return [
        f"{xf.name} stretches images by up to {100 * worst:.1f} %, which is left out: only rotation and shift are kept."
    ]
