"""Movies an mdoc names: finding the files, opening them, and saying which are not there."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Frames, RawStack
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.frame_stacks import EER_SUFFIX, open_frames, open_gain
from napari_tomoflow.io.mdoc import Mdoc, read_mdoc
from napari_tomoflow.io.stacks import STACK_SUFFIXES

MDOC_SUFFIX = ".mdoc"
_SAME_SHAPE = 0.01


def is_movies(path: Path) -> bool:
    """Tell whether a source of a series is an mdoc, or a folder of mdocs, rather than a stack."""
    return path.suffix.lower() == MDOC_SUFFIX or path.is_dir()


def series_name(path: Path) -> str:
    """Name a series of movies after its mdoc: ``TS_01`` for ``TS_01.mrc.mdoc``."""
    name = path.name.removesuffix(MDOC_SUFFIX)
    return next((name.removesuffix(end) for end in STACK_SUFFIXES if name.endswith(end)), name)


def read_movies(path: Path, frames: Path | None = None, gain: Path | None = None) -> RawStack:
    """Open the movies an mdoc names, and gather what it says of them, without judging it.

    Parameters
    ----------
    path : Path
        The mdoc of a series, or a folder with one for each tilt.
    frames : Path, optional
        Folder with the movies; that of the mdoc when left out.
    gain : Path, optional
        Their gain reference.

    Returns
    -------
    RawStack
        Its images are `Frames`; a tilt whose movie is missing or damaged has none, and why.

    Raises
    ------
    DataError
        The mdoc names no movies, fewer than half of them can be opened, or the gain does not fit.
    """
    mdoc = read_mdoc(path)
    if mdoc.frame_files is None:
        raise DataError(
            f"{path} names no movies: it has no SubFramePath for every tilt; give the mdoc of the frames, "
            "or the stack of images instead of an mdoc."
        )
    folder = frames or (path if path.is_dir() else path.parent)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give with --frames the folder of the movies {path.name} names.")
    images = _open_all(path, folder, mdoc.frame_files, None if gain is None else open_gain(gain))
    values, notes = _said_by(mdoc, images)
    if any(Path(name).suffix.lower() == EER_SUFFIX for name in mdoc.frame_files):
        notes.append("Rows of EER movies are read bottom to top, as those of TIFF; check the hand of a map once.")
    said_by = {**dict.fromkeys(values, mdoc.source), "frames": str(folder)}
    if gain is not None:
        said_by["gain"] = gain.name
    return RawStack(
        name=series_name(path), source=str(path), images=images, **values, said_by=said_by,
        notes=(*mdoc.notes, *notes),
    )  # fmt: skip


def _open_all(mdoc: Path, folder: Path, names: tuple[str, ...], gain: Array | None) -> Frames:
    """Open the movie of every tilt; one that cannot be is left empty."""
    opened: dict[int, Array] = {}
    absent: dict[int, str] = {}
    for tilt, name in enumerate(names):
        try:
            opened[tilt] = open_frames(folder / name)
        except DataError as error:
            absent[tilt] = str(error).partition(";")[0]
    if 2 * len(opened) < len(names):
        first = min(absent)
        raise DataError(
            f"{mdoc} names {len(names)} movies, of which {len(absent)} cannot be opened ({absent[first]}); "
            "give their folder with --frames."
        )
    nothing = np.empty((0, *next(iter(opened.values())).shape[1:]), np.float32)
    return Frames(tuple(opened.get(tilt, nothing) for tilt in range(len(names))), gain, absent)


def _said_by(mdoc: Mdoc, images: Frames) -> tuple[dict[str, Any], list[str]]:
    """Take over what an mdoc says; its pixel size is that of its own images, which may be binned."""
    pixel_ang, notes = mdoc.pixel_ang, []
    ny, nx = images.shape[1:]
    if pixel_ang is not None and mdoc.image_size_xy is not None and mdoc.image_size_xy != (nx, ny):
        binned = nx / mdoc.image_size_xy[0]
        size = " × ".join(map(str, mdoc.image_size_xy))
        if abs(ny / mdoc.image_size_xy[1] / binned - 1) < _SAME_SHAPE:
            pixel_ang /= binned
            notes.append(
                f"{mdoc.source} is of images of {size} px, the frames of {nx} × {ny} px: {pixel_ang:g} Å each."
            )
        else:
            pixel_ang = None
            notes.append(f"The pixel size in {mdoc.source} is for images of {size}, these are {nx} × {ny}: not used.")
    values = {
        "pixel_ang": pixel_ang,
        "axis_deg": mdoc.axis_deg,
        "voltage_kv": mdoc.voltage_kv,
        "tilt_deg": mdoc.tilt_deg,
        "dose_of_tilt_e_ang2": mdoc.dose_of_tilt_e_ang2,
        "dose_before_e_ang2": mdoc.dose_before_e_ang2,
        "order": mdoc.order,
    }
    return {name: value for name, value in values.items() if value is not None}, notes
