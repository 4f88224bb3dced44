"""Particles that other programs have picked, taken into a project as a job."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.project.book import Project
from napari_tomoflow.project.files import portable
from napari_tomoflow.project.fingerprint import reference_to_file, referenced_files
from napari_tomoflow.project.finished import Made, record_finished
from napari_tomoflow.project.record import JobRecord, Reference

if TYPE_CHECKING:
    from napari_tomoflow.io.particle_formats import TomogramFrame

IMPORT_PARTICLES = "import-particles"
"""Kind of the jobs, in place of a stage, and the command."""

_VERSION = 1
_SPECIES = "species"
_LAST_DIGITS = re.compile(r"(\d+)$")


class ImportParticlesParams(Params):
    """What the person says of tables of particles, besides what they say themselves."""

    tables: str = param("", help="Tables that were read, a line for each.")
    tomogram: str = param("", help="Series that the tables are about, where they do not name it.")
    species: str = param("", help="Kind of the particles, where the tables do not name it.")
    program: str = param("", help="Program that wrote the tables; left empty, found from the files.")
    made_on: Path | None = param(
        None, help="Volume the tables were made on, or RELION's tomograms.star; left empty, the project's tomograms."
    )
    unit: Literal["px", "ang", "ang-corner"] | None = param(
        None, help="What positions are counted in: voxels from the corner, Å from the centre, Å from the corner."
    )
    pixel_ang: float | None = param(
        None, unit="Å", low=0.001, high=1e6, help="Pixel size that positions are counted in, before what tables say."
    )


def import_particles(
    project: Project, tables: Sequence[Path | str], params: ImportParticlesParams = ImportParticlesParams()
) -> JobRecord:
    """Read tables of particles of any program and record them as a finished job.

    The tomograms that tables speak of are found among the series by name, by a name that goes on after the
    series' own, or by the number it ends in. Positions in voxels are understood by the newest tomogram of
    each series, unless it is said on what else the tables were made: a tomogram of another size has its
    corner elsewhere.

    Parameters
    ----------
    project : Project
    tables : sequence of Path
        Those of the same series are joined.
    params : ImportParticlesParams
        Its `tables` is filled in here.

    Raises
    ------
    TomoflowError
        A table cannot be read, or speaks of no series of the project; then there is no job.
    """
    files = [Path(table).expanduser().resolve() for table in tables]
    if not files:
        raise ParamError("No table of particles was given; name at least one file after the project.")
    if params.tomogram and params.tomogram not in project.series():
        raise MissingError(_no_series(project, params.tomogram))
    references = {path: reference_to_file(path, project.folder, "File") for path in files}
    found: dict[str, dict[Path, ParticleSet]] = {}
    for path in files:
        for series, particles in _by_series(project, path, params).items():
            found.setdefault(series, {})[path] = particles
    extra = referenced_files(params, project.folder)
    made = {series: _made(project, series, parts, references, extra) for series, parts in found.items()}
    if not made:
        raise MissingError(f"{files[0]} holds no particle; give a table that does.")
    recorded = params.replace(tables="\n".join(portable(path, project.folder) for path in files))
    return record_finished(project, IMPORT_PARTICLES, _VERSION, recorded, made)


class _FramesOfSeries(Mapping[str, "TomogramFrame"]):
    """The frames of a project's tomograms, by whatever name a table has for them; opened when asked for."""

    def __init__(self, project: Project, table: Path, only: str) -> None:
        self._project = project
        self._table = table
        self._only = only

    def __getitem__(self, name: str) -> "TomogramFrame":
        from napari_tomoflow.io.particle_formats import ANY, TomogramFrame

        if name == ANY:
            raise KeyError(name)
        series = self._only or _series_of(self._project, self._table, name)
        if self._project.find(Tomogram, series) is None:
            raise KeyError(series)
        pixel_ang = self._project.load(TiltSeries, series).pixel_ang
        return TomogramFrame.of(self._project.load(Tomogram, series), pixel_ang)

    def __iter__(self) -> Iterator[str]:
        return iter(self._project.series())

    def __len__(self) -> int:
        return len(self._project.series())


