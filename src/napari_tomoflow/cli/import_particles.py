"""``tomoflow import-particles``: picks of other programs into a project."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from napari_tomoflow.cli.jobs import exit_of, print_outcome, summary_of


def import_particles(
    project: Annotated[Path, Parameter(help="Folder of the project.")],
    /,
    *tables: Annotated[Path, Parameter(help="Tables of particles.")],
    tomogram: Annotated[str | None, Parameter(metavar="SERIES", show_default=False)] = None,
    species: Annotated[str | None, Parameter(metavar="NAME", show_default=False)] = None,
    program: Annotated[str | None, Parameter(metavar="PROGRAM", show_default=False)] = None,
    made_on: Annotated[Path | None, Parameter(metavar="FILE", show_default=False)] = None,
    unit: Annotated[str | None, Parameter(metavar="px|ang|ang-corner", show_default=False)] = None,
    pixel_ang: Annotated[str | None, Parameter(metavar="X", show_default=False)] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False,
) -> int:
    """Take particles that other programs picked into a project.

    RELION 3 to 5, Dynamo, STOPGAP, EM motive lists, IMOD, EMAN2, copick, crYOLO and CSV; the tomograms they
    speak of are found among the series.

    Parameters
    ----------
    tomogram
        Series that the tables are about. [as they say, or as they are called]
    species
        Kind of the particles. [as the tables say]
    program
        Program that wrote the tables, as `export --to` names it. [found from the files]
    made_on
        Volume that the tables were made on, or RELION's tomograms.star. [the project's tomograms]
    unit
        What positions are counted in, where a table does not say it: voxels from the corner, Å from the centre,
        Å from the corner.
    pixel_ang
        Å per pixel that positions are counted in. [as the tables say, or the voxel of the tomogram]
    as_json
        Print the job's summary as one JSON object.
    """
    from napari_tomoflow.project import Project
    from napari_tomoflow.project.particle_imports import ImportParticlesParams
    from napari_tomoflow.project.particle_imports import import_particles as take_in

    given: dict[str, Any] = {
        "tomogram": tomogram, "species": species, "program": program, "made_on": made_on, "unit": unit,
        "pixel_ang": pixel_ang,
    }  # fmt: skip
    params = ImportParticlesParams(**{name: value for name, value in given.items() if value is not None})
    book = Project.open(project)
    outcome = summary_of(book, take_in(book, tables, params))
    print_outcome(book, outcome)
    if as_json:
        print(json.dumps(outcome, allow_nan=False))
    return exit_of(outcome)
