"""Forms are made from the parameters of a stage, show their defaults and give back what was put in."""

from pathlib import Path
from typing import Literal

import pytest
from qtpy.QtWidgets import QLabel
from superqt import QCollapsible

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.gui.stage_widget import StageWidget, tooltip

REQUIRED_FOR_TESTS = {"str": "something", "int": 7, "float": 2.5, "Path": Path("/some/file")}


class EveryKindParams(Params):
    """One parameter of every kind a form can show."""

    switch: bool = param(True, help="A switch.")
    maybe: bool | None = param(None, help="A switch one need not set.")
    count_px: int = param(12, unit="px", low=1, high=99, help="A count.")
    some_count: int | None = param(None, low=1, help="A count one need not set.")
    cutoff: float = param(0.123456789012, low=0.01, high=0.5, help="A number with many digits.")
    tiny: float = param(2e-9, help="A number a spin box would round to nothing.")
    dose: float | None = param(None, unit="e/Å²", help="A number one need not set.")
    scheme: Literal["ramp", "none"] = param("ramp", help="A choice.")
    hand: Literal[-1, 1] | None = param(None, help="A choice one need not make.")
    title: str = param("", help="A text that may be empty.")
    note: str | None = param(None, help="A text one need not give.")
    file: Path | None = param(None, help="A file one need not give.")
    files: tuple[Path, ...] | None = param(None, help="Files one need not give.")
    level_deg: tuple[float, float, float] = param((0.0, 1.5, -2.0), unit="°", help="Three numbers.")
    size_px: tuple[int, int] | None = param(None, unit="px", help="Two numbers one need not give.")
    deep: float = param(1.0, expert=True, help="For experts only.")


class DemandingParams(Params):
    """Nothing without them."""

    pixel_ang: float = param(unit="Å", low=0.1, help="Pixel size.")
    file: Path = param(help="A file.")


def every_kind(params: EveryKindParams, report: Report = silent) -> None:
    """Do nothing."""


def demanding(params: DemandingParams, report: Report = silent) -> None:
    """Do nothing."""


OTHER_VALUES = {
    "switch": False, "maybe": True, "count_px": 99, "some_count": 5, "cutoff": 0.1 + 0.2 - 0.05, "tiny": 1 / 3,
    "dose": 3.25, "scheme": "none", "hand": -1, "title": "a title", "note": "a note", "file": Path("/data/TS_01.mrc"),
    "files": (Path("/data/my frames/a.tif"), Path("/data/b.tif")),
    "level_deg": (0.1, 0.2, 0.30000000000000004), "size_px": (512, 480), "deep": 7.5,
}  # fmt: skip


@pytest.fixture
def form(qtbot):
    def make(stage):
        widget = StageWidget(stage)
        qtbot.addWidget(widget)
        return widget

    return make


@pytest.fixture
def every_kind_form(form):
    return form(Stage.of(every_kind, version=1))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_untouched_form_equals_the_defaults(stage, form):
    required = {spec.name: REQUIRED_FOR_TESTS[spec.kind.__name__] for spec in stage.params.specs() if spec.required}
    widget = form(stage)
    for name, value in required.items():
        widget.rows[name].show(value)
    assert widget.values() == stage.params(**required)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_row_says_what_it_is(stage, form):
    widget = form(stage)
    shown = {label.text() for label in widget.findChildren(QLabel)}
    for spec in stage.params.specs():
        assert spec.label in shown
        assert spec.help.split()[0] in widget.rows[spec.name].widget.native.toolTip()


def test_form_of_every_kind_equals_its_defaults(every_kind_form):
    assert every_kind_form.values() == EveryKindParams()


def test_values_come_back_to_the_last_digit(every_kind_form):
    params = EveryKindParams(**OTHER_VALUES)
    every_kind_form.show_values(params)
    assert every_kind_form.values() == params
    every_kind_form.show_values(EveryKindParams())
    assert every_kind_form.values() == EveryKindParams()


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_one_changed_row_changes_that_parameter_alone(name, every_kind_form):
    every_kind_form.rows[name].show(OTHER_VALUES[name])
    assert every_kind_form.values() == EveryKindParams(**{name: OTHER_VALUES[name]})


def test_expert_rows_are_folded_away(every_kind_form):
    (folded,) = every_kind_form.findChildren(QCollapsible)
    assert not folded.isExpanded()
    assert folded.content().maximumHeight() == 0
    assert folded.isAncestorOf(every_kind_form.rows["deep"].widget.native)
    assert not folded.isAncestorOf(every_kind_form.rows["cutoff"].widget.native)


def test_wrong_value_is_told_in_the_words_of_the_form(every_kind_form):
    every_kind_form.rows["cutoff"].widget.value = "0.7"
    assert every_kind_form.error.text() == "Cutoff cannot be '0.7'; give a number from 0.01 to 0.5."
    assert not every_kind_form.error.isHidden()
    with pytest.raises(ParamError, match="Cutoff cannot be"):
        every_kind_form.values()
    every_kind_form.rows["cutoff"].widget.value = "0.3"
    assert every_kind_form.error.text() == ""
    assert every_kind_form.error.isHidden()


@pytest.mark.parametrize(
    ("name", "text"), [("some_count", "many"), ("dose", "1,5"), ("size_px", "3"), ("level_deg", "a b c")]
)
def test_text_that_is_no_number_is_told(name, text, every_kind_form):
    every_kind_form.rows[name].widget.value = text
    assert "give" in every_kind_form.error.text()


def test_what_must_be_given_is_asked_for(form):
    widget = form(Stage.of(demanding, version=1))
    assert "Pixel" in widget.problem()
    assert "File" in widget.problem()
    widget.rows["pixel_ang"].widget.value = "2.7"
    widget.rows["file"].show(Path("/data/x.tlt"))
    assert widget.values() == DemandingParams(pixel_ang=2.7, file=Path("/data/x.tlt"))


def test_whole_numbers_stay_within_their_bounds(every_kind_form):
    spin_box = every_kind_form.rows["count_px"].widget
    assert (spin_box.min, spin_box.max) == (1, 99)


def test_what_is_not_set_is_shown_as_auto(every_kind_form):
    assert every_kind_form.rows["hand"].widget.native.currentText() == "auto"
    assert every_kind_form.rows["maybe"].widget.native.currentText() == "auto"
    assert every_kind_form.rows["dose"].widget.native.placeholderText() == "auto"


def test_tooltip_says_help_range_and_default():
    spec = EveryKindParams.specs()[4]
    assert tooltip(spec) == ("<p>A number with many digits.<br>From 0.01 to 0.5.<br>Default: 0.123456789012.</p>")


def test_every_change_is_announced(every_kind_form, qtbot):
    with qtbot.waitSignal(every_kind_form.changed):
        every_kind_form.rows["title"].widget.value = "new"
