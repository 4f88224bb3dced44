"""The log of a picking session on disk: a line for every event, so that a crash loses nothing.

A line is in the hands of the system before the change it tells of is made; killing the process cannot take it
back. The last line of a file may be torn, where the disk was full or the machine lost power; it is dropped.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.gui.picker.changes import Change
from napari_tomoflow.gui.picker.state import Event
from napari_tomoflow.io.files import cannot_write, written_aside
from napari_tomoflow.project.claims import host, process_started

FOLDER = "picking"
"""Where a project keeps the log."""

_LOG, _OWNER = "picks.jsonl", "owner.json"
_SAME_START_S = 2.0


class Journal:
    """The log of the picking session of a project; one process may have it at a time.

    Parameters
    ----------
    project : pathlib.Path
        Folder of the project.

    Raises
    ------
    MissingError
        Another process picks in this project.
    DataError
        The folder cannot be written.
    """

    def __init__(self, project: Path) -> None:
        self.path = project / FOLDER / _LOG
        self._owner = project / FOLDER / _OWNER
        self._is_torn = False
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._claim()
            self.path.touch()
            self._file = self.path.open("r+b", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def events(self) -> Iterator[Event]:
        """Read what was told, and cut a torn end off.

        Raises
        ------
        DataError
            A line in the middle is garbled.
        """
        self._file.seek(0)
        lines = self._file.readall().split(b"\n")
        self._end = sum(len(line) + 1 for line in lines[:-1])
        self._is_torn = bool(lines[-1])
        for number, line in enumerate(lines[:-1], start=1):
            try:
                yield json.loads(line)
            except ValueError:
                raise DataError(
                    f"{self.path} is garbled in line {number}; move it away, and the picks begin with what was saved."
                ) from None

    def begin(self, heading: Event) -> None:
        """Begin afresh, with nothing but what an empty session is told first."""
        with written_aside(self.path) as aside:
            aside.write_bytes(_line(heading))
        self._file.close()
        self._file = self.path.open("r+b", buffering=0)
        self._end = self._file.seek(0, os.SEEK_END)
        self._is_torn = False

    def write(self, event: Event) -> None:
        """Append an event.

        Raises
        ------
        DataError
            The disk is full or gone; what stands in the log before is whole.
        """
        line = _line(event)
        try:
            if self._is_torn:
                self._file.truncate(self._end)
            self._is_torn = True
            self._file.seek(self._end)
            written = self._file.write(line)
            if written != len(line):
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._end += len(line)
        self._is_torn = False

    def sync(self) -> None:
        """See to it that what was told outlives a loss of power, too."""
        with suppress(OSError):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others pick in the project."""
        if not self._file.closed:
            self.sync()
            self._file.close()
            self._owner.unlink(missing_ok=True)

    def _claim(self) -> None:
        """Take the log, unless a living process has it."""
        if self._owner.exists():
            self._refuse_if_alive()
            self._owner.unlink(missing_ok=True)
        with self._owner.open("x", encoding="utf-8") as file:  # made by only one of two at once
            json.dump({"host": host(), "pid": os.getpid(), "started": process_started()}, file)

    def _refuse_if_alive(self) -> None:
        try:
            owner = json.loads(self._owner.read_text("utf-8"))
        except (FileNotFoundError, ValueError):  # it went meanwhile, or its process died over it
            return
        if _is_alive(owner):
            raise MissingError(
                f"Picks of {self.path.parent.parent} are open in process {owner['pid']} on {owner['host']}; "
                f"close them there, or delete {self._owner} if that process is gone."
            )


def _is_alive(owner: Mapping[str, Any]) -> bool:
    if owner["host"] != host():
        return True  # nobody here can tell
    try:
        process = psutil.Process(owner["pid"])
        is_same = abs(process.create_time() - owner["started"]) < _SAME_START_S
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _line(event: Event) -> bytes:
    return json.dumps(event, default=_plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Change) else np.asarray(value).tolist()
