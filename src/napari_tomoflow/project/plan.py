"""What a job will work on: its items, and where the inputs of each come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import (
    Alignment,
    Dataset,
    DensityMap,
    Ensemble,
    Movies,
    ParticleSet,
    RawStack,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.import_ import FOREIGN
from napari_tomoflow.io.movie_files import name_of_series
from napari_tomoflow.io.movies import is_movies
from napari_tomoflow.io.stacks import stem_of
from napari_tomoflow.project.book import Project, missing
from napari_tomoflow.project.ensembles import gather_ensemble
from napari_tomoflow.project.fingerprint import companions, reference_to_file, referenced_files
from napari_tomoflow.project.gathering import gather, item_name, species_named
from napari_tomoflow.project.lineage import Lineage, Result
from napari_tomoflow.project.log import LOG_NAME
from napari_tomoflow.project.record import RECORD_NAME, Reference
from napari_tomoflow.project.summary import SUMMARY_NAME

_JOINING = {Dataset, Ensemble}
"""Nouns that are gathered from several items."""

_OF_SERIES = {Movies, TiltSeries, Alignment, Tomogram}
"""Nouns a stage takes that works on one series at a time."""


@dataclass(frozen=True)
class Request:
    """What a person asks for: a stage with its parameters, on some series or files."""

    stage: Stage
    params: Params
    series: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    from_job: int | None = None


@dataclass(frozen=True)
class Plan:
    """Items of a job.

    Attributes
    ----------
    items : dict of str to dict of str to Reference
        Name of the series → input → where it comes from.
    left_out : tuple of str
        Why series nobody asked for by name are not among them.
    """

    items: dict[str, dict[str, Reference]]
    left_out: tuple[str, ...] = ()


def make_plan(project: Project, request: Request, *, but_job: int | None = None) -> Plan:
    """Choose items and inputs as the project stands now.

    Parameters
    ----------
    project, request
        What is asked of which project.
    but_job
        A job whose results are left out of account: the one that may be resumed.

    Raises
    ------
    ParamError, MissingError
        Something asked for does not fit the stage, or is not there.
    """
    stage = request.stage
    kinds = [needed.kind for needed in stage.inputs.values()]
    if request.sources and RawStack not in kinds:
        raise ParamError(f"{stage.name} takes no files, but got {request.sources[0]}; name series of the project.")
    if request.series and (RawStack in kinds or not kinds):
        raise ParamError(f"{stage.name} makes new series, but got the series {request.series[0]}; leave it out.")
    if RawStack in kinds:
        return _plan_files(project, request)
    if not kinds:
        return _plan_new(project, request)
    if set(kinds) & _JOINING and not set(kinds) & _OF_SERIES:
        return _plan_joined(project, request, but_job)
    names = _averages(project, request) if kinds[0] is DensityMap else _chosen(project, request)
    return _plan_items(project, request, names, but_job)


def _plan_files(project: Project, request: Request) -> Plan:
    """One new series per file."""
    sources = _stacks(request)
    given = getattr(request.params, "name", None)
    if given and len(sources) > 1:
        raise ParamError(f"One name, {given}, was given for {len(sources)} files; give one file at a time.")
    (input_name,) = (name for name, needed in request.stage.inputs.items() if needed.kind is RawStack)
    extra = referenced_files(request.params, project.folder)
    lineage = project.lineage()
    items: dict[str, dict[str, Reference]] = {}
    for source in sources:
        if source.is_dir() and getattr(request.params, "frames", None) is None:
            raise DataError(f"{source} is a folder; give a stack in it.")
        name = _checked_name(given or _name_of(source, getattr(request.params, "frames", None) or ()))
        _refuse_clash(lineage, project, name, source.expanduser().resolve())
        if name in items:
            raise ParamError(_clash(name, (project.folder / items[name][input_name].path).resolve(), source))
        stack = reference_to_file(source, project.folder, RawStack.__name__)
        items[name] = {input_name: stack, **companions(source, project.folder), **extra}
    return Plan(items)


def _name_of(source: Path, frames: Sequence[Path]) -> str:
    """Name a series by its stack, its mdoc or its movies."""
    if source in frames:
        return name_of_series(frames)
    return name_of_series([source]) if is_movies(source) else stem_of(source)


def _stacks(request: Request) -> Sequence[Path]:
    """Return the stacks the person named, or those whose alignments were named instead."""
    named = [option for option in FOREIGN if getattr(request.params, option, None) is not None]
    mdoc = getattr(request.params, "mdoc", None)
    frames = getattr(request.params, "frames", None)
    if frames is not None and not request.sources:
        if mdoc is None and frames[0].is_dir() and getattr(request.params, "angles", None) is None:
            raise ParamError("--frames alone tells no angles; give --mdoc FILE as well, or --angles FILE.")
        return [mdoc or frames[0]]
    if not named and not request.sources:
        raise ParamError(f"{request.stage.name} needs a file; give the path of at least one stack.")
    if not named:
        return request.sources
    from napari_tomoflow.io.alignments import ALIGNMENT_TABLES, stacks_of  # costs pandas

    alignments = getattr(request.params, named[0])
    stacks = request.sources or stacks_of(named[0].removeprefix("from_"), alignments)
    if len(stacks) > 1 and alignments.is_file() and alignments.suffix not in ALIGNMENT_TABLES:
        raise ParamError(
            f"{alignments} is the alignment of one series but {len(stacks)} stacks were given; "
            "give the folder that holds one for each."
        )
    return stacks


def _plan_new(project: Project, request: Request) -> Plan:
    """One new series, made from nothing but parameters."""
    name = _checked_name(getattr(request.params, "name", None) or request.stage.name)
    _refuse_clash(project.lineage(), project, name, None)
    return Plan({name: referenced_files(request.params, project.folder)})


def _plan_items(project: Project, request: Request, names: Sequence[str], but_job: int | None) -> Plan:
    """Each chosen series or average with its newest inputs, or with those in the lineage of a job."""
    lineage = project.lineage()
    extra = referenced_files(request.params, project.folder)
    items: dict[str, dict[str, Reference]] = {}
    left_out = []
    for name in names:
        try:
            items[name] = {
                **_gathered(project, lineage, request, [name], but_job),
                **_inputs(lineage, request, name, but_job),
                **_given(project, request),
                **extra,
            }
        except MissingError as error:
            if request.series:
                raise
            left_out.append(str(error))
    if not items:
        raise MissingError(left_out[0])
    return Plan(items, tuple(left_out))


def _plan_joined(project: Project, request: Request, but_job: int | None) -> Plan:
    """One item that joins the chosen series, and what other inputs its own earlier results or files give it."""
    kinds = [needed.kind for needed in request.stage.inputs.values()]
    name = item_name(request.params) if Dataset in kinds else getattr(request.params, "name", "") or request.stage.name
    lineage = project.lineage()
    item = {
        **_gathered(project, lineage, request, _chosen(project, request), but_job),
        **_inputs(lineage, request, _checked_name(name), but_job),
        **_given(project, request),
        **referenced_files(request.params, project.folder),
    }
    if any(reference.item == name for reference in item.values() if reference.kind != ParticleSet.__name__):
        raise ParamError(f"{name!r} is the name of a series or an average already; give --name.")
    return Plan({name: item})


def _gathered(
    project: Project, lineage: Lineage, request: Request, series: Sequence[str], but_job: int | None
) -> dict[str, Reference]:
    """Find what inputs that join several items are made of."""
    found: dict[str, Reference] = {}
    for given, needed in request.stage.inputs.items():
        if needed.kind is Dataset:
            found |= gather(project, lineage, request.params, series, given, request.from_job, but_job)
        elif needed.kind is Ensemble:
            found |= gather_ensemble(lineage, request.params, series, given, request.from_job, but_job)
    return found


def _chosen(project: Project, request: Request) -> Sequence[str]:
    known = project.series()
    if not known:
        raise MissingError(f"{project.folder} holds no tilt series yet; run `tomoflow import` first.")
    for name in request.series:
        if name not in known:
            raise MissingError(f"There is no series {name} in {project.folder}; choose from {', '.join(known)}.")
    if request.series:
        return tuple(dict.fromkeys(request.series))
    if request.from_job is not None:
        items = project.job(request.from_job).items
        if not (held := [name for name in known if name in items] or _joined(project, request.from_job, known)):
            raise MissingError(f"Job {request.from_job} of {project.folder} holds no series; choose another job.")
        return held
    return known


def _averages(project: Project, request: Request) -> Sequence[str]:
    """Choose averages by their species; a map of a file is one of its own."""
    name, needed = next(iter(request.stage.inputs.items()))
    path = getattr(request.params, name) if needed.by_file else None
    if path is not None:
        return [_checked_name(getattr(request.params, "name", "") or stem_of(path))]
    lineage, kind = project.lineage(), needed.kind.__name__
    asked = request.series or species_named(request.params)
    for each in asked:
        if kind not in lineage.kinds(each):
            raise MissingError(f"There is no average of {each} in {project.folder}; run `tomoflow refine` first.")
    held = lineage.items() if request.from_job is None else project.job(request.from_job).items
    averages = asked or [item for item in held if kind in lineage.kinds(item)]
    if not averages:
        raise MissingError(f"{project.folder} holds no average yet; run `tomoflow refine` first, or name a file.")
    return tuple(dict.fromkeys(averages))


def _joined(project: Project, job: int, known: Sequence[str]) -> list[str]:
    """Return the series that the items of a job join."""
    inputs = project.job(job).inputs.values()
    return [name for name in known if any(name in {each.item for each in given.values()} for given in inputs)]


def _inputs(lineage: Lineage, request: Request, series: str, but_job: int | None) -> dict[str, Reference]:
    found: dict[str, Reference] = {}
    asked: set[str] = set()
    for name, needed in request.stage.inputs.items():
        kind = needed.kind.__name__
        # Of two inputs of a kind only the first takes what the project holds: a mask is not the map itself.
        if needed.kind in _JOINING or needed.many or kind in asked:
            continue
        asked.add(kind)
        if needed.by_file and getattr(request.params, name) is not None:
            continue
        if request.from_job is None:
            result = lineage.newest(kind, series, but_job=but_job)
        else:
            result = lineage.in_ancestry(kind, series, request.from_job)
        if result is not None and needed.kind is ParticleSet and _is_of_another_map(result, request, found):
            result = None
        if result is not None:
            found[name] = result.reference(kind)
        elif needed.required:
            raise MissingError(missing(needed.kind, series, request.from_job, lineage.kinds(series)))
    return found


def _is_of_another_map(particles: Result, request: Request, found: dict[str, Reference]) -> bool:
    """Tell whether particles beside a map do not lie in its frame: made before it, or the map is a file's."""
    maps = [name for name, needed in request.stage.inputs.items() if needed.kind is DensityMap]
    if not maps:
        return False
    made = found[maps[0]].job if maps[0] in found else None
    return made is None or particles.job.number < made


