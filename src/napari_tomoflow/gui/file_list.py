"""The files an import starts from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractItemView, QFileDialog, QHBoxLayout, QListWidget, QPushButton, QVBoxLayout, QWidget

_FILTER = (
    "Stacks of tilt images (*.mrc *.mrcs *.st *.ali *.rec *.map *.tif *.tiff *.dm3 *.dm4 *.star *.mdoc *.gz *.bz2);;"
    "All files (*)"
)


class FileList(QWidget):
    """A short list of files, filled by a dialog or by dropping files on it."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._list = QListWidget()
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._list.setMaximumHeight(90)
        self._list.setToolTip("<p>Stacks of tilt images, one per series. Drop files here.</p>")
        add, remove = QPushButton("Add stacks…"), QPushButton("Remove")
        remove.setToolTip("<p>Take the selected files off the list, or all when none is selected.</p>")
        add.clicked.connect(self._ask)
        remove.clicked.connect(self._remove)
        buttons = QHBoxLayout()
        buttons.addWidget(add)
        buttons.addWidget(remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        layout.addLayout(buttons)

    def paths(self) -> tuple[Path, ...]:
        """Return the files on the list."""
        return tuple(Path(self._list.item(row).toolTip()) for row in range(self._list.count()))

    def add(self, paths: Sequence[Path | str]) -> None:
        """Put files on the list, each once."""
        known = set(self.paths())
        for path in map(Path, paths):
            if path not in known:
                self._list.addItem(path.name)
                self._list.item(self._list.count() - 1).setToolTip(str(path))
        self.changed.emit()

    def dragEnterEvent(self, event: Any) -> None:
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:
        """Take the files dropped."""
        self.add([url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()])

    def _ask(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Stacks of tilt images", "", _FILTER)
        self.add(paths)

    def _remove(self) -> None:
        for item in self._list.selectedItems() or [self._list.item(row) for row in range(self._list.count())]:
            self._list.takeItem(self._list.row(item))
        self.changed.emit()
