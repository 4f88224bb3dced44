"""Movies an mdoc names: finding the files, opening them, and saying which are not there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Frames, RawStack
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.frame_stacks import EER_SUFFIX, open_frames, open_gain
from napari_tomoflow.io.mdoc import Mdoc, read_mdoc
from napari_tomoflow.io.stacks import STACK_SUFFIXES
from napari_tomoflow.io.tilts import read_tilts

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
        Folder with the movies, or a list of them; the folder of the mdoc when left out.
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
    if not folder.exists():
        raise DataError(f"There is no {folder}; give with --frames the folder of the movies {path.name} names.")
    listed = {} if folder.is_dir() else {movie.name: movie for movie in read_list(folder).movies}
    movies = [listed.get(name, folder / name if folder.is_dir() else Path(name)) for name in mdoc.frame_files]
    images = _open_all(path, movies, None if gain is None else open_gain(gain))
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


@dataclass(frozen=True, eq=False)
class MovieList:
    """What a list of movies says.

    Attributes
    ----------
    movies : tuple of Path
    tilt_deg : float64[N] or None
    """

    movies: tuple[Path, ...]
    tilt_deg: NDArray[np.float64] | None


def read_list(path: Path) -> MovieList:
    """Read a list of movies: a file in each line, relative to the list, and behind it the tilt angle or nothing.

    Raises
    ------
    DataError
        It is no text, it is empty, or only some lines have an angle.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no list of movies ({error}); give a folder, or a text file of one movie a line."
        ) from None
    entries = [_entry(line) for line in lines if line and not line.startswith("#")]
    angles = [angle for _, angle in entries if angle is not None]
    if not entries:
        raise DataError(f"{path} names no movies; write one in each line.")
    if angles and len(angles) < len(entries):
        raise DataError(f"{path} has {len(angles)} angles for {len(entries)} movies; write one behind each, or none.")
    movies = tuple(path.parent / name for name, _ in entries)
    return MovieList(movies, np.array(angles, np.float64) if angles else None)


def _entry(line: str) -> tuple[str, float | None]:
    """Split a line into the name of a file, which may have blanks in it, and an angle."""
    name, _, last = line.rpartition(" ")
    try:
        return (name.strip(), float(last)) if name else (line, None)
    except ValueError:
        return line, None


def read_listed(path: Path, angles: Path | None = None, gain: Path | None = None) -> RawStack:
    """Open the movies of a list, for which there is no mdoc; their angles are in the list, or in a file of their own.

    Raises
    ------
    DataError
        The list or the angles are damaged or do not fit each other, or fewer than half of the movies can be opened.
    """
    listed = read_list(path)
    tilt_deg, source = listed.tilt_deg, path
    if angles is not None:
        tilt_deg, source = read_tilts(angles), angles
        if len(tilt_deg) != len(listed.movies):
            raise DataError(
                f"{angles} has {len(tilt_deg)} angles but {path} names {len(listed.movies)} movies; give the angles "
                "in the order of the list."
            )
    images = _open_all(path, listed.movies, None if gain is None else open_gain(gain))
    said_by = {"frames": str(path)} | ({} if tilt_deg is None else {"tilt_deg": source.name})
    if gain is not None:
        said_by["gain"] = gain.name
    return RawStack(name=path.stem, source=str(path), images=images, tilt_deg=tilt_deg, said_by=said_by)


def _open_all(named_by: Path, movies: Sequence[Path], gain: Array | None) -> Frames:
    """Open the movie of every tilt; one that cannot be is left empty."""
    opened: dict[int, Array] = {}
    absent: dict[int, str] = {}
    for tilt, movie in enumerate(movies):
        try:
            opened[tilt] = open_frames(movie)
        except DataError as error:
            absent[tilt] = str(error).partition(";")[0]
    if 2 * len(opened) < len(movies):
        first = min(absent)
        raise DataError(
            f"{named_by} names {len(movies)} movies, of which {len(absent)} cannot be opened ({absent[first]}); "
            "give their folder with --frames."
        )
    nothing = np.empty((0, *next(iter(opened.values())).shape[1:]), np.float32)
    return Frames(tuple(opened.get(tilt, nothing) for tilt in range(len(movies))), gain, absent)


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
