"""Plot how the cost of finding poses grows with particles, box and workers.

    PYTHONPATH=tests python tests/benchmarks/bench_averaging_cost.py PNG

Seconds are those of CPU time, that of workers as they measure it themselves, so that other work on the machine does
not count; what workers cost beyond one alone is what they take from each other.
"""

import json
import sys
import time
from dataclasses import dataclass

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.bench_averaging import CASES, DIAMETER_ANG, measure
from benchmarks.bench_slices import N_TILTS
from napari_tomoflow.core.averaging.aligning import AlignImages, PosePlan
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.simulation.molecules import ribosome
from napari_tomoflow.project.services import batch_pool
from truth.particle_images import Imaging, MapImages, density_of, random_particles

COUNTS = (4, 8, 16)
BOXES = (24, 32, 48, 64)
WORKERS = (1, 2)
USUAL_COUNT = 8


@dataclass(frozen=True, eq=False)
class TimedBatch:
    """Aligns some particles, and tells the CPU seconds it took this process; fit to be sent to another one."""

    source: MapImages
    align: AlignImages

    def __call__(self, chosen):
        images = self.source.images(chosen)
        start = time.process_time()
        self.align(images, self.source.truth.matrices[chosen])
        return time.process_time() - start


def over_workers(workers=WORKERS, count=2 * USUAL_COUNT, box_px=48):
    """Return CPU seconds per particle of a search everywhere, shared by some processes."""
    pixel_ang = CASES["everywhere"][1] * CASES["everywhere"][0] / box_px
    source = MapImages(
        density_of(ribosome(), box_px, pixel_ang),
        random_particles(count),
        Imaging(pixel_ang=pixel_ang, snr=2.0, n_tilts=N_TILTS),
    )
    plan = PosePlan.of(box_px, pixel_ang, DIAMETER_ANG, CASES["everywhere"][2], 30.0, "C1")
    batch = TimedBatch(source, AlignImages(Reference.of(source.volume, plan.radii[-1]), plan, CubeGrid(box_px)))
    jobs = np.array_split(np.arange(count), 2 * max(workers) + 2)
    found = []
    for number in workers:
        with batch_pool(number) as map_batches:
            # The first batches of a process compile.
            list(map_batches(batch, jobs[:number]))
            found.append(sum(map_batches(batch, jobs)) / count)
    return found


def measure_all(counts=COUNTS, boxes=BOXES, workers=WORKERS):
    """Return CPU seconds per particle: {search: (over counts, over boxes)}, and over workers."""
    return {
        **{
            search: (
                [measure(search, count)[0] for count in counts],
                [measure(search, USUAL_COUNT, box_px)[0] for box_px in boxes],
            )
            for search in CASES
        },
        "workers": over_workers(workers),
    }


def draw(found, path, counts=COUNTS, boxes=BOXES, workers=WORKERS):
    """Draw the three, cost in CPU milliseconds a particle."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for search in CASES:
        over_counts, over_boxes = (1e3 * np.array(one) for one in found[search])
        slope = np.polyfit(np.log(boxes), np.log(over_boxes), 1)[0]
        panels[0].semilogx(counts, over_counts, "o-", label=f"{search}, box {CASES[search][0]}", base=2)
        panels[1].loglog(boxes, over_boxes, "o-", label=f"{search}: exponent {slope:.1f}")
    panels[2].plot(workers, 1e3 * np.array(found["workers"]), "o-", label="everywhere, box 48")
    for panel, places in zip(panels, (counts, boxes, workers), strict=True):
        panel.set_xticks(places, [str(place) for place in places])
        panel.minorticks_off()
    panels[1].set_yticks((5, 10, 20, 50), ("5", "10", "20", "50"))
    for panel, text in zip(panels, ("particles at a time", "box, px", "workers"), strict=True):
        panel.set(xlabel=text, ylabel="CPU ms a particle")
        panel.grid(alpha=0.3, which="both")
        panel.legend(fontsize=8)
    for panel in (panels[0], panels[2]):
        panel.set_ylim(0, 1.2 * panel.get_ylim()[1])
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    found = measure_all()
    draw(found, sys.argv[1])
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