def series_named(name: str, known: Sequence[str]) -> str | None:
    """Find the series that a table means by a name: its own, its own with more after it, or its number."""
    if name in known:
        return name
    longer = [series for series in known if name.startswith(series) and not name[len(series)].isalnum()]
    if longer:
        return max(longer, key=len)
    if not name.isdigit():
        return None
    ends = {series: _LAST_DIGITS.search(series) for series in known}
    numbered = [series for series, end in ends.items() if end and int(end[1]) == int(name)]
    return numbered[0] if len(numbered) == 1 else None


def _by_series(project: Project, path: Path, params: ImportParticlesParams) -> dict[str, ParticleSet]:
    """Read a table and part it by series, each with what is to be said of the whole table."""
    from napari_tomoflow.io.particle_formats import Told, read_frames
    from napari_tomoflow.io.particle_tables import read_as_told

    frames: Mapping[str, TomogramFrame] = _FramesOfSeries(project, path, params.tomogram)
    if params.made_on is not None:
        frames = read_frames(params.made_on)
    told = Told(frames, params.tomogram, params.unit, params.pixel_ang)
    particles = read_as_told(path, told, params.program or None)
    names = np.unique(particles.tomogram)
    if params.tomogram:
        if len(names) > 1:
            raise ParamError(f"{path} is about {len(names)} tomograms, not one; leave --tomogram out.")
        parts = {params.tomogram: particles}
    else:
        parts = {_series_of(project, path, str(name)): particles[particles.tomogram == name] for name in names}
    return {series: _named(part, series, params.species) for series, part in parts.items()}


def _named(particles: ParticleSet, series: str, species: str) -> ParticleSet:
    features = {**particles.features}
    if species:
        features[_SPECIES] = np.full(len(particles), species)
    return particles.replace(tomogram=np.array(series), features=features)


def _series_of(project: Project, path: Path, name: str) -> str:
    found = series_named(name, project.series())
    if found is None:
        raise MissingError(f"{path} is about the tomogram {name}, but {_no_series(project, name, '--tomogram')}")
    return found


def _no_series(project: Project, name: str, option: str = "") -> str:
    known = ", ".join(project.series()) or "none yet"
    remedy = f"say which is meant with {option}" if option else "choose one of them"
    return f"{project.folder} has no series {name}, only {known}; {remedy}."


def _made(
    project: Project,
    series: str,
    parts: Mapping[Path, ParticleSet],
    references: Mapping[Path, Reference],
    extra: Mapping[str, Reference],
) -> Made:
    """Join what several tables say of a series, look where it lies, and tell what it comes from."""
    from napari_tomoflow.io.particle_formats import Told
    from napari_tomoflow.io.particle_tables import outside_warnings

    told = Told(_FramesOfSeries(project, next(iter(parts)), series))
    particles = ParticleSet.joined(list(parts.values()))
    warnings = [sentence for part in parts.values() for sentence in part.quality["warnings"]]
    quality: dict[str, Any] = {
        "particles": len(particles),
        "species": _counts(particles),
        "tables": [path.name for path in parts],
        "warnings": [*warnings, *outside_warnings(particles, told)],
    }
    inputs = {**{f"table.{place}": references[path] for place, path in enumerate(parts)}, **extra}
    lineage = project.lineage()
    for kind in (TiltSeries, Tomogram):
        result = lineage.newest(kind.__name__, series)
        if result is not None:
            inputs[kind.__name__] = result.reference(kind.__name__)
    return Made([particles.replace(quality=quality)], inputs)


def _counts(particles: ParticleSet) -> dict[str, int]:
    names, counts = np.unique(np.asarray(particles.features.get(_SPECIES, []), np.str_), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
