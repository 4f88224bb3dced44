"""AreTomo's alignments: ``.aln`` of AreTomo 1 to 3, the local part too.

A line takes a point of the aligned image, whose tilt axis is vertical, to the raw one::

    r = Rz(ROT) a + LS(Rz(ROT) a) + (TX, TY) + c,    c = (N - 1) / 2 in pixels from 0

with our axis, tilt and sense of tilt (its volume has our axes after ``-FlipVol 2``). LS, where patches were
aligned, is the mean of their shifts weighted by exp(−100 d²), d the distance to each in units of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Deformation
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.foreign import (
    BinnedBy,
    Shape,
    StackFacts,
    binning_between,
    centre_between_pixels,
    spread_over,
    without_xtilt,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_KIND = "an AreTomo .aln file"
_COLUMNS = "SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT"
_NODES = 41
"""Nodes along an image at which the local part is taken: for patches that differ by 3 px, 0.02 px off."""


@dataclass(frozen=True, eq=False)
class AretomoPatches:
    """Local part of an ``.aln``. Legend: N tilts, P patches.

    Attributes
    ----------
    position_px_xy, shift_px_xy : float64[N, P, 2]
        Places from the image centre, before the global shift, and shifts there.
    good : bool[N, P]
    """

    position_px_xy: Floats
    shift_px_xy: Floats
    good: NDArray[np.bool_]

    def shifts_at(self, tilt: int, position_px_xy: Floats, size_px_xy: Floats) -> Floats:
        """Return the local shift at places of a tilt, float64[M, 2], as AreTomo does."""
        good = self.good[tilt]
        if not good.any():
            return np.zeros_like(position_px_xy)
        apart = (position_px_xy[:, None] - self.position_px_xy[tilt, good]) / size_px_xy
        exponent = -100 * np.sum(apart**2, axis=2)
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        return np.asarray(weight @ self.shift_px_xy[tilt, good] / weight.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class AretomoFile:
    """An ``.aln`` file. Legend: N tilts it aligned, D dark ones it left out.

    Attributes
    ----------
    path : Path
    raw_shape : (n, ny, nx)
        Of the stack it aligned, the dark images counted too.
    image : int64[N]
        Place of each tilt in that stack, from 0.
    axis_deg, tilt_deg : float64[N]
    shift_px_xy : float64[N, 2]
    dark_image : int64[D]
    dark_tilt_deg : float64[D]
    thickness_px : float
        Of the specimen; 0 when it does not say.
    patches : AretomoPatches or None
    notes : tuple of str
    """

    path: Path
    raw_shape: tuple[int, int, int]
    image: Ints
    axis_deg: Floats
    tilt_deg: Floats
    shift_px_xy: Floats
    dark_image: Ints
    dark_tilt_deg: Floats
    thickness_px: float = 0.0
    patches: AretomoPatches | None = None
    notes: tuple[str, ...] = ()


def read_aln(path: Path) -> AretomoFile:
    """Read an ``.aln`` file as it is.

    Raises
    ------
    DataError
        It is none, is cut short, or holds something that is not a number.
    """
    header, table, local = _split(path)
    raw = _header_numbers(path, header, "RawSize", 3)
    if not raw:
        raise DataError(f"{path} has no line '# RawSize = nx ny n'; give {_KIND}.")
    nx, ny, n = map(int, raw[0])
    dark = np.array(_header_numbers(path, header, "DarkFrame", 3)).reshape(-1, 3)
    rows = _numbers(path, table, 10)
    if len(rows) + len(dark) != n or not len(rows):
        raise DataError(
            f"{path} is for {n} images but lists {len(rows)} tilts and {len(dark)} dark frames; "
            "copy it again, it may be cut short."
        )
    image, dark_image, notes = _places(path, rows, dark, n)
    if np.any(np.abs(rows[:, 2] - 1) > 1e-3):
        notes.append(f"{path.name} changes the magnification of tilts, which is left out.")
    thickness = _header_numbers(path, header, "Thickness", 1)
    return AretomoFile(
        path=path,
        raw_shape=(n, ny, nx),
        image=image,
        axis_deg=rows[:, 1],
        tilt_deg=rows[:, 9],
        shift_px_xy=rows[:, 3:5],
        dark_image=dark_image,
        dark_tilt_deg=dark[:, 2],
        thickness_px=thickness[0][0] if thickness else 0.0,
        patches=_patches(path, header, local, len(rows)),
        notes=tuple(notes),
    )


def read_aretomo_alignment(path: Path, stack: StackFacts, *, binned_by: BinnedBy = "crop") -> Alignment:
    """Read an AreTomo alignment for a stack; dark frames are marked as left out.

    Parameters
    ----------
    path : Path
    stack : StackFacts
        The stack AreTomo aligned, or the same one binned otherwise.
    binned_by : {"average", "crop"}
        How the smaller of the two stacks was made.

    Raises
    ------
    DataError
        The file is damaged, or is not for this stack.
    """
    file = read_aln(path)
    if file.raw_shape[0] != stack.n_tilts:
        raise DataError(
            f"{path} is for {file.raw_shape[0]} images but {stack.path} holds {stack.n_tilts}; "
            "give the stack that was aligned."
        )
    binning = binning_between(stack.shape_yx, file.raw_shape[1:], path)
    pixel_ang = binning * stack.pixel_ang
    centre_ang_xy = stack.pixel_ang * centre_between_pixels(stack.shape_yx, binning, binned_by)
    shift_ang_xy = pixel_ang * file.shift_px_xy + centre_ang_xy
    aligned = Alignment(
        tilt_deg=file.tilt_deg,
        axis_deg=file.axis_deg,
        shift_ang_yx=shift_ang_xy[:, ::-1],
        thickness_ang=pixel_ang * file.thickness_px or None,
        deformation=_deformation(file, shift_ang_xy, pixel_ang),
        quality={"warnings": list(file.notes)},
    )
    left_out_deg = np.zeros(stack.n_tilts)
    left_out_deg[file.dark_image] = file.dark_tilt_deg
    return spread_over(aligned, file.image, stack.n_tilts, left_out_deg)


def write_aln(path: Path, alignment: Alignment, *, pixel_ang: float, shape_yx: Shape) -> list[str]:
    """Write an alignment as AreTomo 3 does, tilts in rising order, those left out as dark frames.

    Returns
    -------
    list of str
        What AreTomo cannot say and was left out.
    """
    alignment, warnings = without_xtilt(alignment, "AreTomo")
    if alignment.deformation is not None:
        warnings.append("The bending of the specimen is left out: AreTomo's local alignment weighs patches otherwise.")
    shift_px_xy = alignment.shift_ang_yx[:, ::-1] / pixel_ang - centre_between_pixels(shape_yx)
    in_order = np.argsort(alignment.tilt_deg, kind="stable")
    lines = [
        "# AreTomo Alignment / Priims bprmMn",
        f"# RawSize = {shape_yx[1]} {shape_yx[0]} {alignment.n_tilts}",
        "# NumPatches = 0",
        *(
            f"# DarkFrame =  {frame:4d} {tilt + 1:4d} {alignment.tilt_deg[tilt]:11.5f}"
            for frame, tilt in enumerate(in_order)
            if not alignment.kept[tilt]
        ),
        "# AlphaOffset =     0.00",
        "# BetaOffset =     0.00",
        f"# Thickness = {round((alignment.thickness_ang or 0.0) / pixel_ang)}",
        f"# {'     '.join(_COLUMNS.split())}",
        *(
            f"{tilt + 1:5d}  {alignment.axis_deg[tilt]:11.6f}  {1:9.5f}  {shift_px_xy[tilt, 0]:12.5f}  "
            f"{shift_px_xy[tilt, 1]:12.5f}  {1:7.2f}  {1:7.2f}  {1:7.2f}  {0:7.2f}  {alignment.tilt_deg[tilt]:11.6f}"
            for tilt in in_order
            if alignment.kept[tilt]
        ),
    ]
    write_text(path, "\n".join(lines) + "\n")
    return warnings


def _split(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Part a file into its comments, the table of tilts, and the table of patches."""
    header: list[str] = []
    tables: list[list[str]] = []
    for line in read_text(path, _KIND).splitlines():
        text = line.strip()
        if not text.startswith("#"):
            if tables and text:  # what comes before the first table is no number
                tables[-1].append(text)
            continue
        header.append(text)
        if text.split()[1:2] == ["SEC"] or "Local Alignment" in text:
            tables.append([])
    if not tables:
        raise DataError(f"{path} has no line '# {_COLUMNS}'; give {_KIND}.")
    return header, tables[0], tables[1] if len(tables) > 1 else []


