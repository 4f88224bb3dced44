"""All particles of one series, however far each species has been taken: refined ones in place of their picks."""

import numpy as np

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.model.particle_set import SPECIES
from napari_tomoflow.project.book import Project, load_noun
from napari_tomoflow.project.ensembles import newest_average, newest_particles
from napari_tomoflow.project.gathering import series_shown
from napari_tomoflow.project.lineage import Lineage, Result


def particles_in(project: Project, lineage: Lineage, series: str, from_job: int | None = None) -> ParticleSet | None:
    """Join the newest picks of a series with what averaging has made of them since.

    Parameters
    ----------
    project, lineage
        Where to look.
    series
        Name of the tilt series.
    from_job
        Look only at this job and those it was made from.

    Returns
    -------
    ParticleSet or None
        The feature ``species`` names the kind of each. None where there is none.
    """
    found = next(lineage.holding(ParticleSet.__name__, series, from_job), None)
    picks = ParticleSet(centers_ang_zyx=np.zeros((0, 3))) if found is None else _load(project, found)
    sets = []
    for item in lineage.items():
        average = newest_average(lineage, item, from_job)
        if average is None or series not in series_shown(average, lineage):
            continue
        newest = newest_particles(lineage, average, from_job)
        refined = _load(project, newest)
        refined = refined[refined.tomogram == series]
        replaced = np.isin(picks.species, [item, *refined.species])
        if found is not None and found.job.number > newest.job.number and replaced.any():
            continue  # picked anew since
        picks = picks[~replaced]
        sets.append(refined.replace(features={**refined.features, SPECIES: np.full(len(refined), item)}))
    held = [each for each in (picks, *sets) if len(each)]
    return ParticleSet.joined(held) if held else None if found is None else picks


def _load(project: Project, result: Result) -> ParticleSet:
    return load_noun(ParticleSet, project.job_folder(result.job.number) / result.series)
