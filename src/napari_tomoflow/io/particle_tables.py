"""Tables of particles of all programs: one door in and one out."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.files import cannot_write, require_file
from napari_tomoflow.io.particle_formats import ANY, FORMATS, ParticleFormat, Told, TomogramFrame, Unit
from napari_tomoflow.io.relion import STAR_SUFFIXES, resolve
from napari_tomoflow.io.star import labels_of, read_star, table_of

Frames = TomogramFrame | Mapping[str, TomogramFrame] | None

TABLE_SUFFIXES = tuple(dict.fromkeys(suffix for one in FORMATS for suffix in one.suffixes))
"""Endings of the names of files that may be tables of particles."""

SPECIES = "species"
"""Feature that names the kind of each particle."""

_KIND = "a table of particles"
_PICKLED = ".tloc"
_IN_SET = "rlnTomoParticlesFile"
_NEARLY_ALL = 0.98


def read_particle_table(
    path: Path,
    *,
    frames: Frames = None,
    tomogram: str = "",
    unit: Unit | None = None,
    pixel_ang: float | None = None,
    program: str | None = None,
) -> ParticleSet:
    """Read particles from a file of whatever program, told by its name and contents.

    Parameters
    ----------
    path : Path
    frames : TomogramFrame or mapping of str to TomogramFrame, optional
        What is known of the tomogram, or of each by name. Most programs count voxels from a corner, so that
        their tables cannot be read without shape and voxel size.
    tomogram : str
        Name of the tomogram, where the file does not say it; left out, that of the file.
    unit : {"px", "ang", "ang-corner"}, optional
        What positions are counted in, where the file does not say it: voxels from the corner, Å from the
        centre, Å from the corner.
    pixel_ang : float, optional
        Å per pixel that positions are counted in; goes before what the file says.
    program : str, optional
        Name of one of `FORMATS`; left out, found from the file.

    Returns
    -------
    ParticleSet
        ``quality["warnings"]`` says what a person should know, such as how many lie outside the tomogram.

    Raises
    ------
    DataError
        The file is missing, damaged or of no program we know, or needs what nobody has said; the text asks
        for it by name.
    """
    told = Told(_by_name(frames), tomogram, unit, pixel_ang)
    particles = read_as_told(path, told, program)
    warnings = [*particles.quality["warnings"], *outside_warnings(particles, told)]
    return particles.replace(quality={**particles.quality, "warnings": warnings})


def read_as_told(path: Path, told: Told, program: str | None = None) -> ParticleSet:
    """Read particles as `read_particle_table` does, without looking whether they lie inside their tomograms."""
    path = _listed(path)
    found = format_of(path, program)
    particles = found.read(path, told)
    warnings = list(particles.quality.get("warnings", ()))
    return particles.replace(quality={"particles": len(particles), "format": found.name, "warnings": warnings})


def write_particle_table(
    path: Path, particles: ParticleSet, *, frames: Frames = None, program: str | None = None
) -> list[str]:
    """Write particles as a file of another program, whole or not at all.

    Parameters
    ----------
    path : Path
    particles : ParticleSet
    frames : TomogramFrame or mapping of str to TomogramFrame, optional
        What is known of the tomogram, or of each by name.
    program : str, optional
        Name of one of `FORMATS`; left out, the first that has the ending of `path`.

    Returns
    -------
    list of str
        Sentences on what the program has no place for.

    Raises
    ------
    DataError
        The file cannot be written, or needs what nobody has said.
    """
    chosen = _to_write(path, program)
    _check_is_one(particles.tomogram, chosen, "tomogram", chosen.one_tomogram)
    _check_is_one(particles.features.get(SPECIES, np.array([])), chosen, "species", chosen.one_species)
    if not path.parent.is_dir():
        raise cannot_write(path, FileNotFoundError(2, "its folder is not there"))
    told = Told(_by_name(frames))
    return [*_left_out(particles, chosen), *chosen.write(path, particles, told)]


def format_of(path: Path, program: str | None = None) -> ParticleFormat:
    """Find out of which program a table is, or check that it is of the one named.

    Raises
    ------
    DataError
        It is of no program we know.
    """
    if program is not None:
        return _by_program(program)
    require_file(path, _KIND)
    if path.suffix.lower() == _PICKLED:
        raise DataError(
            f"{path} is a Python pickle, which may run any program when read; run tomotwin_pick.py and give its "
            ".cbox or .coords."
        )
    found = _recognised(path) or _only_one(path.suffix.lower())
    if found is None:
        raise DataError(f"{path} is {_KIND} of no program we know; give one of {', '.join(TABLE_SUFFIXES)}.")
    return found


def is_particle_table(path: Path) -> bool:
    """Tell whether a file looks like a table of particles, without reading all of it."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with suppress(DataError):
        return _recognised(_listed(path)) is not None
    return False


