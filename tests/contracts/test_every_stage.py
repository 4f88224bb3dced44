"""A contract for every stage: being listed is being tested."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

from contracts.samples import STAGES, inputs_of, params_of
from napari_tomoflow.core.errors import Cancelled, ParamError
from napari_tomoflow.core.model import Noun
from napari_tomoflow.core.report import Gauge, silent
from napari_tomoflow.core.stage import Stage

# Unit as shown → the suffix its parameters' names end in.
SUFFIX_OF_UNIT = {
    "px": "_px", "Å": "_ang", "°": "_deg", "kV": "_kv", "mm": "_mm", "nm": "_nm", "µm": "_um", "s": "_s",
    "e/Å²": "_e_ang2", "Å²": "_ang2", "cycles/px": "_per_px",
}  # fmt: skip
# Names the command line is bound to (design §7), and fractions that carry their meaning in the name.
NAMED_BY_CONTRACT = {"dose_per_tilt", "defocus_hand"}

every_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
every_param = pytest.mark.parametrize(
    ("stage", "spec"),
    [(stage, spec) for stage in STAGES for spec in stage.params.specs()],
    ids=lambda value: value.name,
)


class Run(NamedTuple):
    """One call of a stage: what it was given, what it said of its progress and what it made."""

    stage: Stage
    inputs: dict[str, Any]
    reported: list[tuple[float, float, str]]
    result: Noun


@pytest.fixture(scope="module", params=STAGES, ids=lambda stage: stage.name)
def done(request):
    """Run a stage once: whatever is asked of a whole run is asked of this one."""
    stage, inputs, reported = request.param, inputs_of(request.param), []
    result = stage(params_of(stage), inputs, report=lambda *state: reported.append(state))
    return Run(stage, inputs, reported, result)


@every_stage
def test_one_word_family_names_the_stage_everywhere(stage):
    word = stage.name.replace("-", " ").title().replace(" ", "")
    assert stage.params.__name__ == f"{word}Params"
    assert stage.function.__module__.rsplit(".", 1)[1].rstrip("_") == stage.name.replace("-", "_")
    assert issubclass(stage.result, Noun)


@every_stage
def test_the_summary_is_a_sentence(stage):
    assert stage.summary[0].isupper()
    assert stage.summary.endswith(".")


def test_progress_never_goes_back_and_ends_complete(done):
    fractions = [share / whole for share, whole, _ in done.reported]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(doing for _, _, doing in done.reported)


@every_stage
def test_a_cancelled_gauge_stops_the_stage(stage):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        stage(params_of(stage), inputs_of(stage), report=gauge)


def test_inputs_are_left_alone(done):
    assert_alike(done.inputs, inputs_of(done.stage))


def assert_alike(one, other):
    """Compare nouns field by field, and those within them."""
    if isinstance(one, Noun):
        one, other = (
            {field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)} for noun in (one, other)
        )
    if isinstance(one, tuple) and any(isinstance(value, Noun) for value in one):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, Mapping):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert_alike(value, other[name])
    else:
        np.testing.assert_array_equal(one, other)


def test_the_result_is_what_was_declared_and_the_same_every_time(done):
    first, second = done.result, done.stage(params_of(done.stage), inputs_of(done.stage), report=silent)
    assert isinstance(first, done.stage.result)
    assert dict(first.quality) == dict(second.quality)
    for field in dataclasses.fields(first):
        values = getattr(first, field.name), getattr(second, field.name)
        if isinstance(values[0], np.ndarray):
            np.testing.assert_array_equal(*values)


def test_the_quality_can_be_written_as_json(done):
    text = json.dumps(dict(done.result.quality), allow_nan=False)
    assert json.loads(text), "a stage reports its quality"


@every_param
def test_a_parameter_explains_itself(stage, spec):
    assert spec.help[0].isupper(), spec.help
    assert spec.help.endswith("."), spec.help
    assert len(spec.help) < 200


@every_param
def test_a_dimensional_parameter_ends_in_its_unit(stage, spec):
    if spec.unit and spec.name not in NAMED_BY_CONTRACT:
        assert spec.unit in SUFFIX_OF_UNIT, f"{spec.unit} is not a unit of this project"
        assert spec.name.endswith(SUFFIX_OF_UNIT[spec.unit])
    if not spec.unit:
        assert not spec.name.endswith(tuple(SUFFIX_OF_UNIT.values())), "the name has a unit, the declaration none"


@every_param
def test_a_value_out_of_bounds_is_refused_by_name(stage, spec):
    bad = {"low": spec.low is not None and spec.low - 1, "high": spec.high is not None and spec.high + 1}
    values = [value for value in bad.values() if value is not False]
    if spec.choices:
        values.append("no such choice")
    if not values:
        pytest.skip(f"any {spec.kind.__name__} will do")
    for value in values:
        wrong = (value,) * spec.length if spec.length else value
        with pytest.raises(ParamError, match=spec.name):
            stage.params(**{spec.name: wrong})


def test_stages_have_names_of_their_own():
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
