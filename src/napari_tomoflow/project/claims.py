"""Who may write where: job numbers and job folders are claimed with nothing but ``mkdir``.

Making a folder is atomic on every file system, network ones included; locks are not.
"""

import os
import re
import socket
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType

import psutil

from napari_tomoflow.project.record import JobRecord, read_record

_NUMBERED = re.compile(r"(\d{4,})[-.]")
_HEARTBEAT_S = 10.0
_DEAD_AFTER_S = 120.0
"""Silence after which a process on another machine counts as gone; ample for slow network file systems."""
_START_TOLERANCE_S = 2.0
"""The start of a process, reckoned from the clock, may move by this much when the clock is set."""


@cache
def process_started() -> float:
    """Return when this process started, s since the epoch: with its id it names the process for good."""
    return float(psutil.Process().create_time())


@cache
def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def claim_number(jobs: Path) -> tuple[int, Path]:
    """Take the next free job number: return it and its new folder, under a name no reader looks at.

    While the folder ``0007.partial`` exists nobody else can get number 7, so the look for an
    existing job 7 cannot be overtaken.
    """
    jobs.mkdir(exist_ok=True)
    number = max((int(found[1]) for name in os.listdir(jobs) if (found := _NUMBERED.match(name))), default=0) + 1
    while True:
        folder = jobs / f"{number:04d}.partial"
        with suppress(FileExistsError):
            folder.mkdir()
            if not any(jobs.glob(f"{number:04d}-*")):
                return number, folder
            folder.rmdir()
        number += 1


def marker(folder: Path, attempt: int) -> Path:
    """Name the empty folder that shows a job being worked on."""
    return folder / f"running.{attempt}"


def is_held(record: JobRecord, folder: Path) -> bool:
    """Tell whether the process that wrote a record is still at work on it."""
    try:
        heard = marker(folder, record.attempt).stat().st_mtime
    except FileNotFoundError:
        return False
    fresh = time.time() - heard < _DEAD_AFTER_S
    if record.host != host():
        return fresh
    try:
        process = psutil.Process(record.pid)
        lives = process.status() != psutil.STATUS_ZOMBIE
        return lives and bool(abs(process.create_time() - record.process_started) < _START_TOLERANCE_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's
        return fresh


def claim_again(folder: Path) -> JobRecord | None:
    """Take over a job that has ended or whose process is gone.

    Returns
    -------
    JobRecord or None
        Its record, with `attempt` raised to the claimed one; None when another process has it.

    Notes
    -----
    Attempts only ever grow: each is claimed by making its marker, and written into the record
    before the marker goes. An attempt whose marker could be made although the record has seen it
    was therefore claimed too late.
    """
    record = read_record(folder)
    newest = max((int(path.suffix[1:]) for path in folder.glob("running.*")), default=0)
    if newest > record.attempt and time.time() - marker(folder, newest).stat().st_mtime < _DEAD_AFTER_S:
        return None
    if record.status == "running" and is_held(record, folder):
        return None
    attempt = max(newest, record.attempt) + 1
    try:
        marker(folder, attempt).mkdir()
    except FileExistsError:
        return None
    record = read_record(folder)
    if record.attempt >= attempt:
        marker(folder, attempt).rmdir()
        return None
    return record.replace(attempt=attempt)


class Heartbeat:
    """Keeps a claimed job's marker fresh while the block runs, and takes it away at the end."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self._markers = [marker(folder, number) for number in range(1, attempt + 1)]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="tomoflow heartbeat", daemon=True)

    def _beat(self) -> None:
        while not self._over.wait(_HEARTBEAT_S):
            with suppress(OSError):  # a disk that is gone for a while must not end the job
                os.utime(self._markers[-1])

    def __enter__(self) -> None:
        """Start beating."""
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop and remove the marker, and those of processes that died before."""
        self._over.set()
        self._thread.join()
        for left in self._markers:
            with suppress(OSError):  # most are long gone, and one that stays does no harm
                left.rmdir()
