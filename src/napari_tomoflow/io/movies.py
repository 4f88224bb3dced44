"""Movies an mdoc names: finding the files, opening them, and saying which are not there."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Frames, RawStack
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.eer import EerFile, EerSums
from napari_tomoflow.io.frame_stacks import gain_of, open_frames
from napari_tomoflow.io.mdoc import MDOC_SUFFIX, Mdoc, read_mdoc
from napari_tomoflow.io.movie_files import MovieList, find_movies, name_of_series
from napari_tomoflow.io.tilts import read_tilts

_SAME_SHAPE = 0.01


def is_movies(path: Path) -> bool:
    """Tell whether a source of a series is an mdoc, or a folder of mdocs, rather than a stack."""
    return path.suffix.lower() == MDOC_SUFFIX or path.is_dir()


def are_the_series(path: Path, frames: Sequence[Path], mdoc: Path | None) -> bool:
    """Tell whether movies, or the folder or list that has them, were given in place of an mdoc."""
    return mdoc is None and path.resolve() == frames[0].resolve()


def read_movies(
    path: Path, frames: Sequence[Path] | None = None, gain: Path | None = None, eer: EerSums = EerSums()
) -> RawStack:
    """Open the movies an mdoc names, and gather what it says of them, without judging it.

    Parameters
    ----------
    path : Path
        The mdoc of a series, or a folder with one for each tilt.
    frames : sequence of Path, optional
        Where the movies lie (`find_movies`); the folder of the mdoc when left out.
    gain : Path, optional
        Their gain reference.
    eer : EerSums
        What becomes of EER movies.

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
    places = frames or [path if path.is_dir() else path.parent]
    if missing := [place for place in places if not place.exists()]:
        raise DataError(f"There is no {missing[0]}; give with --frames the folder of the movies {path.name} names.")
    found: dict[str, Path] = {}
    for movie in find_movies(places, gain).movies:
        found.setdefault(movie.name, movie)
    beside = places[0] if places[0].is_dir() else places[0].parent
    images = _open_all(path, [found.get(name, beside / name) for name in mdoc.frame_files], gain, eer)
    values, notes = _said_by(mdoc, images)
    said_by = {**dict.fromkeys(values, mdoc.source), **_sources(places, gain)}
    return RawStack(
        name=name_of_series([path]), source=str(path), images=images, **values, said_by=said_by,
        notes=(*mdoc.notes, *notes, *_how_eer_is_read(images)),
    )  # fmt: skip


def read_listed(
    named: Sequence[Path], angles: Path | None = None, gain: Path | None = None, eer: EerSums = EerSums()
) -> RawStack:
    """Open movies for which there is no mdoc; their angles are in a list of them, or in a file of their own.

    Parameters
    ----------
    named : sequence of Path
        Movies, folders and lists (`find_movies`).
    angles : Path, optional
        Tilt angles in the order of the movies.
    gain, eer
        As for `read_movies`.

    Raises
    ------
    DataError
        A list or the angles are damaged or do not fit each other, or fewer than half of the movies can be opened.
    """
    listed = find_movies(named, gain)
    if not listed.movies:
        raise DataError(f"{named[0]} holds no movies; give a folder with MRC, TIFF or EER files, or the files.")
    values = _angles_of(listed, named, angles)
    images = _open_all(named[0], listed.movies, gain, eer)
    notes = _how_eer_is_read(images)
    if any(place.is_dir() for place in named):
        first, last = listed.movies[0].name, listed.movies[-1].name
        notes.insert(0, f"The movies are in the order of their names: {first} is the first, {last} the last.")
    said_by = {**_sources(named, gain), **dict.fromkeys(values, (angles or named[0]).name)}
    return RawStack(
        name=name_of_series(named), source=str(named[0]), images=images, **values, said_by=said_by, notes=tuple(notes)
    )


def _angles_of(listed: MovieList, named: Sequence[Path], angles: Path | None) -> dict[str, Any]:
    """Read the angles; a file the person names goes before the list."""
    if angles is None:
        return {} if listed.tilt_deg is None else {"tilt_deg": listed.tilt_deg}
    tilt_deg = read_tilts(angles)
    if len(tilt_deg) != len(listed.movies):
        places = f"{named[0]}" if len(named) == 1 else f"{named[0]} and {len(named) - 1} more"
        raise DataError(
            f"{angles} has {len(tilt_deg)} angles but {places} give {len(listed.movies)} movies; give the angles "
            "in the order of the movies."
        )
    return {"tilt_deg": tilt_deg}


def _sources(places: Sequence[Path], gain: Path | None) -> dict[str, str]:
    """Say where frames and gain come from."""
    frames = f"{places[0]}" + (f" and {len(places) - 1} more" if len(places) > 1 else "")
    return {"frames": frames} | ({} if gain is None else {"gain": gain.name})


def _open_all(named_by: Path, movies: Sequence[Path], gain: Path | None, eer: EerSums) -> Frames:
    """Open the movie of every tilt; one that cannot be is left empty."""
    opened: dict[int, Array] = {}
    absent: dict[int, str] = {}
    for tilt, movie in enumerate(movies):
        try:
            opened[tilt] = open_frames(movie, eer)
        except DataError as error:
            absent[tilt] = str(error).partition(";")[0]
    if 2 * len(opened) < len(movies):
        first = min(absent)
        raise DataError(
            f"{named_by} names {len(movies)} movies, of which {len(absent)} cannot be opened ({absent[first]}); "
            "give their folder with --frames."
        )
    nothing = np.empty((0, *next(iter(opened.values())).shape[1:]), np.float32)
    stacks = tuple(opened.get(tilt, nothing) for tilt in range(len(movies)))
    return Frames(stacks, None if gain is None else gain_of(gain, stacks), absent)


def _how_eer_is_read(images: Frames) -> list[str]:
    """Say what became of EER movies."""
    movies = [stack for stack in images.stacks if isinstance(stack, EerFile)]
    if not movies:
        return []
    count, _ = Counter(len(movie) for movie in movies).most_common(1)[0]
    ny, nx = images.shape[1:]
    return [
        f"EER movies are read as {count} sums of frames on a grid of {nx} × {ny} px"
        + (", twice as fine as the detector." if movies[0].sums.upsampling > 1 else ", that of the detector."),
        "Rows of EER movies are read bottom to top, as those of TIFF; check the hand of a map once.",
    ]


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
