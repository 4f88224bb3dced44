"""What is known of averaged species: gathered from the items that hold their averages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Alignment, CtfSeries, DensityMap, Ensemble, ParticleSet, TiltSeries
from napari_tomoflow.core.model.particle_set import SPECIES
from napari_tomoflow.core.params import Params
from napari_tomoflow.project.gathering import (
    Parts,
    load_parts,
    named_parts,
    series_shown,
    showing,
    species_named,
)
from napari_tomoflow.project.lineage import Lineage, Result
from napari_tomoflow.project.record import Reference


def gather_ensemble(
    lineage: Lineage, params: Params, series: Sequence[str], given: str, from_job: int | None, but_job: int | None
) -> dict[str, Reference]:
    """Find all that an `Ensemble` is made of: the averages, their particles, and the series that show these.

    The particles of a species are its newest, made with its newest average or since.

    Parameters
    ----------
    lineage
        Where to look.
    params
        Their ``species`` names the averages, with commas between them; all there are when it is empty.
    series
        Tilt series to take; of them those with particles are used.
    given
        Name of the stage's input.
    from_job, but_job
        As in `plan.make_plan`. A species that is named and was never averaged on the way to `from_job` comes from its
        newest job.

    Raises
    ------
    MissingError
        There is no average, or none of its particles is in these series.
    """
    named = species_named(params)
    parts: Parts = {}
    used: dict[str, None] = {}
    for item in named or lineage.items():
        upon = from_job
        average = newest_average(lineage, item, upon, but_job)
        if average is None and named and from_job is not None:
            # Averaged beside that job, not before it; who names a species wants it all the same.
            upon = None
            average = newest_average(lineage, item, upon, but_job)
        if average is None and named:
            raise MissingError(f"There is no average of {item} with its particles; run `tomoflow refine` first.")
        shown = [] if average is None else [each for each in series if each in series_shown(average, lineage)]
        if average is None or not shown:
            continue
        used |= dict.fromkeys(shown)
        parts[DensityMap, item] = average
        parts[ParticleSet, item] = newest_particles(lineage, average, upon, but_job)
    if not parts:
        raise MissingError(
            f"No average has particles in {', '.join(series)}; run `tomoflow refine` first, or choose other series."
        )
    return named_parts(parts | showing(lineage, list(used), from_job), given)


def load_ensemble(references: Mapping[str, Reference], folders: Mapping[str, Path], given: str) -> Ensemble:
    """Load what `gather_ensemble` found; particles of other tomograms are left out."""
    loaded = load_parts(references, folders, given)
    series = loaded[TiltSeries]
    particles = ParticleSet.joined([_labelled(one, item) for item, one in loaded[ParticleSet].items()])
    return Ensemble(
        particles=particles[np.isin(particles.tomogram, list(series))],
        series=series,
        alignments=loaded[Alignment],
        ctfs=loaded[CtfSeries],
        maps=loaded[DensityMap],
    )


def _labelled(particles: ParticleSet, species: str) -> ParticleSet:
    """Name the species in the column that tells it."""
    return particles.replace(features={**particles.features, SPECIES: np.full(len(particles), species)})


def newest_average(lineage: Lineage, item: str, from_job: int | None, but_job: int | None = None) -> Result | None:
    """Find the newest result that holds a map in the frame of its own particles."""
    for result in lineage.holding(DensityMap.__name__, item, from_job):
        if result.job.number != but_job and ParticleSet.__name__ in result.item.outputs:
            return result
    return None


def newest_particles(lineage: Lineage, average: Result, from_job: int | None, but_job: int | None = None) -> Result:
    """Return particles taken further since the average was made, or its own."""
    newest = next(
        (one for one in lineage.holding(ParticleSet.__name__, average.series, from_job) if one.job.number != but_job),
        average,
    )
    return newest if newest.job.number > average.job.number else average
