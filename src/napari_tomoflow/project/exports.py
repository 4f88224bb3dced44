"""Results of a project as other programs want them. An export is made anew at will and never read back."""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Noun, ParticleSet, SubtiltSet
from napari_tomoflow.project.book import Project, load_noun, missing
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.gathering import series_shown
from napari_tomoflow.project.lineage import Lineage, Result
from napari_tomoflow.project.particles import particles_in

if TYPE_CHECKING:
    from napari_tomoflow.io.exports import Exported, Exporter, ExportItem

EXPORTS_FOLDER = "exports"


@dataclass(frozen=True)
class Export:
    """What was exported.

    Attributes
    ----------
    program : str
    folder : Path
    files : tuple of Path
    warnings : mapping of str to tuple of str
        Series that was exported → what the program cannot be told, or what the person must see to.
    left_out : tuple of str
        Why series nobody asked for by name are not among them.
    """

    program: str
    folder: Path
    files: tuple[Path, ...]
    warnings: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()


def export(
    project: Project,
    program: str,
    folder: Path | str | None = None,
    *,
    series: Sequence[str] = (),
    from_job: int | None = None,
    hand: int | None = None,
) -> Export:
    """Write the newest results of a project as files of another program.

    Parameters
    ----------
    project : Project
    program : str
        One of `io.exports.EXPORTERS`.
    folder : Path, optional
        Where to; files of the same names are replaced, others stay. Left out, ``exports/<program>`` in
        the project.
    series : sequence of str
        Left empty, all that have what the program needs.
    from_job : int, optional
        Take results of this job and those it was made from, instead of the newest finished ones.
    hand : {-1, +1}, optional
        Sign with which the defocus changes with height, where the project has not decided it.

    Raises
    ------
    TomoflowError
        Something asked for is not there, or a file cannot be written; then nothing has been.
    """
    from napari_tomoflow.io.exports import EXPORTERS  # costs pandas

    if program not in EXPORTERS:
        raise ParamError(f"Nothing is exported to {program!r}; give one of {', '.join(EXPORTERS)}.")
    if hand not in (None, -1, 1):
        raise ParamError(f"The defocus hand cannot be {hand}; give -1 or 1.")
    exporter = EXPORTERS[program]
    items, left_out = _items(project, exporter, series, from_job, hand)
    target = project.folder / EXPORTS_FOLDER / program if folder is None else Path(folder).expanduser().resolve()
    done = _written(exporter, items, target)
    warnings = {name: tuple(sentences) for name, sentences in done.warnings.items()}
    return Export(program, target, tuple(done.files), warnings, tuple(left_out))


def _items(
    project: Project, exporter: "Exporter", series: Sequence[str], from_job: int | None, hand: int | None
) -> tuple[list["ExportItem"], list[str]]:
    """Load what the exporter wants of each series."""
    from napari_tomoflow.io.exports import ExportItem

    known, lineage = project.series(), project.lineage()
    for name in series:
        if name not in known:
            raise MissingError(f"There is no series {name} in {project.folder}; choose from {', '.join(known)}.")
    items, left_out = [], []
    stacks = _Stacks(project, lineage)
    for name in dict.fromkeys(series or known):
        cut = stacks.showing(name, from_job) if SubtiltSet in exporter.needs else None
        # Images go with the geometry they were cut out by, whatever has been found since.
        of_job = from_job if cut is None else cut.job.number
        nouns: dict[type[Noun], Noun] = {} if cut is None else {SubtiltSet: stacks.load(cut)}
        for kind in {*exporter.needs, *exporter.takes} - {SubtiltSet}:
            noun = _load(project, lineage, kind, name, of_job)
            nouns |= {} if noun is None else {kind: noun}
        lacking = [kind for kind in exporter.needs if kind not in nouns]
        if lacking and series:
            raise MissingError(missing(lacking[0], name, from_job))
        if lacking:
            left_out.append(missing(lacking[0], name, from_job))
            continue
        items.append(ExportItem(name, nouns, hand))
    if not items:
        raise MissingError(left_out[0] if left_out else f"{project.folder} holds no series; import one first.")
    return items, left_out


class _Stacks:
    """Images of particles that were cut out, of many series at once; each set is loaded once."""

    def __init__(self, project: Project, lineage: Lineage) -> None:
        self._project, self._lineage = project, lineage
        self._loaded: dict[tuple[int, str], SubtiltSet] = {}

    def showing(self, series: str, from_job: int | None) -> Result | None:
        """Find the newest that holds images of particles in a series."""
        found = [
            result
            for item in self._lineage.items()
            for result in self._lineage.holding(SubtiltSet.__name__, item, from_job)
            if series in series_shown(result, self._lineage)
        ]
        found.sort(key=lambda result: -result.job.number)
        return next((result for result in found if self._shows(result, series)), None)

    def _shows(self, result: Result, series: str) -> bool:
        subtilts = self.load(result)
        return subtilts.images is not None and series in subtilts.particles.tomogram

    def load(self, result: Result) -> SubtiltSet:
        """Load a set, or take the one loaded before."""
        folder = self._project.job_folder(result.job.number) / result.series
        key = (result.job.number, result.series)
        if key not in self._loaded:
            self._loaded[key] = load_noun(SubtiltSet, folder)
        return self._loaded[key]


def _load(project: Project, lineage: Lineage, kind: type[Noun], series: str, from_job: int | None) -> Noun | None:
    """Load a noun of a series; of its particles those that averaging has refined go before their picks."""
    if kind is ParticleSet:
        return particles_in(project, lineage, series, from_job)
    folder = project.find(kind, series, from_job)
    return None if folder is None else load_noun(kind, folder)


def _written(exporter: "Exporter", items: Sequence["ExportItem"], target: Path) -> "Exported":
    """Write beside the target, at the same depth so that relative paths hold, and move what is whole into it."""
    aside = target.with_name(f"{target.name}.partial")
    with ExitStack() as undo, plainly(target):
        shutil.rmtree(aside, ignore_errors=True)
        undo.callback(shutil.rmtree, aside, ignore_errors=True)
        aside.mkdir(parents=True)
        done = exporter.write(items, aside)
        done.files = [target / path.relative_to(aside) for path in done.files]
        for path in done.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside / path.relative_to(target), path)
    return done