def _header_numbers(path: Path, header: Sequence[str], name: str, count: int) -> list[list[float]]:
    """Read the lines ``# name = numbers``."""
    found = [line.partition("=")[2] for line in header if line.lstrip("# ").startswith(name)]
    return _numbers(path, found, count).tolist() if found else []


def _numbers(path: Path, lines: Sequence[str], count: int) -> Floats:
    rows = []
    for line in lines:
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) < count or not np.all(np.isfinite(row)):
            raise DataError(f"{path}: {line.strip()[:60]!r} is not {count} numbers; copy the file again.")
        rows.append(row[:count])
    return np.array(rows, np.float64).reshape(-1, count)


def _places(path: Path, rows: Floats, dark: Floats, n: int) -> tuple[Ints, Ints, list[str]]:
    """Find the images that were aligned and those that were left out.

    Sections count from 0 or 1 by version. Some versions number what was left after the dark frames
    went; then the frames' own places, in the order of the angles, tell which are missing.
    """
    for first in (1, 0):
        aligned, left_out = rows[:, 0].astype(np.int64) - first, dark[:, 1].astype(np.int64) - first
        if np.array_equal(np.sort(np.concatenate([aligned, left_out])), np.arange(n)):
            return aligned, left_out, []
    left_out = dark[:, 0].astype(np.int64)
    aligned = np.setdiff1d(np.arange(n), left_out)
    if len(aligned) != len(rows) or np.any(np.diff(rows[:, 9]) < 0):
        raise DataError(f"{path} numbers its {n} sections in no order we know; align the series again.")
    return aligned, left_out, [f"{path.name} numbers no images; its tilts are taken in the order of their angles."]


