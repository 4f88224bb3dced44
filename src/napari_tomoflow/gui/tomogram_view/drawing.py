"""Pictures read in a thread: what is asked for last is shown, and nothing that was overtaken."""

from collections.abc import Callable, Iterator
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer

_DRAW_AFTER_MS = 30
"""Sliders move faster than slabs are read: what comes within this time is drawn once."""

Pictures = Callable[[], Iterator[tuple[str, Any]]]
"""A generator function that yields the name of each picture and the picture, in a thread."""


class Drawing(QObject):
    """Reads pictures whenever it is asked to, one run at a time.

    A slab across x touches every page of a file, which for a big tomogram takes seconds; what is asked
    for meanwhile is drawn when the thread has stopped.

    Parameters
    ----------
    prepare
        Says, when the time has come, what is to be read; None for nothing.
    take
        Gets each picture as it comes, in the thread of the window.
    """

    def __init__(
        self, prepare: Callable[[], Pictures | None], take: Callable[[str, Any], None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._prepare = prepare
        self._take = take
        self._worker: Any = None
        self._is_outdated = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DRAW_AFTER_MS)
        self._timer.timeout.connect(self._begin)

    def ask(self) -> None:
        """Ask for the pictures as things will stand in a moment."""
        self._timer.start()

    @property
    def is_done(self) -> bool:
        """Whether what was asked for last has been read."""
        return self._worker is None and not self._timer.isActive()

    def _begin(self) -> None:
        self._is_outdated = self._worker is not None
        if self._worker is not None:
            self._worker.quit()
            return
        pictures = self._prepare()
        if pictures is not None:
            self._worker = create_worker(pictures, _start_thread=False)
            self._worker.yielded.connect(self._pass_on)
            self._worker.finished.connect(self._end)
            self._worker.start()

    def _pass_on(self, picture: tuple[str, Any]) -> None:
        if not self._is_outdated:
            self._take(*picture)

    def _end(self) -> None:
        self._worker = None
        if self._is_outdated:
            self._begin()
