"""What ``tomoflow warm-up`` runs, and how it tells of it."""

import importlib
import pkgutil
from typing import Literal

import pytest

from napari_tomoflow.cli.tiny_inputs import TinyInputs
from napari_tomoflow.cli.warm_up import compile_stages, other_choices, small_params
from napari_tomoflow.core import kernels
from napari_tomoflow.core.errors import Cancelled, DataError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES

done = []


class TurnParams(Params):
    """How to turn."""

    way: Literal["left", "right"] = param("left", help="Which way.")
    iterations: int = param(50, low=3, high=100, help="How often.")


def turn(known: DensityMap, params: TurnParams, report: Report = silent) -> DensityMap:
    """Turn a map."""
    report(0, 1, "Turning")
    done.append((params.way, params.iterations))
    return known


TURN = Stage.of(turn, version=1)


@pytest.fixture(autouse=True)
def nothing_done():
    done.clear()


def test_a_stage_is_run_small_and_where_asked_for_once_for_every_choice_it_offers():
    heard = []
    assert compile_stages([TURN], silent) == []
    assert done == [("left", 3)]
    done.clear()
    compile_stages([TURN], lambda now, total, doing: heard.append((now / total, doing)), every_choice=True)
    assert done == [("left", 3), ("right", 3)]
    assert {doing for _, doing in heard} == {"Compiling turn"}
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)


def test_a_stage_that_does_not_come_to_its_end_is_told_of():
    def stick(known: DensityMap, params: TurnParams, report: Report = silent) -> DensityMap:
        """Stick."""
        raise DataError("The map sticks (0 of 1); oil it.")

    assert compile_stages([Stage.of(stick, version=1), TURN], silent) == [
        "stick could not be tried to the end: The map sticks (0 of 1); oil it."
    ]
    assert done == [("left", 3)]


def test_it_stops_when_told_to():
    def report(now, total, doing):
        if now / total >= 0.5:
            raise Cancelled(doing)

    with pytest.raises(Cancelled):
        compile_stages([TURN, TURN], report)
    assert done == [("left", 3)]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_there_is_a_tiny_noun_for_every_input(stage):
    assert {given.kind for given in stage.inputs.values()} <= TinyInputs().kinds
    assert all(isinstance(params, stage.params) for params in (small_params(stage), *other_choices(stage)))


@pytest.mark.slow
def test_every_kernel_is_compiled():
    assert compile_stages(STAGES, silent, every_choice=True) == []
    modules = [
        importlib.import_module(f"{kernels.__name__}.{one.name}") for one in pkgutil.iter_modules(kernels.__path__)
    ]
    # What a kernel calls comes compiled with it.
    waiting = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, function in vars(module).items()
        if getattr(function, "targetoptions", {}).get("parallel") and not function.signatures
    ]
    assert waiting == []
