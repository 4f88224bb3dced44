"""What the readers of other programs' alignments share: the images they speak of, and where those have their centre.

Every program measures shifts from its own image centre, counted in pixels from 0:

====================  ==============  =====================================
program               centre          from ours, pixel ``N // 2``
====================  ==============  =====================================
RELION, EMAN2         ``N // 2``      0
IMOD, AreTomo         ``(N - 1) / 2`` −1/2 for even N, 0 for odd
Warp, M               ``N / 2``       0 for even N, +1/2 for odd
====================  ==============  =====================================
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Deformation

Floats = NDArray[np.float64]
Shape = tuple[int, int]
BinnedBy = Literal["average", "crop"]


@dataclass(frozen=True, eq=False)
class StackFacts:
    """What a reader must know of the images an alignment is for. Legend: N images.

    Attributes
    ----------
    name : str
        Stem of the stack, by which files are found in a folder.
    path : Path
    pixel_ang : float
    shape_yx : tuple of int
    n_tilts : int
    tilt_deg : float64[N] or None
        Nominal tilts, where the stack's own files say them.
    """

    name: str
    path: Path
    pixel_ang: float
    shape_yx: Shape
    n_tilts: int
    tilt_deg: Floats | None = None


def centre_between_pixels(shape_yx: Shape, binning: float = 1, binned_by: BinnedBy = "average") -> Floats:
    """Return the centre ``(N - 1) / 2`` of images that may be binned minus ours: (x, y) in px of `shape_yx`.

    Parameters
    ----------
    shape_yx : (ny, nx)
        Our images.
    binning : float
        How many of our pixels make one of theirs; below 1 when ours are the binned ones.
    binned_by : {"average", "crop"}
        Averaging keeps ``(N - 1) / 2`` where it is, a Fourier crop ``N // 2``.
    """
    size_xy = np.array(shape_yx[::-1], np.float64)
    if binned_by == "average":
        return np.asarray((size_xy - 1) / 2 - size_xy // 2)
    theirs = size_xy // binning
    return np.asarray(binning * ((theirs - 1) / 2 - theirs // 2))


def centre_at_half(shape_yx: Shape) -> Floats:
    """Return the centre ``N / 2`` minus ours: (x, y) in px."""
    size_xy = np.array(shape_yx[::-1])
    return np.asarray(size_xy / 2 - size_xy // 2, np.float64)


def binning_between(ours_yx: Shape, theirs_yx: Shape, file: Path) -> float:
    """Find how many of our pixels make one of theirs.

    Raises
    ------
    DataError
        The two sizes are not those of one image binned.
    """
    smaller, larger = sorted([ours_yx, theirs_yx])
    whole = max(1, round(max(larger) / max(smaller)))
    if all(abs(n / whole - m) < 1 for n, m in zip(larger, smaller, strict=True)):
        return whole if larger == ours_yx else 1 / whole
    sizes = [" × ".join(map(str, shape[::-1])) for shape in (theirs_yx, ours_yx)]
    raise DataError(
        f"{file} is for images of {sizes[0]} px but the stack has {sizes[1]} px; give the stack that was aligned."
    )


def spread_over(alignment: Alignment, images: NDArray[np.int64], n_tilts: int, left_out_deg: Floats) -> Alignment:
    """Lay an alignment of some images out over all images of a stack; the others are marked as left out.

    Parameters
    ----------
    alignment : Alignment
        Of the images it knows, in any order.
    images : int64[K]
        Place of each of its tilts in the stack, from 0.
    n_tilts : int
        Number of images of the stack.
    left_out_deg : float64[n_tilts]
        Tilt of the images it does not know; read only there.
    """
    tilt_deg, shifts = np.array(left_out_deg, np.float64), np.zeros((n_tilts, 2))
    axis_deg = np.full(n_tilts, np.median(alignment.axis_deg))
    xtilt_deg = np.full(n_tilts, np.median(alignment.xtilt_deg))
    residual_ang, kept = np.full(n_tilts, np.nan), np.zeros(n_tilts, bool)
    tilt_deg[images], shifts[images], axis_deg[images] = alignment.tilt_deg, alignment.shift_ang_yx, alignment.axis_deg
    xtilt_deg[images], residual_ang[images], kept[images] = (
        alignment.xtilt_deg,
        alignment.residual_ang,
        alignment.kept,
    )
    deformation = alignment.deformation
    if deformation is not None:
        nodes = np.zeros((n_tilts, *deformation.nodes_ang_yx.shape[1:]))
        nodes[images] = deformation.nodes_ang_yx
        deformation = Deformation(nodes_ang_yx=nodes, field_ang_yx=deformation.field_ang_yx)
    return alignment.replace(
        tilt_deg=tilt_deg, axis_deg=axis_deg, xtilt_deg=xtilt_deg, shift_ang_yx=shifts, kept=kept,
        residual_ang=residual_ang, deformation=deformation,
    )  # fmt: skip


def without_xtilt(alignment: Alignment, program: str) -> tuple[Alignment, list[str]]:
    """Turn the specimen so that its tilt about x vanishes, for programs that know none.

    What all tilts share is a turn of the specimen and changes no image. What is left of single tilts is
    left out.

    Returns
    -------
    alignment : Alignment
        With ``xtilt_deg`` zero.
    warnings : list of str
        What was turned or left out.
    """
    shared_deg = float(np.median(alignment.xtilt_deg))
    left_deg = float(np.abs(alignment.xtilt_deg - shared_deg)[alignment.kept].max(initial=0.0))
    warnings = []
    if abs(shared_deg) > SAME_DEG:
        warnings.append(
            f"{program} knows no tilt about x: the specimen is turned by {shared_deg:.3g}° about x, "
            "and positions in it with it."
        )
    if left_deg > SAME_DEG:
        warnings.append(f"{program} knows no tilt about x: up to {left_deg:.3g}° of single tilts are left out.")
    return alignment.replace(xtilt_deg=0.0, landmarks=None), warnings


SAME_DEG = 1e-3
"""Angles closer than this are the same: 0.02 px at 1000 px from the centre."""
