"""``tomoflow export``: results of a project as files of other programs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from napari_tomoflow.cli.exits import Exit

if TYPE_CHECKING:
    from napari_tomoflow.project.exports import Export


def export(
    project: Annotated[Path, Parameter(help="Folder of the project.")],
    folder: Annotated[
        Path | None, Parameter(help="Where to. [exports/PROGRAM in the project]", show_default=False)
    ] = None,
    /,
    *,
    to: Annotated[str, Parameter(name="--to", metavar="PROGRAM")],
    series: Annotated[
        tuple[str, ...],
        Parameter(metavar="NAME…", consume_multiple=True, negative_iterable=(), show_default=False),
    ] = (),
    from_job: Annotated[int | None, Parameter(name="--from", metavar="JOB", show_default=False)] = None,
    hand: Annotated[Literal[-1, 1] | None, Parameter(allow_leading_hyphen=True, show_default=False)] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> int:
    """Write tilt series, their alignments and the particles in them as files of another program.

    Parameters
    ----------
    to
        imod, aretomo, relion5, warp or eman2 for all of it; relion5-stacks for extracted particles; relion4, dynamo,
        stopgap, motl, copick, cbox, coords or csv for particles.
    series
        Series to export. [all that have what the program needs]
    from_job
        Take results of this job and those it was made from. [the newest finished]
    hand
        Sign with which the defocus changes with height, where it is not decided.
    as_json
        Print what was written as one JSON object.
    """
    from napari_tomoflow.project import Project
    from napari_tomoflow.project.exports import export as write

    done = write(Project.open(project), to, folder, series=tuple(series), from_job=from_job, hand=hand)
    _say(done)
    if as_json:
        print(json.dumps(_summary(done)))
    return Exit.DONE


def _say(done: "Export") -> None:
    """Tell on standard error what was written, and what to beware of."""
    for sentence in done.left_out:
        print(sentence, file=sys.stderr)
    for name, sentences in done.warnings.items():
        for sentence in sentences:
            print(f"{name}: {sentence}", file=sys.stderr)
    print(f"export: {len(done.files)} files of {len(done.warnings)} series in {done.folder}", file=sys.stderr)


def _summary(done: "Export") -> dict[str, object]:
    return {
        "program": done.program,
        "folder": str(done.folder),
        "files": [path.relative_to(done.folder).as_posix() for path in done.files],
        "series": {name: {"warnings": list(sentences)} for name, sentences in done.warnings.items()},
        "left_out": list(done.left_out),
    }
