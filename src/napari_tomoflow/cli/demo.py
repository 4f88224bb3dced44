"""``tomoflow demo``: the main job, from tilt series to tomograms in napari."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from napari_tomoflow.cli.demo_data import Example, measured_examples, sample_example
from napari_tomoflow.cli.doctor import has_display
from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.jobs import exit_of, print_outcome, run_job
from napari_tomoflow.cli.projects import open_window
from napari_tomoflow.cli.stage_command import Request
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES

if TYPE_CHECKING:
    from napari_tomoflow.project import Project

_STAGES = {stage.name: stage for stage in STAGES}


def demo(
    folder: Annotated[Path, Parameter(help="Where to work. [demo_output]", show_default=False)] = Path("demo_output"),
    /,
    *,
    window: Annotated[bool, Parameter(show_default=False)] = True,
) -> int:
    """Run the main job on sample data: import, align, reconstruct, and look at it in napari.

    Parameters
    ----------
    window
        Open napari on the result if there is a display. [yes]
    """
    project = _project_in(folder / "project")
    for example in [sample_example(), *measured_examples(folder / "converted")]:
        for stage, request in _main_job(project.folder, example):
            outcome = run_job(project, stage, request)
            print_outcome(project, outcome)
            if exit_of(outcome) is not Exit.DONE:
                return exit_of(outcome)
    pictures = (folder / "screenshots").resolve()
    _take_pictures(project.folder, pictures)
    print(f"The project is in {project.folder}, its pictures are in {pictures}.", file=sys.stderr)
    if window and has_display():
        return open_window(project.folder)
    return Exit.DONE


def _project_in(folder: Path) -> "Project":
    """Make the demo's project, or go on in the one of an earlier demo."""
    from napari_tomoflow.project import Project

    return Project.open(folder) if (folder / "tomoflow.json").exists() else Project.create(folder, "demo")


def _main_job(folder: Path, example: Example) -> Iterator[tuple[Stage, Request]]:
    """Yield the three jobs of one series."""
    bring_in, align, reconstruct = (_STAGES[name] for name in ("import", "align", "reconstruct"))
    params = bring_in.params(name=example.name, **example.given)
    yield bring_in, Request(folder, params, sources=(example.stack,))
    if not example.aligned:
        yield align, Request(folder, align.params(), series=(example.name,))
    yield reconstruct, Request(folder, reconstruct.params(**example.reconstruct), series=(example.name,))


def _take_pictures(project: Path, pictures: Path) -> None:
    """Let napari draw the project's results into PNG files, on a screen nobody sees if there is none."""
    words = [sys.executable, "-m", "napari_tomoflow.gui.screenshots", str(project), str(pictures)]
    done = subprocess.run(words, stdout=sys.stderr, check=False)
    if done.returncode:
        raise DataError(f"napari could not draw {project} (see above); see what is missing with: tomoflow doctor")
