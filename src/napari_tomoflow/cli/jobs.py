"""Run a stage as a job of a project and say how it went."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_tomoflow.cli.exits import Exit
from napari_tomoflow.cli.interrupt import cancelled_by_signals
from napari_tomoflow.cli.preview import print_preview
from napari_tomoflow.cli.progress import progress_shown
from napari_tomoflow.cli.stage_command import Request, takes_stacks
from napari_tomoflow.core.stage import Stage

if TYPE_CHECKING:
    from napari_tomoflow.project import JobRecord, Project


def run_stage(stage: Stage, request: Request) -> int:
    """Run one job, say how it went and return the exit code."""
    from napari_tomoflow.project import Project

    project = Project.open(request.project)
    outcome = run_job(project, stage, request)
    if takes_stacks(stage):
        print_preview({name: item["quality"] for name, item in outcome["items"].items()})
    print_outcome(project, outcome)
    if request.as_json:
        print(json.dumps(outcome, allow_nan=False))
    return exit_of(outcome)


def run_job(project: "Project", stage: Stage, request: Request) -> dict[str, Any]:
    """Run one job under the person's eyes, progress shown and Ctrl-C heard, and sum it up."""
    from napari_tomoflow.project import run

    with progress_shown(stage.name) as shown, cancelled_by_signals(shown) as report:
        record = run(
            project,
            stage,
            request.params,
            series=request.series,
            sources=request.sources,
            from_job=request.from_job,
            workers=request.workers,
            report=report,
        )
    return summary_of(project, record)


def summary_of(project: "Project", record: "JobRecord") -> dict[str, Any]:
    """Sum a job up for ``--json``: its items with status, error, quality, and outputs relative to the project."""
    from napari_tomoflow.io.results import load_quality

    folder = project.job_folder(record.number)
    return {
        "job": record.number,
        "stage": record.stage,
        "status": record.status,
        "items": {
            name: {
                "status": item.status,
                "error": item.error,
                "quality": load_quality(folder / name) if item.status == "done" else {},
                "outputs": {
                    noun: (folder / name / output).relative_to(project.folder).as_posix()
                    for noun, output in item.outputs.items()
                },
            }
            for name, item in record.items.items()
        },
    }


def print_outcome(project: "Project", outcome: Mapping[str, Any]) -> None:
    """Say on standard error how a job ended, what to beware of, and why each item that failed did."""
    items = outcome["items"]
    for name, item in items.items():
        for sentence in (item["error"], *item["quality"].get("warnings", ())):
            if sentence:
                print(f"{name}: {sentence}", file=sys.stderr)
    done = sum(item["status"] == "done" for item in items.values())
    ending = f"job {outcome['job']} {outcome['status']}, {done} of {len(items)} series"
    print(f"{outcome['stage']}: {ending}, in {project.job_folder(outcome['job'])}", file=sys.stderr)


def exit_of(outcome: Mapping[str, Any]) -> Exit:
    """Turn the end of a job into an exit code. A bug never gets here: the runner raises it."""
    endings = {"done": Exit.DONE, "cancelled": Exit.CANCELLED, "partial": Exit.PARTIAL}
    return endings.get(outcome["status"], Exit.MEND)