def outside_warnings(particles: ParticleSet, told: Told) -> list[str]:
    """Say how many particles lie outside each tomogram whose frame is known, and whether other axes would fit."""
    warnings = []
    for name in sorted(set(map(str, particles.tomogram))):
        frame = told.frame(name)
        if frame.is_whole:
            centers = particles.centers_ang_zyx[particles.tomogram == name]
            warnings += _outside(name, frame, centers)
    return warnings


def _outside(name: str, frame: TomogramFrame, centers_ang_zyx: NDArray[np.float64]) -> list[str]:
    shape = np.array(frame.shape_zyx)

    def inside(voxels_zyx: NDArray[np.float64]) -> int:
        return int(np.sum(np.all((voxels_zyx >= -0.5) & (voxels_zyx <= shape - 0.5), axis=1)))

    voxels = frame.voxels_zyx(centers_ang_zyx)
    total, there = len(voxels), inside(voxels)
    if there == total:
        return []
    size = " × ".join(map(str, shape[::-1]))
    sentence = f"{total - there} of {total} particles lie outside the tomogram {name} of {size} voxels"
    # z, y, x is tried first: it is what numpy's programs write, and with nx = ny others fit as well.
    for axes in sorted(map(list, permutations(range(3))), reverse=True):
        # Columns in another order give voxels in that order where a file counts from the corner, Å where from the
        # centre.
        swapped = max(inside(voxels[:, axes]), inside(frame.voxels_zyx(centers_ang_zyx[:, axes])))
        if swapped >= _NEARLY_ALL * total and swapped > there:
            written = ", ".join("zyx"[axis] for axis in reversed(axes))
            return [f"{sentence}, but inside if the columns are {written}: check the order of its axes."]
    return [f"{sentence}; check the tomogram, its voxel size and the units of the file."]


def _listed(path: Path) -> Path:
    """Follow RELION's optimisation set to the particles it lists."""
    if path.suffix.lower() not in STAR_SUFFIXES or f"_{_IN_SET}" not in labels_of(path):
        return path
    listed = resolve(str(table_of(read_star(path), _IN_SET, path)[_IN_SET].iloc[0]), path)
    if not listed.is_file():
        raise DataError(f"{path} lists the particles {listed}, which are not there; put them back and try again.")
    return listed


def _recognised(path: Path) -> ParticleFormat | None:
    suffix = path.suffix.lower()
    return next((one for one in FORMATS if suffix in one.suffixes and one.recognises(path)), None)


def _only_one(suffix: str) -> ParticleFormat | None:
    """Return the format with an ending no other has: its reader says best what is wrong with a file."""
    owners = [one for one in FORMATS if suffix in one.suffixes]
    return owners[0] if len(owners) == 1 else None


def _to_write(path: Path, program: str | None) -> ParticleFormat:
    if program is not None:
        return _by_program(program)
    if path.name.endswith("_info.json"):
        return _by_program("eman2")
    if path.suffix.lower() == ".json":
        return _by_program("copick")
    found = next((one for one in FORMATS if path.suffix.lower() in one.suffixes), None)
    if found is None:
        raise ParamError(f"No particles are written to {path.name}; end it in one of {', '.join(TABLE_SUFFIXES)}.")
    return found


def _check_is_one(column: NDArray[Any], chosen: ParticleFormat, kind: str, must: bool) -> None:
    names = sorted(set(map(str, column)))
    if must and len(names) > 1:
        raise DataError(
            f"{_capital(chosen.title)} is about one {kind}, but these particles are of {len(names)} "
            f"({', '.join(names[:3])}{', …' if len(names) > 3 else ''}); write a file for each."
        )


def _by_program(program: str) -> ParticleFormat:
    found = next((one for one in FORMATS if one.name == program), None)
    if found is None:
        names = ", ".join(one.name for one in FORMATS)
        raise ParamError(f"Particles of {program!r} are not known; give one of {names}.")
    return found


def _by_name(frames: Frames) -> Mapping[str, TomogramFrame]:
    if frames is None:
        return {}
    return {ANY: frames} if isinstance(frames, TomogramFrame) else frames


def _left_out(particles: ParticleSet, chosen: ParticleFormat) -> list[str]:
    """Say in one sentence what the program has no place for, of what there is."""
    there: Mapping[str, tuple[str, bool]] = {
        "turns": ("the orientations", bool(np.any(particles.quaternions_xyzw[:, 3] ** 2 < 1 - 1e-9))),
        "class_ids": ("the classes", bool(particles.class_ids.any())),
        "half": ("the half-sets", bool(particles.half.any())),
        "score": ("the scores", bool(np.isfinite(particles.score).any())),
    }
    lost = [words for field, (words, is_there) in there.items() if is_there and field not in chosen.keeps]
    if chosen.columns is not None:
        lost += _columns(name for name in particles.features if name not in chosen.columns)
    return [f"{_capital(chosen.title)} has no place for {_and(lost)}: left out."] if lost else []


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _columns(columns: Iterable[str]) -> list[str]:
    names = sorted(columns)
    if not names:
        return []
    return [f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"]
