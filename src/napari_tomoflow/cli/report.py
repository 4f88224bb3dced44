"""The command ``report``: a project summed up in one page."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_tomoflow.cli.exits import Exit


def report(project: Annotated[Path, Parameter(help="Folder of the project.")], /) -> int:
    """Write report.html: warnings, pictures and figures of every series, in one file."""
    from napari_tomoflow.project import Project
    from napari_tomoflow.project.report_page import write_report

    path = write_report(Project.open(project))
    print(f"Wrote {path}.", file=sys.stderr)
    return Exit.DONE
