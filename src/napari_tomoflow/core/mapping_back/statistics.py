"""Neighbours summed up, as numbers for people and for plots."""

from collections.abc import Iterable, Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.mapping_back.neighbours import by_chance_deg
from napari_tomoflow.core.mapping_back.radial import radial_distribution
from napari_tomoflow.core.model import Neighbours

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

_DISTANCES, _ANGLES, _SHELLS = 30, 18, 40
"""Bins."""

_FEWEST = 3
"""Particles of a species that make a distribution."""


def neighbour_quality(
    neighbours: Neighbours, matrices: Floats, species: Texts, symmetries: Mapping[str, str]
) -> dict[str, Any]:
    """Sum up how far the nearest neighbours are, and how they are turned beside what chance would have."""
    nearest = neighbours.rank == 1
    if not nearest.any():
        return {}
    distance_ang = neighbours.distance_ang[nearest]
    turned_deg = neighbours.turned_deg[nearest]
    turned_deg = turned_deg[np.isfinite(turned_deg)]
    by_chance = by_chance_deg(matrices, species, symmetries)
    edges_deg = np.linspace(0.0, 180.0, _ANGLES + 1)
    share = len(turned_deg) / max(len(by_chance), 1)
    return {
        "nearest_ang": {
            name: float(np.percentile(distance_ang, at)) for name, at in (("p10", 10), ("median", 50), ("p90", 90))
        },
        "distances": _histogram(distance_ang, np.linspace(0.0, 1.001 * distance_ang.max(), _DISTANCES + 1), "ang"),
        "turns": _histogram(turned_deg, edges_deg, "deg")
        | {"by_chance": np.round(share * np.histogram(by_chance, edges_deg)[0], 3).tolist()},
    }


def radial_quality(
    centres_ang_zyx: Floats, species: Texts, names: Iterable[str], reach_ang: float
) -> dict[str, dict[str, list[float | None]]]:
    """Compute the radial distribution of every pair of species that has enough of both."""
    edges_ang = np.linspace(0.0, reach_ang, _SHELLS + 1)
    middle_ang = ((edges_ang[1:] + edges_ang[:-1]) / 2).round(3).tolist()
    places = {name: centres_ang_zyx[species == name] for name in names}
    found = {}
    for first, second in combinations_with_replacement([name for name in places if len(places[name]) >= _FEWEST], 2):
        ratio = radial_distribution(places[first], places[second], edges_ang, same=first == second)
        values = [round(float(value), 4) if np.isfinite(value) else None for value in ratio]
        found[f"{first} around {second}"] = {"distance_ang": middle_ang, "over_chance": values}
    return found


def _histogram(values: Floats, edges: Floats, unit: str) -> dict[str, list[float]]:
    counts, _ = np.histogram(values, edges)
    return {f"edges_{unit}": edges.round(3).tolist(), "counts": counts.tolist()}
