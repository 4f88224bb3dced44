"""What Fourier inversion in tiles costs, beside weighted back-projection of the same series.

python tests/benchmarks/bench_tiles.py [nx ny nz n_tilts]
"""

import resource
import sys
import time

import numpy as np

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

FULL = (1024, 1024, 256, 41)


def measure(nx, ny, nz, n_tilts):
    """Reconstruct noise by both methods: {method: (CPU seconds, wall seconds)} and the number of tiles."""
    images = np.random.default_rng(1).normal(size=(n_tilts, ny, nx)).astype(np.float32)
    tilt_deg = np.linspace(-60, 60, n_tilts)
    series = TiltSeries(name="noise", images=images, tilt_deg=tilt_deg, pixel_ang=1.0, axis_deg=0.0)
    small = series.replace(images=images[:, :64, :64])
    found = {}
    for method in ("wbp", "tiles"):
        params = ReconstructParams(method=method, bin=1, thickness_ang=float(nz))
        reconstruct(small, params=params.replace(thickness_ang=8.0))  # compiles
        start = time.process_time(), time.perf_counter()
        tomogram = reconstruct(series, params=params)
        found[method] = time.process_time() - start[0], time.perf_counter() - start[1]
    return found, tomogram.quality["tiles"]


def describe(size, found, n_tiles):
    """Put the figures into words."""
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    lines = [f"{' x '.join(map(str, size))} tilts, {n_tiles} tiles; peak memory of all {memory_gb:.1f} GB"]
    lines += [f"{method}: {cpu_s:.1f} CPU-s, {wall_s:.1f} s" for method, (cpu_s, wall_s) in found.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    size = tuple(map(int, sys.argv[1:5])) or FULL
    sys.stdout.write(describe(size, *measure(*size)) + "\n")
