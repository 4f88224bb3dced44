"""A stage reads itself from its function."""

from pathlib import Path

import pytest

from napari_tomoflow.core.model import Alignment, DensityMap, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Allocate, Stage, StageInput, in_memory


class BlurParams(Params):
    """Parameters of blur."""

    width_px: float = param(1.0, unit="px", low=0, help="Width of the blur.")


def blur_it(
    series: TiltSeries,
    alignment: Alignment | None = None,
    params: BlurParams = BlurParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> Tomogram:
    """Blur a tilt series.

    At length.
    """
    report(1, 1, "Blurring")
    return Tomogram(name="t", volume=allocate("tomogram", (1, 1, 1), "f4"), voxel_ang=params.width_px)


def test_name_inputs_result_and_summary_are_read_from_the_function():
    stage = Stage.of(blur_it, version=2, cites=("Someone2020",))
    assert (stage.name, stage.version, stage.cites) == ("blur-it", 2, ("Someone2020",))
    assert stage.summary == "Blur a tilt series."
    assert (stage.inputs["series"].kind, stage.inputs["series"].required) == (TiltSeries, True)
    assert (stage.inputs["alignment"].kind, stage.inputs["alignment"].required) == (Alignment, False)
    assert (stage.params, stage.result) == (BlurParams, Tomogram)
    assert stage.services == {"report", "allocate"}


def test_only_known_services_are_passed_on():
    stage = Stage.of(blur_it, version=1)
    result = stage(BlurParams(width_px=3), {"series": None}, report=silent, spread=None)
    assert result.voxel_ang == 3


def test_a_keyword_makes_a_name_through_its_trailing_underscore():
    def import_(params: BlurParams, report: Report = silent) -> Tomogram:
        """Import."""

    assert Stage.of(import_, version=1).name == "import"


def test_an_input_of_many_nouns_takes_files_alone():
    class GivenParams(Params):
        """Parameters with files."""

        others: tuple[Path, ...] = param((), help="Files.")

    def compare(
        others: tuple[DensityMap, ...] = (), params: GivenParams = GivenParams(), report: Report = silent
    ) -> Tomogram:
        """Compare."""

    def guess(
        others: tuple[DensityMap, ...] = (), params: BlurParams = BlurParams(), report: Report = silent
    ) -> Tomogram:
        """Guess."""

    assert Stage.of(compare, version=1).inputs["others"] == StageInput(DensityMap, False, by_file=True, many=True)
    with pytest.raises(TypeError, match="'others'"):
        Stage.of(guess, version=1)


def test_a_function_of_another_shape_is_refused():
    def odd(series: TiltSeries, report: Report = silent) -> Tomogram:
        """Have no parameters."""

    with pytest.raises(TypeError, match="must end in"):
        Stage.of(odd, version=1)
