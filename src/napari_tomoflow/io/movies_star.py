"""``movies.star``: what is known of a movie series, and where its frames lie. It never copies raw data."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.model import Frames, Movies
from napari_tomoflow.core.model.noun import Array
from napari_tomoflow.io.eer import EerFile, EerSums
from napari_tomoflow.io.frame_stacks import gain_of, open_frames
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.series_star import both_paths, find_file, read_series_blocks, series_blocks
from napari_tomoflow.io.star import write_star

MOVIES_STAR = "movies.star"
_MOVIE, _GAIN, _COUNT = "rlnMicrographMovieName", "rlnMicrographGainName", "rlnTomoTiltMovieFrameCount"
_SIZE_Y, _SIZE_X = "tomoflowFrameSizeY", "tomoflowFrameSizeX"
_GROUPING, _UPSAMPLING = "rlnEERGrouping", "rlnEERUpsampling"
_NONE = "none"


def save_movies(movies: Movies, folder: Path) -> str:
    """Write ``movies.star`` with RELION's column names; frames that are in memory only go beside it as MRC.

    Files are named by absolute path and by path relative to `folder`, as in ``tilt_series.star``.
    """
    general, table = series_blocks(movies)
    ny, nx = movies.shape_yx
    general |= {_SIZE_Y: ny, _SIZE_X: nx}
    if movies.gain is not None:
        gain = movies.gain if hasattr(movies.gain, "path") else movies.gain[None]
        general |= _place_of(gain, _GAIN, "gain.mrc", movies, folder)
    general |= next((_eer_facts(stack) for stack in movies.images.stacks if isinstance(stack, EerFile)), {})
    places = [
        _place_of(stack, _MOVIE, f"frames_{tilt:03d}.mrc", movies, folder)
        for tilt, stack in enumerate(movies.images.stacks)
    ]
    table[_MOVIE] = [place.get(_MOVIE, _NONE) for place in places]
    table[f"{_MOVIE}Absolute"] = [place.get(f"{_MOVIE}Absolute", place.get(_MOVIE, _NONE)) for place in places]
    table[_COUNT] = [int(stack.shape[0]) for stack in movies.images.stacks]
    table["tomoflowAbsentBecause"] = [movies.images.absent.get(tilt, "") for tilt in range(movies.n_tilts)]
    write_star(folder / MOVIES_STAR, {"general": general, "tilts": table})
    return MOVIES_STAR


def load_movies(folder: Path) -> Movies:
    """Read ``movies.star`` and open its frames.

    Raises
    ------
    DataError
        The file or one it names is not there or is damaged.
    """
    path = folder / MOVIES_STAR
    general, table, values = read_series_blocks(path)
    nothing = np.empty((0, int(general[_SIZE_Y]), int(general[_SIZE_X])), np.float32)
    rows: list[dict[str, Any]] = [dict(row) for _, row in table.iterrows()]
    eer = EerSums(int(general.get(_GROUPING, 0)) or None, int(general.get(_UPSAMPLING, 1)))
    stacks = tuple(open_frames(find_file(row, _MOVIE, path, "movie"), eer) if row[_COUNT] else nothing for row in rows)
    gain = gain_of(find_file(general, _GAIN, path, "gain reference"), stacks) if _GAIN in general else None
    absent = {tilt: row["tomoflowAbsentBecause"] for tilt, row in enumerate(rows) if not row[_COUNT]}
    return Movies(images=Frames(stacks, gain, absent), **values)


def _eer_facts(movie: EerFile) -> dict[str, int]:
    """Say how EER movies became frames; a grouping of 0 is that of ten sums."""
    return {_GROUPING: movie.sums.grouping or 0, _UPSAMPLING: movie.sums.upsampling}


def _place_of(array: Array, column: str, own: str, movies: Movies, folder: Path) -> dict[str, Any]:
    """Say where frames lie, writing them first when they lie nowhere; nowhere at all where there are none."""
    if not array.shape[0]:
        return {}
    if hasattr(array, "path"):
        return both_paths(column, array.path, folder)
    write_mrc(folder / own, array, movies.pixel_ang, stack=True, label=f"frames of {movies.name}")
    return {column: own}
