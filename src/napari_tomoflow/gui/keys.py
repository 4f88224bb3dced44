"""Keys of a widget: on buttons, in a table, and bound in its window."""

from collections.abc import Callable, Mapping

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QLabel, QPushButton, QShortcut, QWidget


def key_button(text: str, act: Callable[[], None], key: str = "", does: str = "") -> QPushButton:
    """Make a button; what it does stands in its tooltip, with the key that does the same."""
    button = QPushButton(text)
    button.clicked.connect(lambda checked=False: act())
    if does:
        said = does[0].upper() + does[1:]
        button.setToolTip(f"<p>{said} <b>[{key}]</b></p>" if key else f"<p>{said}</p>")
    return button


def keys_label(keys: Mapping[str, str]) -> QLabel:
    """List keys, each with what it does."""
    rows = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{does}</td></tr>" for key, does in keys.items())
    label = QLabel(f"<table>{rows}</table>")
    label.setWordWrap(True)
    return label


def bind_shortcuts(widget: QWidget, acts: Mapping[str, Callable[[], None]]) -> None:
    """Let keys, written as napari writes them (``Control-Z``), do things while a widget or a part of it has them."""
    sequences = {key: QKeySequence(key.replace("Control-", "Ctrl+").replace("Shift-", "Shift+")) for key in acts}
    for key, act in acts.items():
        if not key.startswith("Control-"):
            QShortcut(sequences[key], widget, act, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
    ours = {sequences[key].toString(): act for key, act in acts.items() if key.startswith("Control-")}
    widget.installEventFilter(_Overrides(ours, widget))


class _Overrides(QObject):
    """Keys that the window has for itself, too: without a word from us, Qt would give them to neither."""

    def __init__(self, acts: Mapping[str, Callable[[], None]], widget: QWidget) -> None:
        super().__init__(widget)
        self._acts = acts

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Claim the keys, and act when they come."""
        if event.type() not in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return False
        act = self._acts.get(QKeySequence(event.keyCombination()).toString())
        if act is None:
            return False
        if event.type() == QEvent.Type.KeyPress:
            act()
        event.accept()
        return True
