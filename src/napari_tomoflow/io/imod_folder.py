"""A folder IMOD (eTomo, or AreTomo for IMOD) worked in, read as one alignment."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.ops.geometry import rotation_x, rotation_z
from napari_tomoflow.io.foreign import BinnedBy, StackFacts, binning_between
from napari_tomoflow.io.imod import read_imod_alignment
from napari_tomoflow.io.imod_com import (
    ImodCom,
    align_com_warnings,
    centre_shift_ang_zyx,
    read_tilt_com,
)


def read_imod_folder(folder: Path, stack: StackFacts, *, binned_by: BinnedBy = "average") -> Alignment:
    """Read what IMOD left of a series: ``.xf``, ``.tlt``, ``.xtilt``, and ``tilt.com`` where there is one.

    The specimen lies as in IMOD's own volume turned by ``trimvol -rx``: the offset, shift and x-axis tilt
    of ``tilt.com`` are taken over.

    Parameters
    ----------
    folder : Path
        Folder of the series, or the one above its folder, or its ``.xf``.
    stack : StackFacts
        The stack IMOD aligned, or the same one binned otherwise; ``FULLIMAGE`` tells them apart.
    binned_by : {"average", "crop"}
        How the smaller of the two stacks was made; IMOD averages.

    Raises
    ------
    MissingError
        There is no ``.xf`` or no ``.tlt`` of the series.
    DataError
        A file is damaged, or the files are not of this stack.
    """
    xf = find_xf(folder, stack.name)
    place, stem = xf.parent, xf.stem
    com_file, com = _tilt_com(place, stem)
    tlt = _first(place, [f"{stem}.tlt", com.options.get("TILTFILE", "")])
    if tlt is None:
        raise MissingError(f"{place} holds {xf.name} but no {stem}.tlt; put IMOD's refined angles beside it.")
    binning = 1.0 if com_file is None else _binning(com, stack, com_file)
    alignment = read_imod_alignment(
        xf,
        tlt,
        xtilt=_first(place, [com.options.get("XTILTFILE", "") if com_file else f"{stem}.xtilt"]),
        pixel_ang=stack.pixel_ang,
        shape_yx=stack.shape_yx,
        binning=binning,
        binned_by=binned_by,
    )
    _check_counts(alignment, com, stack, xf, com_file)
    warnings = [*alignment.quality["warnings"], *com.warnings, *_align_warnings(place, stem)]
    return _as_reconstructed(alignment, com, stack.pixel_ang * binning).replace(quality={"warnings": warnings})


def find_xf(folder: Path, name: str) -> Path:
    """Find the transforms of a series, ``name.xf`` or AreTomo's ``name_st.xf``.

    Raises
    ------
    MissingError
        There are none.
    """
    if folder.is_file():
        return folder
    for place in (folder, folder / name, folder / f"{name}_Imod"):
        found = _first(place, [f"{name}.xf", f"{name}_st.xf"])
        if found is not None:
            return found
    raise MissingError(f"{folder} holds no {name}.xf; give the folder of IMOD's alignment of {name}.")


def list_xf(folder: Path) -> list[Path]:
    """List the transforms of raw stacks in a folder and the folders in it."""
    inner = ("_fid", "_nonfid", "local")
    found = sorted([*folder.glob("*.xf"), *folder.glob("*/*.xf")])
    return [path for path in found if not path.stem.endswith(inner)]


def _first(place: Path, names: Sequence[str]) -> Path | None:
    return next((place / name for name in names if name and (place / name).is_file()), None)


def _tilt_com(place: Path, stem: str) -> tuple[Path | None, ImodCom]:
    """Find the command file of a series; one of another series in the same folder names other angles."""
    for name in (f"{stem}_tilt.com", "tilt.com", "tilta.com", "tiltb.com"):
        file = _first(place, [name])
        if file is not None:
            com = read_tilt_com(file)
            if Path(com.options.get("TILTFILE", f"{stem}.tlt")).stem == stem:
                return file, com
    return None, ImodCom(options={})


def _check_counts(alignment: Alignment, com: ImodCom, stack: StackFacts, xf: Path, com_file: Path | None) -> None:
    if alignment.n_tilts != stack.n_tilts:
        raise DataError(
            f"{xf} holds {alignment.n_tilts} transforms but {stack.path} {stack.n_tilts} images; "
            "give the stack that was aligned."
        )
    if any(view >= stack.n_tilts for view in com.excluded):
        raise DataError(f"{com_file} leaves out view {max(com.excluded) + 1} of {stack.n_tilts}; mend its EXCLUDELIST.")


def _binning(com: ImodCom, stack: StackFacts, file: Path) -> float:
    """Compare the images with those IMOD had; a stack turned to its axis may have them lying."""
    if com.full_image_yx is None:
        return 1.0
    lying = (stack.shape_yx[0] < stack.shape_yx[1]) != (com.full_image_yx[0] < com.full_image_yx[1])
    theirs = com.full_image_yx[::-1] if lying else com.full_image_yx
    return binning_between(stack.shape_yx, theirs, file)


def _align_warnings(place: Path, stem: str) -> list[str]:
    align_com = _first(place, [f"{stem}_align.com", "align.com", "aligna.com"])
    return [] if align_com is None else align_com_warnings(align_com)


def _as_reconstructed(alignment: Alignment, com: ImodCom, pixel_ang: float) -> Alignment:
    """Turn and shift the specimen as ``tilt`` does, with IMOD's pixel; what it leaves out is left out."""
    axis_offset_xyz = np.array([pixel_ang * com.axis_offset_px, 0.0, 0.0])
    moved = alignment.replace(
        tilt_deg=alignment.tilt_deg + com.offset_deg,
        shift_ang_yx=alignment.shift_ang_yx + (rotation_z(alignment.axis_deg) @ axis_offset_xyz)[:, 1::-1],
        kept=~np.isin(np.arange(alignment.n_tilts), list(com.excluded)),
        thickness_ang=pixel_ang * com.thickness_px or None,
    )
    centre_xyz = rotation_x(-com.xaxistilt_deg) @ centre_shift_ang_zyx(com, pixel_ang)[::-1]
    if com.xaxistilt_deg or centre_xyz.any():
        return moved.levelled((0.0, -com.xaxistilt_deg), (centre_xyz[2], centre_xyz[1], centre_xyz[0]))
    return moved
