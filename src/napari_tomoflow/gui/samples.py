"""Sample data made on the spot by the project's own simulator: no network, no files."""

import numpy as np

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Simulation
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.gui.layers import LayerTuple, to_layers
from napari_tomoflow.gui.running import RunningJob
from napari_tomoflow.project import compute_lane

_VOXEL_ANG = 12.0
_SMALL = SimulateParams(
    name="sample", size_px=128, pixel_ang=_VOXEL_ANG, n_tilts=31, thickness_nm=60.0, n_ribosomes=10, n_proteasomes=4,
    n_gold=4, n_vesicles=1, vesicle_diameter_nm=50.0,
)  # fmt: skip


def tilt_series() -> list[LayerTuple]:
    """Simulate a small tilt series."""
    return to_layers(_simulated(_SMALL).series)


def tomogram() -> list[LayerTuple]:
    """Simulate a small volume: the true density of a specimen, with its particles."""
    simulation = _simulated(_SMALL.replace(n_tilts=1, density_voxel_ang=_VOXEL_ANG))
    density, particles = simulation.density, simulation.particles
    if density is None:
        return []
    reach_ang = np.array(density.volume.shape) * _VOXEL_ANG / 2  # the specimen goes on around the field
    inside = np.all(np.abs(particles.centers_ang_zyx) < reach_ang, axis=1)
    return [layer for noun in (density, particles[inside]) for layer in to_layers(noun, _VOXEL_ANG)]


def _simulated(params: SimulateParams) -> Simulation:
    if RunningJob.current is not None:  # waiting for the lane would freeze the window
        raise MissingError("A sample cannot be simulated while a job is running; wait for it or cancel it.")
    with compute_lane(silent):
        return simulate(params)