def _patches(path: Path, header: Sequence[str], lines: Sequence[str], n_tilts: int) -> AretomoPatches | None:
    announced = _header_numbers(path, header, "NumPatches", 1)
    n_patches = int(announced[0][0]) if announced else 0
    if not n_patches:
        return None
    rows = _numbers(path, lines, 7)
    pairs = rows[:, :2].astype(np.int64)
    expected = np.stack(np.divmod(np.arange(n_tilts * n_patches), n_patches), axis=1)
    if not np.array_equal(pairs, expected):
        raise DataError(
            f"{path} announces {n_patches} patches in {n_tilts} tilts but lists {len(rows)} of "
            f"{n_patches * n_tilts} local shifts; copy it again, it may be cut short."
        )
    table = rows.reshape(n_tilts, n_patches, 7)
    return AretomoPatches(table[..., 2:4], table[..., 4:6], table[..., 6] > 0.9)


def _deformation(file: AretomoFile, shift_ang_xy: Floats, pixel_ang: float) -> Deformation | None:
    """Take the local part at nodes over each image, where our geometry wants it."""
    if file.patches is None or not file.patches.good.any():
        return None
    size_px_xy = np.array(file.raw_shape[:0:-1], np.float64)
    along = np.linspace(-0.5, 0.5, _NODES)
    nodes_ang_xy = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2) * size_px_xy * pixel_ang
    shifts = [
        file.patches.shifts_at(tilt, (nodes_ang_xy - shift_ang_xy[tilt]) / pixel_ang, size_px_xy)
        for tilt in range(len(shift_ang_xy))
    ]
    nodes = -pixel_ang * np.stack(shifts)[..., ::-1].reshape(-1, _NODES, _NODES, 2)
    height, width = size_px_xy[::-1] * pixel_ang
    return Deformation(nodes_ang_yx=nodes, field_ang_yx=(float(height), float(width)))
