"""A project summed up in one page of HTML that needs nothing beside it."""

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path

from napari_tomoflow import __version__
from napari_tomoflow.core.stages import STAGES
from napari_tomoflow.io.files import write_text
from napari_tomoflow.project.book import Cell, Project
from napari_tomoflow.project.files import plainly
from napari_tomoflow.project.summary import numbers_in

REPORT_NAME = "report.html"

Table = Mapping[str, Mapping[str, Cell]]

_STYLE = """
body { font: 15px/1.45 sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; margin-bottom: 2em; }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top; }
th { background: #f3f3f3; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.failed, .interrupted, .cancelled { color: #b00020; }
.note { color: #666; }
.wide { overflow-x: auto; }
li { margin-bottom: .3em; }
img { width: 260px; cursor: zoom-in; display: block; margin-top: .4em; }
img.large { width: auto; max-width: 92vw; cursor: zoom-out; }
"""


def write_report(project: Project) -> Path:
    """Write ``report.html`` into the folder of a project, anew each time, and return its path.

    First what a person should look at, then where each series stands with the pictures of its results,
    then the figures of each stage.

    Raises
    ------
    DataError
        The disk is full, the folder cannot be written, or a picture in it cannot be read.
    """
    table = project.table()
    stages = [stage.name for stage in STAGES]
    stages += sorted({name for row in table.values() for name in row} - set(stages))
    stages = [name for name in stages if any(name in row for row in table.values())]
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(project.name)}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(project.name)}</h1>",
        f'<p class="note">{escape(str(project.folder))}, {len(table)} series; '
        f"written {now} by napari-tomoflow {__version__}</p>",
        *_warnings(table),
        *_standings(table, stages),
        *(line for stage in stages for line in _figures(table, stage)),
        "</body></html>",
    ]
    path = project.folder / REPORT_NAME
    write_text(path, "\n".join(parts) + "\n")
    return path


def _warnings(table: Table) -> list[str]:
    """List every sentence a person should read: why items failed, what stages warn of, what is stale."""
    found = [
        f"<li><b>{escape(series)}</b>, {escape(stage)}: {escape(sentence)}</li>"
        for series, row in table.items()
        for stage, cell in row.items()
        for sentence in _sentences(cell)
    ]
    return ["<h2>To look at</h2>", "<ul>", *found, "</ul>"] if found else ["<p>Nothing to warn of.</p>"]


def _sentences(cell: Cell) -> Iterable[str]:
    if cell.error:
        yield cell.error
    if cell.stale:
        yield f"Job {cell.job} is stale: something it was made from was run again since."
    yield from map(str, cell.quality.get("warnings", ()))


def _standings(table: Table, stages: list[str]) -> list[str]:
    """Show series × stages: status, job and pictures."""
    rows = [
        f"<tr><th>{escape(series)}</th>"
        + "".join(f"<td>{_standing(row[stage]) if stage in row else ''}</td>" for stage in stages)
        + "</tr>"
        for series, row in table.items()
    ]
    return ["<h2>Series</h2>", '<div class="wide"><table>', _head(["series", *stages]), *rows, "</table></div>"]


def _standing(cell: Cell) -> str:
    stale = " (stale)" if cell.stale else ""
    pictures = sorted(cell.folder.glob("*.png")) if cell.status == "done" else []
    said = f'<span class="{escape(cell.status)}">{escape(cell.status)}{stale}</span>, job {cell.job}'
    return said + "".join(map(_picture, pictures))


def _picture(path: Path) -> str:
    """Put a picture into the page itself; a click shows it in full size and back."""
    with plainly(path):
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    words = f'alt="{escape(path.stem)}" title="{escape(path.stem)}"'
    return f'<img {words} onclick="this.classList.toggle(\'large\')" src="data:image/png;base64,{data}">'


def _figures(table: Table, stage: str) -> list[str]:
    """Show every number a stage reported, a row per series."""
    of_series = {
        series: numbers_in(row[stage].quality)
        for series, row in table.items()
        if stage in row and row[stage].status == "done"
    }
    names = list(dict.fromkeys(name for numbers in of_series.values() for name in numbers))
    if not names:
        return []
    rows = [
        f"<tr><th>{escape(series)}</th>"
        + "".join(f'<td class="number">{_shown(numbers.get(name))}</td>' for name in names)
        + "</tr>"
        for series, numbers in of_series.items()
    ]
    return [
        f"<h2>Figures of {escape(stage)}</h2>",
        '<div class="wide"><table>',
        _head(["series", *names]),
        *rows,
        "</table></div>",
    ]


def _head(names: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr>"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
