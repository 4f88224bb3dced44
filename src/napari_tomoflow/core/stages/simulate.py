"""Stage: make a tilt series whose truth is known."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Simulation, TiltSeries
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.stage import Stage

if TYPE_CHECKING:
    from napari_tomoflow.core.simulation.exposure import Scene

__all__ = ["SIMULATE", "SimulateParams", "simulate"]


def simulate(params: SimulateParams = SimulateParams(), report: Report = silent) -> Simulation:
    """Simulate a tilt series of molecules, gold and membranes in ice, with its truth.

    Parameters
    ----------
    params
    report

    Returns
    -------
    Simulation
        Counts under the angles the stage claims, and the true geometry, CTF, positions and poses.

    Raises
    ------
    ParamError
        The ice cannot hold what is asked for.

    Notes
    -----
    Weak-phase imaging of point scatterers with the CTF of each height (`core.simulation.imaging`), ice
    that absorbs with its length along the beam, damage, and counting noise; the same seed gives the
    same bits with any number of threads. Not simulated: multiple scattering, magnification that changes
    with tilt, frames.

    References
    ----------
    Rullgård et al. 2011, doi:10.1111/j.1365-2818.2011.03497.x; damage: Grant and Grigorieff 2015,
    doi:10.7554/eLife.06980.
    """
    from napari_tomoflow.core.simulation.density import true_density
    from napari_tomoflow.core.simulation.exposure import image_type, set_up
    from napari_tomoflow.core.simulation.specimen import true_particles

    report(0, 1, "Growing the specimen")
    # A stream of its own for every tilt, so that no image depends on the order they are made in.
    truth_seed, noise_seed = np.random.SeedSequence(params.seed).spawn(2)
    scene = set_up(params, truth_seed, report)
    images = np.empty((params.n_tilts, params.size_px, params.size_px), image_type(params))
    shares = params.n_tilts + (params.density_voxel_ang is not None)
    for tilt, seed in enumerate(noise_seed.spawn(params.n_tilts)):
        images[tilt] = scene.counts(tilt, seed, part(report, tilt, shares))
    density = None
    if params.density_voxel_ang is not None:
        last = part(report, params.n_tilts, shares)
        density = true_density(scene.populations, params, params.density_voxel_ang, last)
    report(1, 1, "Simulated")
    return Simulation(
        series=_series(scene, images),
        alignment=scene.acquisition.alignment.replace(kept=~np.isin(np.arange(params.n_tilts), scene.faults.dead)),
        ctf=scene.acquisition.ctf,
        particles=true_particles(scene.populations, params),
        density=density,
        quality=_quality(scene, images),
    )


def _series(scene: "Scene", images: NDArray[Any]) -> TiltSeries:
    """Label the images the way a microscope would, its mistakes included."""
    params, acquisition = scene.params, scene.acquisition
    return TiltSeries(
        name=params.name,
        images=images,
        tilt_deg=scene.faults.angles_on_file(acquisition.tilt_deg),
        pixel_ang=params.pixel_ang,
        axis_deg=params.axis_deg + params.axis_error_deg,
        dose_before_e_ang2=np.asarray(params.dose_per_tilt_e_ang2 * acquisition.order, np.float64),
        dose_of_tilt_e_ang2=np.array(params.dose_per_tilt_e_ang2),
        order=acquisition.order,
        optics=acquisition.ctf.optics,
    )


def _quality(scene: "Scene", images: NDArray[Any]) -> dict[str, Any]:
    """Sum up what was made, with that part of the truth no other noun has a place for."""
    faults = scene.faults
    species = [name for one in scene.populations for name in [one.species.name] * len(one.centers_ang_zyx)]
    return {
        "objects": {name: species.count(name) for name in sorted(set(species))},
        "mean_counts": [round(float(image.mean()), 3) for image in images],
        "faults": {
            "dead": list(faults.dead),
            "shadowed": list(faults.shadowed),
            "swapped": [list(pair) for pair in faults.swapped],
        },
        "deformation": scene.deformation.record() if scene.deformation else None,
    }


SIMULATE = Stage.of(simulate, version=1, cites=("10.1111/j.1365-2818.2011.03497.x", "10.7554/eLife.06980"))
