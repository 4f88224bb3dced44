"""Alignments other programs made, whichever program it was: found, read, and held against the stack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.io.aretomo import read_aretomo_alignment
from napari_tomoflow.io.eman2 import read_eman2_alignment, read_info
from napari_tomoflow.io.foreign import BinnedBy, StackFacts
from napari_tomoflow.io.imod_folder import find_xf, list_xf, read_imod_folder
from napari_tomoflow.io.relion import STAR_SUFFIXES, list_relion_series
from napari_tomoflow.io.relion_write import read_relion_alignment
from napari_tomoflow.io.warp import read_warp_alignment

_REFINED_DEG = 6.0
"""Refinement moves single tilts by less than this against the others; more is another order or series."""

ALIGNMENT_TABLES = STAR_SUFFIXES
"""Endings of files that hold the alignments of many series."""

_STACK_ENDINGS = (".st", ".mrc", ".mrcs", ".ali")


@dataclass(frozen=True)
class _Program:
    """How the alignments of one program are found and read.

    Attributes
    ----------
    title : str
    find : callable
        ``(given path, name of the series) -> file``.
    read : callable
        ``(file, stack, how it was binned) -> Alignment``.
    stacks : callable
        ``(given path) -> stacks``: those of the alignments there, as far as they can be found.
    """

    title: str
    find: Callable[[Path, str], Path]
    read: Callable[[Path, StackFacts, BinnedBy | None], Alignment]
    stacks: Callable[[Path], Sequence[Path]]


def read_alignment(
    program: str, path: Path, stack: StackFacts, binned_by: BinnedBy | None = None
) -> tuple[Alignment, Path]:
    """Read another program's alignment of a stack.

    Parameters
    ----------
    program : str
        One of `PROGRAMS`.
    path : Path
        Its file, or a folder in which that of the series is found by name.
    stack : StackFacts
    binned_by : {"average", "crop"}, optional
        How the smaller stack was made, where the aligned one and this one differ in size; left out, as
        that program bins.

    Returns
    -------
    alignment : Alignment
        An entry for each image of the stack; ``quality["warnings"]`` says what was not taken over.
    file : Path
        The file that was read.

    Raises
    ------
    DataError, MissingError
        The file is not there, damaged, or not of this stack.
    """
    if program not in PROGRAMS:
        raise ParamError(f"No alignments of {program!r} are read; give one of {', '.join(PROGRAMS)}.")
    if not path.exists():
        raise MissingError(f"There is no {path}; give {PROGRAMS[program].title}'s alignment of {stack.name}.")
    file = PROGRAMS[program].find(path, stack.name)
    alignment = PROGRAMS[program].read(file, stack, binned_by)
    if not alignment.kept.any():
        raise DataError(f"{file} leaves out every tilt; give the alignment of a series that was aligned.")
    warnings = [*alignment.quality.get("warnings", []), *_sense_warnings(alignment, stack, file)]
    return alignment.replace(quality={**alignment.quality, "warnings": warnings}), file


def stacks_of(program: str, path: Path) -> list[Path]:
    """Find the stacks whose alignments lie at `path`.

    Raises
    ------
    MissingError
        None is found beside its alignment.
    """
    found = [stack for stack in PROGRAMS[program].stacks(path) if stack.is_file()]
    if not found:
        raise MissingError(
            f"No stack lies with {PROGRAMS[program].title}'s alignment in {path}; name the stacks as well."
        )
    return found


def _sense_warnings(alignment: Alignment, stack: StackFacts, file: Path) -> list[str]:
    """Hold the tilts against the nominal ones: they may differ by an offset, and run the other way."""
    if stack.tilt_deg is None:
        return []
    kept = alignment.kept
    apart = []
    for sense in (1, -1):
        gap = (sense * alignment.tilt_deg - stack.tilt_deg)[kept]
        apart.append(float(np.abs(gap - np.median(gap)).max()))
    if apart[0] <= _REFINED_DEG:
        return []
    if apart[1] <= _REFINED_DEG:
        return [
            f"The tilts of {file.name} run against those of {stack.path.name}: the tomogram is the mirror image of "
            "the one they would give; check its hand, or import again with angles of the other sign."
        ]
    raise DataError(
        f"The tilts of {file} differ from those of {stack.path} by up to {min(apart):.1f}°; "
        "give the alignment of this stack, its tilts in the same order."
    )


def _found(path: Path, names: Sequence[str], what: str) -> Path:
    """Return a file as it is, or the first of a folder's that has one of the names."""
    if path.is_file():
        return path
    found = next(filter(Path.is_file, (path / name for name in names)), None)
    if found is None:
        raise MissingError(f"{path} holds no {names[0]}; give the file of {what}.")
    return found


def _find_aln(path: Path, name: str) -> Path:
    return _found(path, [f"{name}.aln", f"{name}/{name}.aln"], "AreTomo's alignment")


def _find_table(path: Path, name: str) -> Path:
    return _found(path, [f"tilt_series/{name}.star", "aligned_tilt_series.star"], "RELION's tilt series")


def _find_xml(path: Path, name: str) -> Path:
    return _found(path, [f"{name}.xml"], "the series in Warp")


def _find_info(path: Path, name: str) -> Path:
    return _found(path, [f"{name}_info.json", f"info/{name}_info.json"], "EMAN2's info")


def _beside(files: Sequence[Path], drop: str = "") -> list[Path]:
    """Find the stack beside each file, of the same name."""
    stems = [file.with_name(file.stem.removesuffix(drop)) for file in files]
    tries = [[stem.with_name(stem.name + ending) for ending in _STACK_ENDINGS] for stem in stems]
    return [path for paths in tries for path in [next(filter(Path.is_file, paths), None)] if path is not None]


def _files(path: Path, pattern: str) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob(pattern))


def _warp_stacks(path: Path) -> list[Path]:
    files = _files(path, "*.xml")
    return [file.parent / "tiltstack" / file.stem / f"{file.stem}.st" for file in files]


def _eman2_stacks(path: Path) -> list[Path]:
    infos = [read_info(file) for file in _files(path, "**/*_info.json")]
    return [folder / info.stack for info in infos for folder in info.path.resolve().parents[:2] if info.stack]


PROGRAMS: dict[str, _Program] = {
    "imod": _Program(
        "IMOD",
        find_xf,
        lambda file, stack, by: read_imod_folder(file, stack, binned_by=by or "average"),
        lambda path: _beside([path] if path.is_file() else list_xf(path), "_st"),
    ),
    "aretomo": _Program(
        "AreTomo",
        _find_aln,
        lambda file, stack, by: read_aretomo_alignment(file, stack, binned_by=by or "crop"),
        lambda path: _beside(_files(path, "**/*.aln")),
    ),
    "relion5": _Program(
        "RELION",
        _find_table,
        lambda file, stack, by: read_relion_alignment(file, stack),
        lambda path: list(list_relion_series(path).values()),
    ),
    "warp": _Program("Warp", _find_xml, lambda file, stack, by: read_warp_alignment(file, stack), _warp_stacks),
    "eman2": _Program("EMAN2", _find_info, lambda file, stack, by: read_eman2_alignment(file, stack), _eman2_stacks),
}
"""Programs whose alignments are read."""
