"""Measure what it costs to find poses: everywhere and around known ones, per particle and per pose.

    PYTHONPATH=tests python tests/benchmarks/bench_averaging.py [particles]

Images of 41 tilts are made before the clock starts; seconds are those of CPU time on one thread. Comparing a pose with
the images reads the same eight cells for each sample as taking a slice does, whose ceiling `bench_slices` measures.
The last lines say what the project's targets allow.
"""

import sys

import numpy as np

from benchmarks.bench_backprojection import cpu_seconds
from benchmarks.bench_slices import N_TILTS, rates
from napari_tomoflow.core.averaging.aligning import AlignImages, PosePlan
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.samples import Samples
from napari_tomoflow.core.averaging.search import Poses, Reference, climb
from napari_tomoflow.core.simulation.molecules import ribosome
from truth.particle_images import Imaging, MapImages, density_of, random_particles

DIAMETER_ANG = 260.0
CASES = {"everywhere": (48, 9.0, 22.0), "local": (64, 6.5, 14.0)}
"""Box, pixel in Å and resolution in Å of a search everywhere, and of one around known poses."""

ALLOWED_S = {"everywhere": 2 * 20 * 60 / 1000, "local": 2 * 3 * 60 / 3000}
"""CPU seconds per particle by the project's targets: 20 min for 1000, 3 min for 3000, on two cores."""


def measure(search, count, box_px=None):
    """Return CPU seconds per particle of a search, seconds and samples of comparing one pose."""
    usual_px, pixel_ang, resolution_ang = CASES[search]
    box_px = box_px or usual_px
    pixel_ang, resolution_ang = (one * usual_px / box_px for one in (pixel_ang, resolution_ang))
    imaging = Imaging(pixel_ang=pixel_ang, snr=2.0, n_tilts=N_TILTS)
    source = MapImages(density_of(ribosome(), box_px, pixel_ang), random_particles(count), imaging)
    images = source.images(np.arange(count))
    plan = PosePlan.of(box_px, pixel_ang, DIAMETER_ANG, resolution_ang, 30.0, "C1")
    if search == "local":
        plan = plan.around(10.0 / pixel_ang)
    finest = plan.radii[-1]
    reference = Reference.of(source.volume, finest)
    align = AlignImages(reference, plan, CubeGrid(box_px))
    known = source.truth.matrices
    whole_s = cpu_seconds(lambda: align(images, known), 2) / count
    samples = Samples.of(images, finest)
    pose_s = cpu_seconds(lambda: climb(samples, reference, Poses.at(known), finest, 9.0, 0), 3) / count
    return whole_s, pose_s, N_TILTS * len(samples.places)


def describe(search, found, reading_per_s):
    """Put the figures of a search into words."""
    whole_s, pose_s, samples = found
    rate = samples / pose_s
    return (
        f"{search}, box {CASES[search][0]}: {1e3 * whole_s:.0f} CPU-ms a particle, the sum included "
        f"(the target allows {1e3 * ALLOWED_S[search]:.0f}); one pose with all its slopes {1e3 * pose_s:.2f} ms, "
        f"{rate / 1e6:.0f} Msamples/s, {rate / reading_per_s:.0%} of what its cells can be read at"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    for search, (box_px, _, _) in CASES.items():
        ceiling = rates(box_px)["ceiling of reading"]
        sys.stdout.write(describe(search, measure(search, count), ceiling) + "\n")
