from pathlib import Path
from typing import Literal

import pytest
from cyclopts import App, CycloptsError

from napari_tomoflow.cli.stage_command import stage_command
from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import Alignment, RawStack, TiltSeries
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES


class PolishParams(Params):
    """One parameter of every shape."""

    rounds: int = param(3, unit="rounds", low=1, high=9, help="How often.")
    axis_deg: float | None = param(None, unit="°", help="Where the axis lies.")
    mode: Literal["fast", "fine"] = param("fast", help="How well.")
    hand: Literal[-1, 1] = param(-1, help="Which way up.")
    smooth: bool = param(True, help="Whether to smooth.")
    size_px: tuple[int, int, int] = param((8, 16, 16), unit="px", help="Box, z y x.")
    mask: Path | None = param(None, help="Where to look.")
    views: tuple[Path, ...] | None = param(None, help="From where.")
    damping: float = param(0.5, low=0, high=1, expert=True, help="How fast.")


def polish(series: TiltSeries, params: PolishParams = PolishParams(), report=silent) -> Alignment:
    """Polish an alignment."""


def collect(stack: RawStack, params: PolishParams = PolishParams(), report=silent) -> TiltSeries:
    """Collect stacks."""


@pytest.fixture
def ask():
    """Give the request a command line makes of a stage."""

    def parse(words, function=polish):
        stage = Stage.of(function, version=1)
        asked = []
        command = stage_command(stage, lambda stage, request: asked.append(request) or 0)
        app = App(exit_on_error=False, print_error=False, result_action="return_value")
        app.command(command, name=stage.name)
        assert app([stage.name, *words.split()]) == 0
        return asked[0]

    return parse


def test_without_options_the_parameters_are_the_defaults(ask):
    request = ask("project")
    assert request.project == Path("project")
    assert request.params == PolishParams()
    assert (request.series, request.from_job, request.workers, request.as_json) == ((), None, 1, False)


def test_every_shape_of_parameter_can_be_typed(ask):
    words = "p --rounds 5 --axis-deg -85.5 --mode fine --hand 1 --no-smooth --size-px 1 2 3 --mask m.mrc --damping 1e-1"
    assert ask(words).params == PolishParams(
        rounds=5, axis_deg=-85.5, mode="fine", hand=1, smooth=False, size_px=(1, 2, 3), mask=Path("m.mrc"), damping=0.1
    )


@pytest.mark.parametrize("words", ["p --views a.tif b.tif --rounds 5", "p --views a.tif --views b.tif --rounds 5"])
def test_a_list_goes_on_to_the_next_option(ask, words):
    assert ask(words).params == PolishParams(views=(Path("a.tif"), Path("b.tif")), rounds=5)


def test_run_options_say_what_to_run_on(ask):
    request = ask("--series TS_01 TS_02 --from 3 --workers 2 --json -- project")
    assert request.series == ("TS_01", "TS_02")
    assert (request.from_job, request.workers, request.as_json) == (3, 2, True)


def test_several_stacks_can_be_named(ask):
    assert ask("p a.mrc b.mrc", collect).sources == (Path("a.mrc"), Path("b.mrc"))


def test_a_missing_stack_is_asked_for(ask):
    with pytest.raises(ParamError, match="name at least one file"):
        ask("p", collect)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("p --rounds many", "rounds cannot be 'many'; give a whole number from 1 to 9 rounds."),
        ("p --rounds 10", "rounds cannot be '10'; give a whole number from 1 to 9 rounds."),
        ("p --mode slow", "mode cannot be 'slow'; give one of fast, fine."),
        ("p --axis-deg nan", "axis_deg cannot be 'nan'"),
    ],
)
def test_a_bad_value_gets_the_sentence_of_the_parameters(ask, words, sentence):
    with pytest.raises(ParamError) as error:
        ask(words)
    assert sentence in str(error.value)


@pytest.mark.parametrize("words", ["p --round 5", "p extra", "", "p --rounds", "p --workers two"])
def test_what_is_not_understood_is_refused(ask, words):
    with pytest.raises(CycloptsError):
        ask(words)


def test_expert_parameters_come_last_in_the_help(capsys):
    app = App(help_format="plaintext", result_action="return_value")
    app.command(stage_command(Stage.of(polish, version=1), lambda stage, request: 0), name="polish")
    app(["polish", "--help"])
    shown = capsys.readouterr().out
    order = [shown.index(word) for word in ("--series", "--rounds", "--mask", "Expert parameters", "--damping")]
    assert order == sorted(order)
    assert "[3 rounds]" in shown
    assert "[8 16 16 px]" in shown
    assert "[yes]" in shown


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_no_parameter_takes_the_name_of_a_run_option(stage):
    taken = {"project", "stacks", "series", "from_job", "from", "workers", "as_json", "json", "help", "version"}
    assert not taken & {spec.name for spec in stage.params.specs()}
