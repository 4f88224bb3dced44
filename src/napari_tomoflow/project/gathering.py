"""Items that join many tilt series: the particles of a species, wherever they lie, with all that shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import MissingError, ParamError
from napari_tomoflow.core.model import Alignment, CtfSeries, Dataset, DensityMap, ParticleSet, TiltSeries
from napari_tomoflow.core.model.ensemble import named_species
from napari_tomoflow.core.params import Params
from napari_tomoflow.project.book import Project, load_noun, missing
from napari_tomoflow.project.lineage import Lineage, Result
from napari_tomoflow.project.record import Reference

_NAME = "average"
"""Of an item when neither name nor species is given."""

_SPECIES = "species"
"""Parameter and column that name the kind of particle."""

_CLASS = "only_class"
"""Parameter that chooses particles by their class."""

_PARTS = (ParticleSet, DensityMap, TiltSeries, Alignment, CtfSeries)
_BY_NAME = {kind.__name__: kind for kind in _PARTS}
"""Nouns that gathered inputs are made of."""


def item_name(params: Params) -> str:
    """Name the item: as asked, or by the species."""
    return getattr(params, "name", "") or species_of(params) or _NAME


def species_of(params: Params) -> str:
    """Return the species asked for; empty for all."""
    return str(getattr(params, _SPECIES, "") or "")


def species_named(params: Params) -> list[str]:
    """Return the species asked for by stages that take several, with commas between them; none for all."""
    return named_species(species_of(params))


def gather(
    project: Project,
    lineage: Lineage,
    params: Params,
    series: Sequence[str],
    given: str,
    from_job: int | None,
    but_job: int | None,
) -> dict[str, Reference]:
    """Find all that a `Dataset` is made of.

    Particles are those of the item's own newest result, as long as no series was picked anew since, or else
    the newest picks of the species in every series. Series without any are left out. A class that has no result of
    its own yet is taken from that of the species.

    Parameters
    ----------
    project, lineage
        Where to look.
    params
        They tell the species and the name.
    series
        Tilt series to take.
    given
        Name of the stage's input.
    from_job, but_job
        As in `plan.make_plan`.

    Returns
    -------
    dict of str to Reference
        ``<input>.<noun>.<item>`` → where it comes from.

    Raises
    ------
    MissingError
        There are no particles, or a series that has some lacks its alignment.
    """
    name, species = item_name(params), species_of(params)
    if name in project.series():
        raise ParamError(f"An average cannot be named {name!r}, as a series is named so; give --name.")
    picks = {
        each: found
        for each in series
        if (found := _newest(project, lineage, each, species, from_job, but_job)) is not None
    }
    own = _newest(project, lineage, name, species, from_job, but_job)
    if own is None and species and bool(getattr(params, _CLASS, False)):
        # One class of the species under a name of its own.
        own = _newest(project, lineage, species, species, from_job, but_job)
    if own is not None and all(own.job.number > found.job.number for found in picks.values()):
        shown = series_shown(own, lineage)
        particles, used = {own.series: own}, [each for each in series if each in shown]
    else:
        particles, used = picks, list(picks)
    if not used:
        whose = f" of the species {species}" if species else ""
        raise MissingError(f"No particles{whose} are found in {', '.join(series)}; run `tomoflow match` or pick first.")
    return named_parts(
        {(ParticleSet, item): result for item, result in particles.items()} | showing(lineage, used, from_job), given
    )


Parts = dict[tuple[type, str], Result]
"""(Noun, item) → what holds it."""


def showing(lineage: Lineage, series: Sequence[str], from_job: int | None) -> Parts:
    """Find what shows the particles of some series: their images, alignments, and CTFs where they have any."""
    parts: Parts = {}
    for each in series:
        for kind in (TiltSeries, Alignment, CtfSeries):
            found = next(lineage.holding(kind.__name__, each, from_job), None)
            if found is not None:
                parts[kind, each] = found
            elif kind is not CtfSeries:
                raise MissingError(missing(kind, each, from_job, lineage.kinds(each)))
    return parts


def named_parts(parts: Parts, given: str) -> dict[str, Reference]:
    """Refer to parts as ``<input>.<noun>.<item>``."""
    return {
        f"{given}.{kind.__name__}.{item}": result.reference(kind.__name__).model_copy(update={"item": item})
        for (kind, item), result in parts.items()
    }


def series_shown(result: Result, lineage: Lineage) -> list[str]:
    """Return the series that a joined item was made from; one made of its own particles alone, from what these were."""
    shown = [item for kind, item in map(parts_of_key, result.inputs) if kind == TiltSeries.__name__]
    earlier = [one.job for one in result.inputs.values() if one.kind == ParticleSet.__name__]
    if shown or not earlier:
        return shown
    holding = lineage.holding(ParticleSet.__name__, result.series)
    return next((series_shown(one, lineage) for one in holding if one.job.number == earlier[0]), [])


def load_dataset(references: Mapping[str, Reference], folders: Mapping[str, Path], given: str) -> Dataset:
    """Load what `gather` found; particles of other tomograms are left out.

    Parameters
    ----------
    references
        As `gather` returned them, among others.
    folders
        Name of the input → folder that holds it.
    given
        Name of the stage's input.
    """
    loaded = load_parts(references, folders, given)
    series = loaded[TiltSeries]
    particles = ParticleSet.joined(list(loaded[ParticleSet].values()))
    return Dataset(
        particles=particles[np.isin(particles.tomogram, list(series))],
        series=series,
        alignments=loaded[Alignment],
        ctfs=loaded[CtfSeries],
    )


def load_parts(
    references: Mapping[str, Reference], folders: Mapping[str, Path], given: str
) -> dict[type, dict[str, Any]]:
    """Load all parts of an input: noun → item → what it holds."""
    loaded: dict[type, dict[str, Any]] = {kind: {} for kind in _PARTS}
    for key, folder in folders.items():
        of_kind = _BY_NAME.get(parts_of_key(key)[0])
        if key.startswith(f"{given}.") and of_kind is not None:
            loaded[of_kind][references[key].item] = load_noun(of_kind, folder)
    return loaded


def parts_of_key(key: str) -> tuple[str, str]:
    """Return noun and item of an input's name; both empty where it is no part of a data set."""
    parts = key.split(".", 2)
    return (parts[1], parts[2]) if len(parts) == 3 else ("", "")


def _newest(
    project: Project, lineage: Lineage, item: str, species: str, from_job: int | None, but_job: int | None
) -> Result | None:
    """Find the newest particles of an item that hold the species."""
    for result in lineage.holding(ParticleSet.__name__, item, from_job):
        if result.job.number != but_job and _holds(project, result, species):
            return result
    return None


def _holds(project: Project, result: Result, species: str) -> bool:
    """Tell whether a result has particles of a species; one that was made for one species says so itself."""
    said = result.job.params.get(_SPECIES)
    if not species or said == species:
        return True
    if said:
        return False
    particles = load_noun(ParticleSet, project.job_folder(result.job.number) / result.series)
    return species in particles.species
