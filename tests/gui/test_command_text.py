"""What is copied is the command that does the same."""

import shlex
from pathlib import Path

import pytest

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.params import ANY_NUMBER
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.gui.command_text import command_text, command_words


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_program_understands_every_changed_parameter(stage):
    from cyclopts import App

    from napari_tomoflow.cli.stage_command import stage_command, takes_stacks

    params = stage.params(**changed_values(stage.params))
    sources = [Path("/data/a b.mrc")] if takes_stacks(stage) else []
    series = ["TS_01", "TS 02"] if stage.inputs and not sources else []
    words = command_words(stage, Path("/my project"), params, series=series, sources=sources)
    asked = []
    app = App(result_action="return_value")
    app.command(stage_command(stage, lambda stage, request: asked.append(request) or 0), name=stage.name)
    app(shlex.split(command_text(words))[1:], exit_on_error=False)
    (request,) = asked
    assert request.params == params
    assert request.project == Path("/my project")
    assert list(request.sources) == sources
    assert list(request.series) == series


def changed_values(params):
    """Change every parameter that can be changed alone."""
    values = {}
    for spec in params.specs():
        for value in candidates(spec):
            try:
                params(**{**values, spec.name: value})
            except ParamError:
                continue
            values[spec.name] = value
            break
    return values


def candidates(spec):
    start = spec.low or 0 if spec.default is None or spec.length else spec.default
    if spec.kind is bool:
        plain = [not spec.default]
    elif spec.kind in (int, float):
        plain = [start + 1, start + 0.1, start - 0.1]
    else:
        plain = [Path("/data/some file.tlt")] if spec.kind is Path else ["monotonic", "a b"]
    values = [choice for choice in spec.choices if choice != spec.default] or plain
    count = 2 if spec.length == ANY_NUMBER else spec.length
    return [(value,) * count for value in values] if count else values


def test_defaults_are_not_spelled_out():
    stage = next(stage for stage in STAGES if not any(spec.required for spec in stage.params.specs()))
    assert command_words(stage, Path("/p"), stage.params()) == ["tomoflow", stage.name, "/p"]
