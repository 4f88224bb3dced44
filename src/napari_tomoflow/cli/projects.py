"""Commands about a project as a whole: ``new``, ``status``, ``open`` and ``run``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.jobs import exit_of, print_outcome, run_job
from napari_tomoflow.cli.stage_command import Request
from napari_tomoflow.core.model import Movies
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.core.stages.motion import MOTION

if TYPE_CHECKING:
    from napari_tomoflow.project import Cell, Project

_Project = Annotated[Path, Parameter(help="Folder of the project.")]
_Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]

# What `run` takes every series through; the other stages start a project or need a decision.
_UNATTENDED = ("motion", "align", "ctf", "reconstruct")
_DISPENSABLE = ("ctf",)
"""Stages without whose result the later ones can do."""


def new(project: _Project, /) -> int:
    """Make a new, empty project."""
    from napari_tomoflow.project import Project

    made = Project.create(project)
    print(f"Made project {made.name} in {made.folder}.", file=sys.stderr)
    return Exit.DONE


def status(project: _Project, /, *, as_json: _Json = False) -> int:
    """Show what has been done with each series.

    Parameters
    ----------
    as_json
        Print the table as one JSON object.
    """
    from napari_tomoflow.project import Project

    table = Project.open(project).table()
    if as_json:
        print(json.dumps({name: {stage: _facts(cell) for stage, cell in row.items()} for name, row in table.items()}))
    elif table:
        _print_table(table)
    else:
        print("No series yet; bring some in with: tomoflow import PROJECT STACK", file=sys.stderr)
    return Exit.DONE


def open_(project: _Project, /) -> int:
    """Open the project in napari."""
    from napari_tomoflow.project import Project

    folder = Project.open(project).folder
    return open_window(folder)


def open_window(folder: Path) -> int:
    """Start napari on a project, in a process of its own: this package knows no viewer."""
    return subprocess.run([sys.executable, "-m", "napari_tomoflow.gui", str(folder)], check=False).returncode


def run(
    project: _Project,
    /,
    *,
    workers: Annotated[int, Parameter(show_default=False)] = 1,
) -> int:
    """Take every series through motion, where there are movies, alignment, CTF and reconstruction.

    Parameters
    ----------
    workers
        Series worked on at a time, each in a process. [1]
    """
    from napari_tomoflow.project import Project

    book = Project.open(project)
    worst = Exit.DONE
    for stage in STAGES:
        if stage.name in _UNATTENDED and (stage is not MOTION or _holds_movies(book)):
            outcome = run_job(book, stage, Request(project, stage.params(), workers=workers))
            print_outcome(book, outcome)
            code = exit_of(outcome)
            if code == Exit.MEND and stage.name in _DISPENSABLE:
                code = Exit.PARTIAL
            worst = max(worst, code) if code in (Exit.DONE, Exit.PARTIAL) else code
            if worst not in (Exit.DONE, Exit.PARTIAL):
                break
    return worst


def _holds_movies(book: "Project") -> bool:
    return any(book.find(Movies, name) for name in book.series())


_CELL_WIDTH = len("(stale),")
"""Columns of a cell below which its words would be cut."""


def _facts(cell: "Cell") -> dict[str, object]:
    return {"status": cell.status, "job": cell.job, "stale": cell.stale, "quality": dict(cell.quality)}


def _print_table(table: dict[str, dict[str, "Cell"]]) -> None:
    """Print series × the stages they have been through; a stale result is marked: something upstream was run again."""
    from rich.console import Console
    from rich.table import Table

    used = {stage for row in table.values() for stage in row}
    known = [stage.name for stage in STAGES]
    stages = [name for name in known if name in used] + sorted(used.difference(known))
    shown = Table("series")
    for stage in stages:
        shown.add_column(stage, overflow="fold", min_width=_CELL_WIDTH)
    for name, row in table.items():
        shown.add_row(name, *(_word(row[stage]) if stage in row else "" for stage in stages))
    Console().print(shown)


def _word(cell: "Cell") -> str:
    return f"{cell.status}{' (stale)' if cell.stale else ''}, job {cell.job}"
