"""From averages and poses to a painted tomogram and to what neighbours tell.

Legend: P particles.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.mapping_back.neighbours import find_neighbours
from napari_tomoflow.core.mapping_back.painting import paint
from napari_tomoflow.core.mapping_back.params import LabelBy, MapBackParams
from napari_tomoflow.core.mapping_back.references import Reference, level_of, reference_of
from napari_tomoflow.core.mapping_back.statistics import neighbour_quality, radial_quality
from napari_tomoflow.core.model import Ensemble, MappedBack, Neighbours, ParticleSet, Tomogram
from napari_tomoflow.core.model.ensemble import named_species
from napari_tomoflow.core.model.placement import LABEL, NEIGHBOUR_ANG, NEIGHBOUR_DEG
from napari_tomoflow.core.report import Report, part, watched
from napari_tomoflow.core.stage import Allocate

Floats = NDArray[np.float64]

_RADIAL_DIAMETERS = 6.0
_COUNTED = "counted"
"""Feature column of averages: 0 for a particle that was left out as fitting worst."""


def place_averages(
    tomogram: Tomogram, ensemble: Ensemble, params: MapBackParams, report: Report, allocate: Allocate
) -> MappedBack:
    """Place the averages of an ensemble into one of its tomograms; see `core.stages.map_back`."""
    particles = _chosen(ensemble, tomogram.name, params)
    species = particles.species
    maps = {name: ensemble.maps[name] for name in dict.fromkeys(species.tolist())}
    references = {
        name: reference_of(maps[name], tomogram.voxel_ang, params.level_sd and level_of(maps[name], params.level_sd))
        for name in watched(list(maps), part(report, 0, 2), "Looking for the surfaces of the averages")
    }
    symmetries = {name: density.symmetry for name, density in maps.items()}
    found = find_neighbours(particles.centers_ang_zyx, particles.matrices, species, symmetries, params.n_neighbours)
    labels = _labels(particles, species, params.label_by)
    particles = particles.replace(features={**particles.features, LABEL: labels, **_nearest(found, len(particles))})
    painted, labelled, within = paint(
        tomogram, particles, references, params.paint == "add", part(report, 1, 2), allocate
    )
    reach_ang = 10.0 * params.radial_nm if params.radial_nm else _RADIAL_DIAMETERS * _widest(references)
    return MappedBack(
        name=tomogram.name,
        painted=painted,
        labels=labelled,
        voxel_ang=tomogram.voxel_ang,
        origin_ang_zyx=tomogram.origin_ang_zyx,
        particles=particles,
        maps=maps,
        levels={name: reference.level for name, reference in references.items()},
        neighbours=found,
        colour_by=params.colour_by,
        quality={
            **_quality(tomogram, particles, species, references),
            "n_left_out": int(np.count_nonzero(ensemble.particles.tomogram == tomogram.name)) - len(particles),
            "filled_percent": 100.0 * within / float(np.prod(tomogram.volume.shape)),
            **neighbour_quality(found, particles.matrices, species, symmetries),
            "radial": radial_quality(particles.centers_ang_zyx, species, maps, reach_ang),
        },
    )


def _chosen(ensemble: Ensemble, tomogram: str, params: MapBackParams) -> ParticleSet:
    """Return the particles of a tomogram that are to be placed."""
    particles = ensemble.particles
    wanted = named_species(params.species)
    for name in wanted:
        if name not in ensemble.maps:
            raise MissingError(f"There is no average of {name}; choose from {', '.join(ensemble.maps)}.")
    kept = particles.tomogram == tomogram
    if wanted:
        kept &= np.isin(particles.species, wanted)
    if params.score_min is not None:
        kept &= particles.score >= params.score_min
    if not params.uncounted:
        kept &= _counted(particles)
    if not kept.any():
        raise MissingError(
            f"{tomogram}: none of {len(particles)} averaged particles is left to be placed; "
            "average some of this tomogram first, or ask for more species, lower scores or uncounted ones."
        )
    return particles[kept]


def _counted(particles: ParticleSet) -> NDArray[np.bool_]:
    """Tell who is in the average; whoever nothing is said of is."""
    column = particles.features.get(_COUNTED)
    return np.ones(len(particles), np.bool_) if column is None else np.asarray(column) != 0


def _labels(particles: ParticleSet, species: NDArray[np.str_], by: LabelBy) -> NDArray[np.int64]:
    """Count particles, classes or species from 1."""
    if by == "particle":
        return np.arange(1, len(particles) + 1)
    column: NDArray[Any] = particles.class_ids if by == "class" else species
    return np.asarray(np.unique(column, return_inverse=True)[1].reshape(-1) + 1)


def _nearest(found: Neighbours, count: int) -> dict[str, Floats]:
    """Return distance and turn of the nearest neighbour of each particle."""
    first = found.rank == 1
    columns = {NEIGHBOUR_ANG: found.distance_ang, NEIGHBOUR_DEG: found.turned_deg}
    nearest = {name: np.full(count, np.nan) for name in columns}
    for name, values in columns.items():
        nearest[name][found.of[first]] = values[first]
    return nearest


def _widest(references: Mapping[str, Reference]) -> float:
    return max(one.diameter_ang for one in references.values())


def _quality(
    tomogram: Tomogram, particles: ParticleSet, species: NDArray[np.str_], references: Mapping[str, Reference]
) -> dict[str, Any]:
    """Gather what is placed, and what looks wrong about it."""
    half_ang = np.array(tomogram.volume.shape) * tomogram.voxel_ang / 2
    outside = np.any(np.abs(particles.centers_ang_zyx - tomogram.origin_ang_zyx) > half_ang, axis=1)
    warnings = []
    if outside.any():
        warnings.append(
            f"{np.count_nonzero(outside)} of {len(particles)} particles lie outside the tomogram; "
            "was it reconstructed with another alignment or depth?"
        )
    warnings += [
        f"The average of {name} reaches the border of its box: what lies beyond is not placed."
        for name, reference in references.items()
        if reference.is_cut
    ]
    return {
        "n_placed": len(particles),
        "n_outside": int(np.count_nonzero(outside)),
        "placed": {
            name: {
                "particles": int(np.count_nonzero(species == name)),
                "surface_level": reference.level,
                "volume_nm3": reference.volume_nm3,
            }
            for name, reference in references.items()
        },
        "warnings": warnings,
    }
