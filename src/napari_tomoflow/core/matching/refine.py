"""Poses and places of hits, finer than what the search tried."""

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_opening

from napari_tomoflow.core.matching.level import Level
from napari_tomoflow.core.matching.peaks import parabola_top
from napari_tomoflow.core.matching.search import Hits
from napari_tomoflow.core.matching.template import Template, ball
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.ops.so3 import local_grid
from napari_tomoflow.core.report import Report

Floats = NDArray[np.float64]

_ROUNDS = 2
"""Each halves the angular step: to a quarter of the search's, a few degrees, where noise sets the limit."""

_REACH_VOX = 1
"""A peak moves by little when its template is turned by a few degrees."""

_TOP_HAT_RADIUS_ANG = 0.15
"""In diameters: wider than the peak of a particle, which is as wide as its finest details."""


@dataclass(frozen=True, eq=False)
class Refined:
    """Hits with poses and places of their own. Legend: P hits.

    Attributes
    ----------
    places_zyx : float64[P, 3]
        Voxels, fractions included.
    rotations : float64[P, 3, 3]
    scores : float64[P]
    stand_out : float64[P]
        Share of the score that is higher than its surroundings: 1 less the opening of the correlation by a ball.
    """

    places_zyx: Floats
    rotations: Floats
    scores: Floats
    stand_out: Floats

    def __len__(self) -> int:
        """Return the number of hits."""
        return len(self.scores)

    def __getitem__(self, chosen: NDArray[np.integer]) -> "Refined":
        """Return some of them."""
        return Refined(self.places_zyx[chosen], self.rotations[chosen], self.scores[chosen], self.stand_out[chosen])


def refine(level: Level, template: Template, hits: Hits, step_deg: float, report: Report) -> Refined:
    """Search finer rotations around each hit, and place its peak between voxels.

    Parameters
    ----------
    level : Level
    template : Template
    hits : Hits
    step_deg : float
        Of the search they come from.
    report
    """
    places = hits.places_zyx.astype(np.float64)
    rotations, scores, stand_out = hits.rotations.copy(), hits.scores.copy(), np.zeros(len(hits))
    stencil = level.stencils(template)
    radius = max(1.0, _TOP_HAT_RADIUS_ANG * template.diameter_ang / level.voxel_ang)
    reach = int(np.ceil(2 * radius)) + 2 * _REACH_VOX

    def one_hit(number: int, stop: threading.Event) -> None:
        place, rotation = hits.places_zyx[number], hits.rotations[number]
        for turn in range(1, _ROUNDS + 1):
            if stop.is_set():
                return
            around = local_grid(rotation, step_deg / 2**turn, step_deg / 2 ** (turn - 1))
            found = level.cutouts.best(stencil, around, place, _REACH_VOX)
            place, rotation = found.place_zyx, around[found.rotation]
        final = level.cutouts.best(stencil, rotation[None], place, reach)
        top = final.place_zyx - place + reach
        if np.all((top > 0) & (top < 2 * reach)):
            neighbours = final.around_zyx[tuple(slice(at - 1, at + 2) for at in top)]
            places[number] = final.place_zyx + parabola_top(neighbours)
        rotations[number], scores[number] = rotation, final.score
        stand_out[number] = _stand_out(final.around_zyx, top, radius)

    each_in_threads(one_hit, len(hits), report, "Refining poses")
    return Refined(places, rotations, scores, stand_out)


def _stand_out(around_zyx: NDArray[np.float32], top: NDArray[np.int64], radius_vox: float) -> float:
    """Return the top-hat of a peak over its height."""
    size = 2 * int(np.ceil(radius_vox)) + 1
    opened = grey_opening(around_zyx, footprint=ball(size, radius_vox, soft_vox=1e-3) > 0.5, mode="nearest")
    height = float(around_zyx[tuple(top)])
    return 1.0 - float(opened[tuple(top)]) / height if height > 0 else 0.0
