"""Measure what it costs to refine geometry by particles, and what part of that are its Fourier transforms.

    PYTHONPATH=tests python tests/benchmarks/bench_polish.py [particles]

Seconds are those of CPU time on one thread; a particle is seen in 41 tilts in boxes of 64 px. The ceiling of the maps
of agreement is the rate at which scipy transforms their grids back and nothing else is done. What is fixed, whatever
the number of particles, is part of what is measured: more of them cost less each.
"""

import resource
import sys

import numpy as np
import scipy.fft

from benchmarks.bench_backprojection import cpu_seconds
from napari_tomoflow.core.averaging.resizing import low_pass, shell_filtered
from napari_tomoflow.core.polishing.correlation import CorrelateBatch, Window, references_of
from napari_tomoflow.core.stages.polish import PolishParams, polish
from truth.deformed_scene import SPECIES, SceneParams, make_scene

TARGET_PARTICLES, TARGET_S = 3000, 2 * 3 * 60
"""CPU seconds on two cores for so many particles."""

RADIUS_SHARE = 0.75
"""Frequencies compared, as a share of Nyquist."""


def measure(count, **scene):
    """Return CPU seconds of the whole per particle, of its maps, of their transforms alone; and the peak memory."""
    made = make_scene(SceneParams(count=count, n_series=1, pixel_ang=6.0, **scene))
    ensemble, source = made.ensemble, made.source()
    radius = RADIUS_SHARE * source.box_px / 2
    halves = [shell_filtered(half, low_pass(radius)) for half in ensemble.maps[SPECIES].halves]
    window = Window(source.box_px * source.pixel_ang, radius, 30.0)
    correlate = CorrelateBatch(source, references_of(halves, radius), window)
    chosen = np.flatnonzero(source.particles.half == 1)[:32]
    maps_s = cpu_seconds(lambda: correlate(chosen), 2) / len(chosen)
    cut_s = cpu_seconds(lambda: source.images(chosen), 2) / len(chosen)
    m = window.grid_px
    grids = np.zeros((len(chosen) * made.params.n_tilts, m, m // 2 + 1), np.complex64)
    transform_s = cpu_seconds(lambda: scipy.fft.irfft2(grids, s=(m, m), norm="forward"), 2) / len(chosen)
    whole_s = cpu_seconds(lambda: polish(ensemble, params=PolishParams()), 1) / count
    return whole_s, maps_s - cut_s, transform_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def describe(found):
    """Put the figures into words."""
    whole_s, maps_s, transform_s, memory_gb = found
    minutes = whole_s * TARGET_PARTICLES / 60
    return (
        f"{1e3 * whole_s:.0f} CPU-ms a particle; {TARGET_PARTICLES} of them {minutes:.1f} CPU-min "
        f"(the target allows {TARGET_S / 60:.0f}); maps of agreement {1 / maps_s:.0f} particles/s beside their "
        f"images, {transform_s / maps_s:.0%} of what their transforms alone allow; peak memory {memory_gb:.1f} GB"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    sys.stdout.write(describe(measure(count)) + "\n")
