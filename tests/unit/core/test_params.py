"""Parameters: declared once, checked plainly."""

from pathlib import Path
from typing import Literal

import pytest

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.params import ANY_NUMBER, Params, param


class ExampleParams(Params):
    """Parameters of an example."""

    thickness_px: int = param(256, unit="px", low=1, high=4096, help="Depth of the tomogram.")
    lowpass_ang: float | None = param(None, unit="Å", low=0.1, help="Finest detail kept.")
    weighting: Literal["ramp", "none"] = param("ramp", help="Frequency weighting.")
    angles: Path | None = param(None, help="File of tilt angles.")
    level: bool = param(True, help="Level the specimen.", expert=True)
    size_px: tuple[int, int] = param((8, 9), unit="px", low=None, help="Two sizes.")
    masks: tuple[Path, ...] | None = param(None, help="Any number of masks.")


def test_specs_say_everything_a_front_end_needs():
    thickness, lowpass, weighting, angles, level, size, masks = ExampleParams.specs()
    assert (thickness.kind, thickness.default, thickness.unit) == (int, 256, "px")
    assert (thickness.low, thickness.high, thickness.label) == (1, 4096, "Thickness (px)")
    assert (lowpass.kind, lowpass.optional, lowpass.low) == (float, True, 0.1)
    assert weighting.choices == ("ramp", "none")
    assert (angles.kind, angles.optional) == (Path, True)
    assert level.expert
    assert (size.kind, size.length) == (int, 2)
    assert (masks.kind, masks.length, masks.optional) == (Path, ANY_NUMBER, True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"thickness_px": 0}, ["thickness_px cannot be 0", "from 1 to 4096 px"]),
        ({"lowpass_ang": -3.0}, ["lowpass_ang cannot be -3.0", "at least 0.1 Å"]),
        ({"lowpass_ang": float("nan")}, ["lowpass_ang cannot be nan"]),
        ({"weighting": "cosine"}, ["weighting cannot be 'cosine'", "ramp, none"]),
        ({"thicknes_px": 3}, ["no parameter 'thicknes_px'", "thickness_px"]),
        ({"thickness_px": "thick"}, ["thickness_px cannot be 'thick'", "whole number"]),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(values, words):
    with pytest.raises(ParamError) as caught:
        ExampleParams(**values)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_required_value_is_asked_for_by_name():
    class NeedyParams(Params):
        """Needs a value."""

        pixel_ang: float = param(unit="Å", low=0, help="Size of a pixel.")

    assert NeedyParams.specs()[0].required
    with pytest.raises(ParamError, match="pixel_ang is missing; give a value: Size of a pixel"):
        NeedyParams()


def test_params_are_frozen_and_replace_checks_again():
    params = ExampleParams()
    with pytest.raises(ParamError, match="thickness_px"):
        params.replace(thickness_px=-1)
    assert params.replace(thickness_px=10).thickness_px == 10
    assert params.thickness_px == 256


def test_only_changed_parameters_are_told():
    assert ExampleParams(thickness_px=12).changed() == {"thickness_px": 12}
    assert ExampleParams(thickness_px=256).changed() == {}


def test_a_type_no_form_can_show_is_refused_at_declaration():
    with pytest.raises(TypeError, match="'table'"):

        class BadParams(Params):
            """Cannot be shown."""

            table: dict[str, int] = param({}, help="A table.")


def test_parameters_survive_a_round_trip_through_json():
    params = ExampleParams(thickness_px=12, angles=Path("a.tlt"))
    assert ExampleParams(**__import__("json").loads(params.model_dump_json())) == params