def _given(project: Project, request: Request) -> dict[str, Reference]:
    """Refer to the files a person named in place of what the project holds."""
    files: dict[str, tuple[Path, str]] = {}
    for name, needed in request.stage.inputs.items():
        given = getattr(request.params, name) if needed.by_file else None
        if needed.many:
            files |= {f"{name}.{number}": (path, needed.kind.__name__) for number, path in enumerate(given or ())}
        elif given is not None:
            files[name] = given, needed.kind.__name__
    return {name: reference_to_file(path, project.folder, kind) for name, (path, kind) in files.items()}


def _checked_name(name: str) -> str:
    """Refuse a name that cannot be a folder's beside a job's own files."""
    taken = (
        name in (RECORD_NAME, LOG_NAME, SUMMARY_NAME)
        or name.startswith("running.")
        or name.endswith((".partial", ".steps"))
    )
    if not name or name.startswith(".") or "/" in name or "\\" in name or taken:
        raise ParamError(f"A series cannot be named {name!r}; give a plain word with --name.")
    return name


def _refuse_clash(lineage: Lineage, project: Project, name: str, source: Path | None) -> None:
    """Refuse a name that stands for another file already."""
    for result in lineage.finished():
        if result.series == name and result.origin(project.folder) != source and _is_first(result.inputs):
            raise ParamError(_clash(name, result.origin(project.folder), source))


def _is_first(inputs: dict[str, Reference]) -> bool:
    """Tell whether an item started a series instead of continuing one."""
    return all(reference.job is None for reference in inputs.values())


def _clash(name: str, old: Path | None, new: Path | None) -> str:
    return f"Name clash: {name} is {old or 'a simulated series'} already, not {new or 'a new simulation'}; give --name."
