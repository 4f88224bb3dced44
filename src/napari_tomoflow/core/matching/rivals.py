"""Particles of other kinds that a template resembles more than ice does, and how they are told from its own.

Every dense thing of about the right size scores against a template. Where another kind of particle is known to be
present, its own template, searched for in the same tomogram, says more of it: the kind is believed whose score
stands higher above what chance gives it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_tomoflow.core.matching.course import sd_of_correlation
from napari_tomoflow.core.matching.level import Transfer
from napari_tomoflow.core.matching.params import MatchParams
from napari_tomoflow.core.matching.scene import USUAL_DISTANCE, Scene
from napari_tomoflow.core.matching.template import phases_randomised
from napari_tomoflow.core.model import DensityMap, ParticleSet, Tomogram
from napari_tomoflow.core.report import Report

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rival:
    """What a search for another kind of particle found.

    Attributes
    ----------
    name : str
    diameter_ang : float
    places_ang_zyx : float64[P, 3]
        From the centre of the tomogram.
    z : float64[P]
    """

    name: str
    diameter_ang: float
    places_ang_zyx: Floats
    z: Floats

    @classmethod
    def searched(
        cls, tomogram: Tomogram, density: DensityMap, sampling: Transfer, params: MatchParams, report: Report
    ) -> "Rival":
        """Search for it as for the template, with a size and symmetry of its own."""
        own = params.replace(symmetry=None, diameter_ang=None, min_distance_ang=None)
        scene = Scene.of(tomogram, density, sampling, own)
        hits = scene.search(scene.template, report, f"Matching {density.name}")
        sd = sd_of_correlation(scene, phases_randomised(scene.template, params.seed))
        places = (hits.places_zyx - np.array(tomogram.volume.shape) // 2) * tomogram.voxel_ang
        return cls(density.name, scene.template.diameter_ang, places, hits.scores / sd)

    def best_near(self, places_ang_zyx: Floats, diameter_ang: float) -> Floats:
        """Return its highest z where two particles cannot both be, -inf where it has none: float64[N]."""
        best = np.full(len(places_ang_zyx), -np.inf)
        if len(self.z) and len(best):
            reach_ang = USUAL_DISTANCE * (self.diameter_ang + diameter_ang) / 2
            near = cKDTree(self.places_ang_zyx).query_ball_point(places_ang_zyx, reach_ang)
            best = np.array([max(self.z[one], default=-np.inf) for one in near])
        return best


def without_rivals(found: ParticleSet, rivals: Sequence[Rival], diameter_ang: float) -> ParticleSet:
    """Leave out what a rival claims with a higher z; ``quality["removed"]`` counts them by rival.

    The column ``rival_z`` keeps the highest claim on those that stay, NaN where there is none.
    """
    claims = np.array([rival.best_near(found.centers_ang_zyx, diameter_ang) for rival in rivals])
    highest, whose = claims.max(axis=0), claims.argmax(axis=0)
    lost = highest > found.features["z"]
    removed = {rival.name: int(np.sum(lost & (whose == number))) for number, rival in enumerate(rivals)}
    quality = dict(found.quality)
    quality["removed"] = {**quality.get("removed", {}), "claimed_by_rivals": removed}
    quality["particles"] = int(np.sum(~lost))
    quality["median_z"] = float(np.median(found.features["z"][~lost])) if not lost.all() else None
    column = np.where(np.isfinite(highest), highest, np.nan)
    return found.replace(features={**found.features, "rival_z": column}, quality=quality)[~lost]
