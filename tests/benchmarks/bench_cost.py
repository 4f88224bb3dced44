"""How the cost of each method grows with the volume and with the number of tilts.

    python tests/benchmarks/bench_cost.py PNG [ASTRA_PYTHON]

Field n × n, depth n / 4. A second argument names a Python that has astra-toolbox; its back-projection on the
CPU, slice after slice and without filtering, is then drawn beside ours.
"""

import json
import subprocess
import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

SIZES = (128, 192, 256, 384, 512)
TILTS = (11, 21, 41, 61, 81)
USUAL_SIZE, USUAL_TILTS = 256, 41
METHODS = {"wbp": {}, "tiles": {}, "sirt, 10 iterations": {"iterations": 10}}

ASTRA = """
import json, sys, time
import astra, numpy as np
def seconds(n, n_tilts):
    angles = np.linspace(-np.pi / 3, np.pi / 3, n_tilts)
    volume = astra.create_vol_geom(n // 4, n)
    lines = astra.create_proj_geom("parallel", 1.0, int(1.5 * n), angles)
    projector = astra.create_projector("linear", lines, volume)
    sinogram = astra.data2d.create("-sino", lines, np.ones((n_tilts, int(1.5 * n)), np.float32))
    result = astra.data2d.create("-vol", volume)
    settings = astra.astra_dict("BP")
    settings.update(ProjectorId=projector, ProjectionDataId=sinogram, ReconstructionDataId=result)
    algorithm = astra.algorithm.create(settings)
    astra.algorithm.run(algorithm)
    start = time.process_time()
    for _ in range(4):
        astra.algorithm.run(algorithm)
    return (time.process_time() - start) / 4 * n
print(json.dumps([seconds(*case) for case in json.loads(sys.argv[1])]))
"""


def cases(sizes=SIZES, tilts=TILTS):
    """List what is measured: (n, tilts) over sizes, then over tilts."""
    return [(n, USUAL_TILTS) for n in sizes], [(USUAL_SIZE, n) for n in tilts]


def cpu_seconds(method, n, n_tilts):
    """Reconstruct noise, the better of two runs."""
    name = method.split(",")[0]
    images = np.random.default_rng(0).normal(size=(n_tilts, n, n)).astype(np.float32)
    series = TiltSeries(
        name="noise", images=images, tilt_deg=np.linspace(-60, 60, n_tilts), pixel_ang=1.0, axis_deg=0.0
    )
    params = ReconstructParams(method=name, bin=1, thickness_ang=n / 4, **METHODS[method])
    times = []
    for _ in range(2):
        start = time.process_time()
        reconstruct(series, params=params)
        times.append(time.process_time() - start)
    return min(times)


def measure(sizes=SIZES, tilts=TILTS, astra_python=None):
    """Measure all: {method: (seconds over sizes, seconds over tilts)}."""
    both = cases(sizes, tilts)
    found = {method: [[cpu_seconds(method, *case) for case in one] for one in both] for method in METHODS}
    if astra_python:
        found["astra-toolbox, back-projection alone"] = [
            json.loads(subprocess.check_output([astra_python, "-c", ASTRA, json.dumps(one)])) for one in both
        ]
    return found


def growth(costs, work):
    """Return the exponent by which cost grows with the work, over the larger half where fixed costs no longer count."""
    half = len(work) // 2
    return float(np.polyfit(np.log(work[half:]), np.log(costs[half:]), 1)[0])


def draw(found, path, sizes=SIZES, tilts=TILTS):
    """Draw cost against voxels and against tilts, both axes logarithmic."""
    voxels = np.array(sizes, float) ** 3 / 4
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for method, (over_sizes, over_tilts) in found.items():
        for panel, work, costs in ((panels[0], voxels, over_sizes), (panels[1], np.array(tilts), over_tilts)):
            panel.loglog(work, costs, "o-", label=f"{method}: exponent {growth(costs, work):.2f}")
    panels[0].set(xlabel=f"voxels, {USUAL_TILTS} tilts", ylabel="CPU seconds")
    panels[1].set(xlabel=f"tilts, {USUAL_SIZE} × {USUAL_SIZE} × {USUAL_SIZE // 4} voxels")
    for panel in panels:
        panel.set_ylim(top=8 * panel.get_ylim()[1])  # room for the legend
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    found = measure(astra_python=sys.argv[2] if len(sys.argv) > 2 else None)
    draw(found, sys.argv[1])
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
