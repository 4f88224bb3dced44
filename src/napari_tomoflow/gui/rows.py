"""Widgets side by side and below each other, as all inspectors have them."""

from collections.abc import Sequence

from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget


def grid_of(rows: Sequence[Sequence[QWidget]]) -> QGridLayout:
    """Lay widgets out in rows."""
    grid = QGridLayout()
    for row, widgets in enumerate(rows):
        for column, widget in enumerate(widgets):
            grid.addWidget(widget, row, column)
    return grid


def saving_line(last: QLabel, save: QPushButton) -> QHBoxLayout:
    """Put what was done last beside the button that saves it."""
    line = QHBoxLayout()
    line.addWidget(last, 1)
    line.addWidget(save)
    return line


def show_obstacle(save: QPushButton, obstacle: str) -> None:
    """Let the button that saves be pressed unless something is in the way, which its tooltip says."""
    save.setEnabled(not obstacle)
    save.setToolTip(f"<p>{obstacle or 'Save the changes as a job; nothing is overwritten.'}</p>")
