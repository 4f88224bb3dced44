"""The form of a stage, made from its parameters; no form is ever written by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magicgui.widgets import Widget, create_widget
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QFrame, QLabel, QLineEdit, QScrollArea, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.params import ANY_NUMBER, Params, ParamSpec
from napari_tomoflow.core.stage import Stage

AUTO = "auto"
"""Shown where nothing is set and the stage decides by itself."""

_MISSING = object()
_YES_NO = {AUTO: None, "yes": True, "no": False}


@dataclass(frozen=True)
class Row:
    """One parameter in a form: its widget, and how its value is read and shown.

    What `read` returns may be no value of the parameter; `Params` then says what is wrong with it.
    """

    spec: ParamSpec
    widget: Widget
    read: Callable[[], Any]
    show: Callable[[Any], None]


class StageWidget(QWidget):
    """The generated form of one stage."""

    changed = Signal()

    def __init__(self, stage: Stage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.stage = stage
        self.rows: Mapping[str, Row] = {spec.name: _row(spec) for spec in stage.params.specs()}
        self.error = QLabel()
        self.error.setObjectName("tomoflow_form_error")
        self.error.setWordWrap(True)
        self.error.setStyleSheet("color: #ff8a80;")
        self._build()
        for row in self.rows.values():
            row.widget.changed.connect(self._check)
        self._check()

    def values(self) -> Params:
        """Return the parameters as they stand in the form.

        Raises
        ------
        ParamError
            A value is missing or may not be what it is; the text is the one shown in the form.
        """
        given = {name: value for name, row in self.rows.items() if (value := row.read()) is not _MISSING}
        try:
            return self.stage.params(**given)
        except ParamError as error:
            raise ParamError(self._in_words_of_the_form(str(error))) from None

    def show_values(self, params: Params) -> None:
        """Fill the form, e.g. with the parameters of an earlier job."""
        for name, row in self.rows.items():
            row.show(getattr(params, name))

    def problem(self) -> str:
        """Say what is wrong with the form; empty when it can run."""
        try:
            self.values()
        except ParamError as error:
            return str(error)
        return ""

    def _check(self) -> None:
        problem = self.problem()
        self.error.setText(problem)
        self.error.setVisible(bool(problem))
        self.changed.emit()

    def _in_words_of_the_form(self, text: str) -> str:
        """Name the rows by their labels: the person never saw the names of the fields."""
        for spec in sorted(self.stage.params.specs(), key=lambda spec: -len(spec.name)):
            text = text.replace(spec.name, _short_label(spec))
        return text

    def _build(self) -> None:
        plain, expert = _form(), _form()
        for row in self.rows.values():
            _add_row(expert if row.spec.expert else plain, row)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 6, 0)
        column.addLayout(plain)
        if expert.rowCount():
            column.addWidget(_folded("Expert parameters", expert))
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.error)


def tooltip(spec: ParamSpec) -> str:
    """Say what a parameter is, what it may be and what it is when left alone."""
    unit = f" {spec.unit}" if spec.unit else ""
    lines = [spec.help]
    if spec.low is not None and spec.high is not None:
        lines.append(f"From {spec.low:g} to {spec.high:g}{unit}.")
    elif spec.low is not None:
        lines.append(f"At least {spec.low:g}{unit}.")
    elif spec.high is not None:
        lines.append(f"At most {spec.high:g}{unit}.")
    if spec.required:
        lines.append("Must be given.")
    else:
        lines.append(f"Default: {_text(spec.default) or AUTO}{unit if spec.default is not None else ''}.")
    # Rich text wraps; plain tooltips become one line across the screen.
    return "<p>" + "<br>".join(line.replace("&", "&amp;").replace("<", "&lt;") for line in lines) + "</p>"


def _row(spec: ParamSpec) -> Row:
    """Choose the widget of a parameter by its type."""
    if spec.choices:
        return _choice_row(spec, {**({AUTO: None} if spec.optional else {}), **{str(c): c for c in spec.choices}})
    if spec.kind is bool and spec.optional:
        return _choice_row(spec, _YES_NO)
    if spec.kind is Path:
        return _path_row(spec)
    if spec.length or spec.optional or spec.required or spec.kind in (float, str):
        return _text_row(spec)
    return _plain_row(spec)


def _plain_row(spec: ParamSpec) -> Row:
    """Let a whole number turn up and down between its bounds, and a switch be switched."""
    options = {"min": _whole(spec.low, -(2**31)), "max": _whole(spec.high, 2**31 - 1)} if spec.kind is int else {}
    widget = create_widget(value=spec.default, annotation=spec.kind, name=spec.name, options=options)
    if spec.kind is bool:
        widget.text = ""  # the row has its label
    return Row(spec, widget, lambda: widget.value, lambda value: setattr(widget, "value", value))


def _choice_row(spec: ParamSpec, values: Mapping[str, Any]) -> Row:
    """Offer the values by their words; a combo box of values would show None as dashes."""
    words = {value: word for word, value in values.items()}
    widget = create_widget(
        value=words.get(spec.default), annotation=str, name=spec.name,
        widget_type="ComboBox", options={"choices": list(values)},
    )  # fmt: skip
    return Row(spec, widget, lambda: values[widget.value], lambda value: setattr(widget, "value", words[value]))


def _path_row(spec: ParamSpec) -> Row:
    options = {"nullable": True, "mode": "rm" if spec.length == ANY_NUMBER else "r"}
    widget = create_widget(value=spec.default, annotation=Path, name=spec.name, options=options)
    widget.choose_btn.text = "Browse…"
    widget.line_edit.native.setPlaceholderText(AUTO if spec.optional else "required")

    def read() -> Any:
        # An empty line would read as the current folder.
        return widget.value if str(widget.line_edit.value).strip() else _nothing(spec)

    return Row(spec, widget, read, lambda value: setattr(widget, "value", value))


def _text_row(spec: ParamSpec) -> Row:
    """Numbers are typed: a spin box would round them to its decimals, and turn under the mouse wheel."""
    widget = create_widget(value=_text(spec.default), annotation=str, name=spec.name, widget_type="LineEdit")
    line: QLineEdit = widget.native
    line.setPlaceholderText(AUTO if spec.optional else "required" if spec.required else "")

    def read() -> Any:
        text = widget.value.strip()
        if spec.kind is str and not spec.length:
            return text or (None if spec.optional else "")
        if not text:
            return _nothing(spec)
        return tuple(text.replace(",", " ").split()) if spec.length else text

    return Row(spec, widget, read, lambda value: setattr(widget, "value", _text(value)))


def _nothing(spec: ParamSpec) -> Any:
    """Read an empty row: the stage decides, or the person has to."""
    return None if spec.optional else _MISSING


def _text(value: Any) -> str:
    """Write a value so that reading it gives the same value again."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)


def _whole(bound: float | None, otherwise: int) -> int:
    return otherwise if bound is None else int(bound)


def _short_label(spec: ParamSpec) -> str:
    """Return the label without its unit."""
    return spec.label.removesuffix(f" ({spec.unit})")


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return form


def _add_row(form: QFormLayout, row: Row) -> None:
    label = QLabel(row.spec.label)
    field: QWidget = row.widget.native
    field.setSizePolicy(QSizePolicy.Policy.Expanding, field.sizePolicy().verticalPolicy())
    for shown in (label, field):
        shown.setToolTip(tooltip(row.spec))
    form.addRow(label, field)


def _folded(title: str, form: QFormLayout) -> QCollapsible:
    box = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    box.setDuration(0)  # an animation would run on after the window is gone
    content = QWidget()
    content.setLayout(form)
    box.setContent(content)
    box.collapse(animate=False)
    return box
