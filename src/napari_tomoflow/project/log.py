"""The log of a job: versions, the parameters that differ from their defaults, then what happened when."""

from datetime import datetime
from pathlib import Path

from napari_tomoflow.core.params import Params
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.record import JobRecord

LOG_NAME = "log.txt"


class JobLog:
    """Appends lines to the log of a job; every line is on disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME

    def begin(self, record: JobRecord, params: Params) -> None:
        """Write the head of the log."""
        changed = params.changed()
        lines = [
            ", ".join(f"{name} {version}" for name, version in record.software.items()),
            f"Job {record.number}: {record.stage} (version {record.stage_version}) on {', '.join(record.items)}",
            "Parameters that differ from their defaults:" if changed else "All parameters have their defaults.",
            *(f"    {name} = {value}" for name, value in changed.items()),
            *(f"Left out: {reason}" for reason in record.left_out),
        ]
        self._append(lines)
        self.add(f"started by process {record.pid} on {record.host}")

    def add(self, text: str) -> None:
        """Write one line with the time."""
        self._append([f"{datetime.now().astimezone().isoformat(sep=' ', timespec='seconds')}  {text}"])

    def add_trace(self, trace: str) -> None:
        """Write a traceback, for those who will mend the program."""
        self._append([trace.rstrip()])

    def _append(self, lines: list[str]) -> None:
        with plainly(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
