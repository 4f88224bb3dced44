"""Tables of particles of any program, dropped on the picker, become picks."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QGraphicsView

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.gui.picker.session import counted
from napari_tomoflow.gui.picker.table_reading import read_by_tomogram
from napari_tomoflow.gui.telling import told
from napari_tomoflow.gui.tomograms_in_view import warn
from napari_tomoflow.gui.units import read_asking
from napari_tomoflow.io.particle_tables import TABLE_SUFFIXES

if TYPE_CHECKING:
    from napari_tomoflow.gui.picker.picker import Picker


class TableDrops(QObject):
    """Takes the tables that are dropped anywhere on a picker; other files are left to napari.

    Parameters
    ----------
    picker
        Whose picks they become.
    """

    def __init__(self, picker: "Picker") -> None:
        super().__init__(picker)
        self._picker = picker
        picker.setAcceptDrops(True)
        for view in picker.findChildren(QGraphicsView):
            view.setAcceptDrops(False)  # its scene would swallow what is dropped
        picker.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let tables in, and take them when they are let go."""
        if event.type() not in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            return False
        tables = _tables_in(event)
        if not tables:
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            for path in tables:
                with told():
                    take_table(self._picker, path)
        return True


def take_table(picker: "Picker", path: Path) -> None:
    """Make picks of a table, a change for each tomogram it is about; that of the one in view is undone first.

    Raises
    ------
    TomoflowError
        No tomogram is open, or the table cannot be read or holds nothing of those there are.
    """
    picks, session = picker.picks, picker.session
    if picks is None or not session.tomogram:
        raise MissingError(f"No tomogram is open that {path} could be picks of; open one and drop it again.")
    read = read_asking(path, partial(read_by_tomogram, path, picks, session.tomogram))
    for name in sorted(read.parts, key=lambda name: name == session.tomogram):
        picks.prepare(name)
        session.take(read.parts[name], name, path.name)
    warn(path.name, read.warnings)
    counts = ", ".join(f"{counted(len(part))} of {name}" for name, part in read.parts.items())
    show_info(f"Took {counts} from {path.name}; Ctrl+Z takes them back, tomogram by tomogram.")


def _tables_in(event: Any) -> list[Path]:
    """Return the files of a drop whose names end like those of tables."""
    paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
    return [path for path in paths if path.suffix.lower() in TABLE_SUFFIXES]
