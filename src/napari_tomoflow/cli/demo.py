"""``tomoflow demo``: the main job, from tilt series to averages in their tomogram, in napari."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_tomoflow.cli.demo_data import (
    DIAMETER_ANG,
    SPECIES,
    Example,
    cells,
    measured_examples,
    sample_example,
    template_file,
)
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

Step = tuple[Stage, Request]

_STAGES = {stage.name: stage for stage in STAGES}
_CELLS, _CELLS_IN_FULL = 1, 3


def demo(
    folder: Annotated[Path, Parameter(help="Where to work. [demo_output]", show_default=False)] = Path("demo_output"),
    /,
    *,
    full: Annotated[bool, Parameter(show_default=False, negative="")] = False,
    window: Annotated[bool, Parameter(show_default=False)] = True,
) -> int:
    """Run the main job: a tomogram of the sample series, then an average of simulated ribosomes, mapped back.

    Parameters
    ----------
    full
        Average the ribosomes of three series instead of one, and take the measured series that lie beside the
        checkout through the main job too. [no]
    window
        Open napari on the result if there is a display. [yes]
    """
    project = _project_in(folder / "project")
    outcomes: dict[str, Mapping[str, Any]] = {}
    for stage, request in _steps(project.folder, folder / "converted", full):
        outcomes[stage.name] = outcome = run_job(project, stage, request)
        print_outcome(project, outcome)
        if exit_of(outcome) is not Exit.DONE:
            return exit_of(outcome)
    pictures = (folder / "screenshots").resolve()
    _take_pictures(project.folder, pictures)
    _say_what_came_out(project, outcomes, pictures)
    if window and has_display():
        return open_window(project.folder)
    return Exit.DONE


def _project_in(folder: Path) -> "Project":
    """Make the demo's project, or go on in the one of an earlier demo."""
    from napari_tomoflow.project import Project

    return Project.open(folder) if (folder / "tomoflow.json").exists() else Project.create(folder, "demo")


def _steps(project: Path, work_folder: Path, full: bool) -> Iterator[Step]:
    """Yield all jobs of the demo."""
    for example in [sample_example(), *(measured_examples(work_folder) if full else ())]:
        yield from _main_job(project, example)
    yield from _averaging(project, template_file(work_folder), _CELLS_IN_FULL if full else _CELLS)


def _main_job(folder: Path, example: Example) -> Iterator[Step]:
    """Yield the three jobs of one series."""
    bring_in, align, reconstruct = (_STAGES[name] for name in ("import", "align", "reconstruct"))
    params = bring_in.params(name=example.name, **example.given)
    yield bring_in, Request(folder, params, sources=(example.stack,))
    if not example.aligned:
        yield align, Request(folder, align.params(), series=(example.name,))
    yield reconstruct, Request(folder, reconstruct.params(**example.reconstruct), series=(example.name,))


def _averaging(folder: Path, template: Path, count: int) -> Iterator[Step]:
    """Yield the jobs that lead from nothing to averages in their tomograms."""
    simulated = cells(count)
    for cell in simulated:
        yield _STAGES["simulate"], Request(folder, _STAGES["simulate"].params(**cell))
    particle = {"species": SPECIES, "diameter_ang": DIAMETER_ANG}
    stages: dict[str, dict[str, Any]] = {
        "align": {},
        "ctf": {},
        "reconstruct": {"weighting": "ramp"},
        "match": {"template": template, "species": SPECIES, "angular_step_deg": 15.0},
        # Refinement begins with detail of 75 Å: more of a first map would be thrown away.
        "initial-model": {**particle, "resolution_ang": 60.0, "starts": 1, "iterations": 25, "lots": 2},
        "refine": particle,
        "postprocess": {"species": SPECIES},
        "map-back": {"species": SPECIES, "colour_by": "neighbour"},
    }
    names = tuple(str(cell["name"]) for cell in simulated)
    for name, given in stages.items():
        stage = _STAGES[name]
        yield stage, Request(folder, stage.params(**given), series=() if name == "postprocess" else names)


def _take_pictures(project: Path, pictures: Path) -> None:
    """Let napari draw the project's results into PNG files, on a screen nobody sees if there is none."""
    words = [sys.executable, "-m", "napari_tomoflow.gui.screenshots", str(project), str(pictures)]
    done = subprocess.run(words, stdout=sys.stderr, check=False)
    if done.returncode:
        raise DataError(f"napari could not draw {project} (see above); see what is missing with: tomoflow doctor")


def _say_what_came_out(project: "Project", outcomes: Mapping[str, Mapping[str, Any]], pictures: Path) -> None:
    """Say how far the average goes, and where everything lies."""
    ((name, average),) = outcomes["refine"]["items"].items()
    found = average["quality"]["resolution_ang"]
    resolution = "no resolution beyond the first map" if found is None else f"a resolution of {found:.1f} Å"
    placed = sum(item["quality"]["n_placed"] for item in outcomes["map-back"]["items"].values())
    fsc = project.job_folder(outcomes["refine"]["job"]) / name / "fsc.png"
    lines = (
        f"The average of {average['quality']['counted']} {name}s has {resolution} (FSC 0.143): {fsc}",
        f"{placed} averages are mapped back: {project.job_folder(outcomes['map-back']['job'])}",
        f"The project is in {project.folder}, its pictures are in {pictures}.",
    )
    for line in lines:
        print(line, file=sys.stderr)
