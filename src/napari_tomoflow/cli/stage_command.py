"""One command line per stage, read from its parameter specs. Nothing here knows any stage by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import RawStack
from napari_tomoflow.core.params import ANY_NUMBER, Params, ParamSpec
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.import_ import WITHOUT_STACK

_RUN_GROUP = Group("What to run on", sort_key=0)
_PLAIN_GROUP = Group("Stage parameters", sort_key=1)
_EXPERT_GROUP = Group("Expert parameters", sort_key=2)

_METAVARS: dict[type, str] = {int: "N", float: "X", str: "TEXT", Path: "FILE"}


@dataclass(frozen=True)
class Request:
    """What a person asked of a stage."""

    project: Path
    params: Params
    sources: tuple[Path, ...] = ()
    series: tuple[str, ...] = ()
    from_job: int | None = None
    workers: int = 1
    as_json: bool = False


def stage_command(stage: Stage, start: Callable[[Stage, Request], int]) -> Callable[..., int]:
    """Make the function behind ``tomoflow <stage>``.

    Parameters
    ----------
    stage
        Its specs become the options, its summary the help.
    start
        Called with the checked request; returns the exit code.
    """

    def command(project: Path, *stacks: Path, **given: Any) -> int:
        values = {spec.name: _value(spec, given.pop(spec.name)) for spec in stage.params.specs() if spec.name in given}
        if takes_stacks(stage) and not stacks and not values.keys() & set(WITHOUT_STACK):
            raise ParamError("No stack was given; name at least one file after the project.")
        given["series"] = tuple(given.get("series", ()))
        return start(stage, Request(project, stage.params(**values), stacks, **given))

    parameters = [*_positions(stage), *_run_options(stage), *map(_option, _plain_first(stage.params.specs()))]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {}
    command.__name__ = stage.name.replace("-", "_")
    command.__doc__ = stage.summary
    return command


def takes_stacks(stage: Stage) -> bool:
    """Tell whether the stage starts from files of raw images rather than from the project's series."""
    return any(need.kind is RawStack for need in stage.inputs.values())


def usage(stage: Stage) -> str:
    """Sum up the command in one line."""
    words = [f"tomoflow {stage.name} PROJECT"]
    if takes_stacks(stage):
        words.append("STACK…")
    elif stage.inputs:
        words.append("[--series NAME…] [--from JOB]")
    if stage.inputs:
        words.append("[--workers N]")
    needs = [f"{flag(spec.name)} {_metavar(spec)}" for spec in stage.params.specs() if spec.required]
    return " ".join([*words, "[--json]", *needs, "[parameters]"])


def flag(name: str) -> str:
    """Spell a parameter as it is typed."""
    return "--" + name.replace("_", "-")


def help_text(spec: ParamSpec) -> str:
    """Help of one parameter with its default and unit: ``Depth of the tomogram. [256 px]``."""
    if spec.required:
        return spec.help
    if spec.default is None:
        return f"{spec.help} [{spec.unit}]" if spec.unit else spec.help
    shown = " ".join(map(str, spec.default)) if spec.length else _word(spec.default)
    return f"{spec.help} [{shown}{' ' + spec.unit if spec.unit else ''}]"


def _word(value: object) -> str:
    """Spell a default as a person would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(spec: ParamSpec, typed: Any) -> Any:
    """Find the choice that a word stands for, a number perhaps; other words are left to `Params`."""
    return {str(choice): choice for choice in spec.choices}.get(typed, typed) if spec.choices else typed


def _positions(stage: Stage) -> list[inspect.Parameter]:
    project = Annotated[Path, Parameter(help="Folder of the project.", group=_RUN_GROUP)]
    positions = [inspect.Parameter("project", inspect.Parameter.POSITIONAL_ONLY, annotation=project)]
    if takes_stacks(stage):
        stacks = Annotated[Path, Parameter(help="Stacks of tilt images, one per series.", group=_RUN_GROUP)]
        positions.append(inspect.Parameter("stacks", inspect.Parameter.VAR_POSITIONAL, annotation=stacks))
    return positions


def _run_options(stage: Stage) -> list[inspect.Parameter]:
    """Options every stage has, as far as its inputs give them a meaning."""
    options = []
    if stage.inputs and not takes_stacks(stage):
        options += [
            _run_option(
                "series", tuple[str, ...], "--series", help="Series to work on. [all]",
                metavar="NAME…", consume_multiple=True, negative_iterable=(),
            ),
            _run_option(
                "from_job", int, "--from", metavar="JOB",
                help="Take inputs from this job and those it was made from. [the newest finished]",
            ),
        ]  # fmt: skip
    if stage.inputs:
        workers_help = "Series worked on at a time, each in a process of its own. [1]"
        options.append(_run_option("workers", int, "--workers", help=workers_help, metavar="N"))
    json_help = "Print the result's summary on standard output as one JSON object."
    return [*options, _run_option("as_json", bool, "--json", help=json_help, negative=())]


def _run_option(name: str, kind: Any, spelled: str, **details: Any) -> inspect.Parameter:
    return _keyword(name, kind, Parameter(name=spelled, group=_RUN_GROUP, show_default=False, **details))


def _plain_first(specs: tuple[ParamSpec, ...]) -> list[ParamSpec]:
    return sorted(specs, key=lambda spec: spec.expert)


def _option(spec: ParamSpec) -> inspect.Parameter:
    """Make the option of one parameter.

    Values stay text here, so that `Params` alone judges them and its sentence is the one a person reads.
    """
    kind: Any = str
    if spec.kind is bool:
        kind = bool
    elif spec.length == ANY_NUMBER:
        kind = tuple[str, ...]
    elif spec.length:
        kind = tuple[(str,) * spec.length]  # type: ignore[misc]
    parameter = Parameter(
        name=flag(spec.name),
        help=help_text(spec),
        group=_EXPERT_GROUP if spec.expert else _PLAIN_GROUP,
        show_default=False,
        metavar=_metavar(spec),
        # A list ends at the next option, anything else may be a negative number.
        allow_leading_hyphen=spec.length != ANY_NUMBER,
        consume_multiple=spec.length == ANY_NUMBER,
    )
    return _keyword(spec.name, kind, parameter, required=spec.required)


def _metavar(spec: ParamSpec) -> str:
    """Show what kind of value to type."""
    word = _METAVARS.get(spec.kind, "")
    if spec.length == ANY_NUMBER:
        return f"{word}…"
    return "|".join(map(str, spec.choices)) or " ".join([word] * (spec.length or 1))


def _keyword(name: str, kind: Any, parameter: Parameter, *, required: bool = False) -> inspect.Parameter:
    """Make a keyword argument; one that is not given is not passed on."""
    if required:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, parameter])
    annotation = Annotated[kind | None, parameter]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
