"""Measure what polishing brings in each of its modes where ice bends, where alignments are off besides, and where not.

    PYTHONPATH=tests python tests/benchmarks/bench_polish_gain.py [particles [pixel_ang ["case;…" [mode,…]]]]

Prints a table: how far the halves agree (FSC 0.143, corrected) as averaging leaves them, after polishing and at the
true geometry and poses; where the average falls below an FSC of 0.5 with the true map, before and after; how many times
finer the halves agree; and the share of the variance of the unknown displacements that was recovered. CPU seconds are
those of polishing. 1000 particles in four series, in 3 Å pixels, are the target's; pixels end at 6 Å.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np

from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.recipe import Recipe, ball
from napari_tomoflow.core.ops.fsc import crossing, shell_sums
from napari_tomoflow.core.stages.polish import PolishParams, polish
from truth.deformed_scene import SPECIES, SceneParams, make_scene

CASES = {
    "bent": {},
    "bent, alignment off": {"shift_sd_ang": 1.5, "turn_sd_deg": 0.1},
    "nothing wrong": {"bend_ang": 0.0},
}
"""What goes wrong; alignments are off along and about each axis by what ours leave of images whose pixels are 5 Å."""

MODES = ("regularised", "subtilt")
MOST_SERIES, LEAST_IN_SERIES = 4, 75
COLUMNS = ("case", "mode", "before", "after", "true", "before, 0.5", "after, 0.5", "gain", "recovered", "CPU s")


@dataclass(frozen=True)
class Gain:
    """What polishing brought: resolutions in Å, of halves at 0.143 and against the true map at 0.5."""

    case: str
    mode: str
    before_ang: float
    after_ang: float
    best_ang: float
    true_before_ang: float
    true_after_ang: float
    recovered: float
    cpu_s: float

    @property
    def gain(self):
        """How many times finer the halves agree."""
        return self.before_ang / self.after_ang

    @property
    def row(self):
        """Line of the table."""
        lengths = (self.before_ang, self.after_ang, self.best_ang, self.true_before_ang, self.true_after_ang)
        cells = (*(f"{one:.2f}" for one in lengths), f"{self.gain:.2f}", f"{self.recovered:.1%}", f"{self.cpu_s:.0f}")
        return " | ".join(("", self.case, self.mode, *cells, "")).strip()


def measure(scene, case, mode):
    """Polish a scene in one mode."""
    start = time.process_time()
    polished = polish(scene.ensemble, params=PolishParams(mode=mode))
    cpu_s = time.process_time() - start
    params, said = scene.params, polished.quality["species"][SPECIES]
    mask = ball(Recipe(params.box_px, params.pixel_ang, params.diameter_ang, 40.0))
    halves = scene.ensemble.maps[SPECIES].halves, polished.averages[SPECIES].map.halves
    return Gain(
        case,
        mode,
        said["resolution_before_ang"],
        said["resolution_ang"],
        fsc_curve(*scene.true_average.halves, params.pixel_ang, mask).resolution_ang(),
        *(half_ang(np.mean(one, axis=0), scene.density, mask, params.pixel_ang) for one in halves),
        scene.share_recovered(places_of(scene, polished)),
        cpu_s,
    )


def half_ang(volume, true, mask, pixel_ang):
    """Return where the FSC of a map with the true one falls below 0.5, at Nyquist where it does not, Å."""
    fsc = shell_sums(volume * mask, true * mask).fsc
    at = crossing(fsc, np.arange(len(fsc)) / (len(true) * pixel_ang), 0.5)
    return 2 * pixel_ang if at is None else 1 / at


def places_of(scene, polished):
    """Return where every tilt shows every particle, as polishing has it: series → float64[N, P, 2]."""
    particles, seen = polished.averages[SPECIES].particles, polished.subtilts
    places = {}
    for name, known in scene.ensemble.alignments.items():
        here = np.flatnonzero(particles.tomogram == name)
        places[name] = polished.alignments.get(name, known).project(particles.centers_ang_zyx[here])[0]
        if seen is not None:
            row = {int(one): at for at, one in enumerate(particles.ids[here])}
            at = np.array([row.get(int(one), -1) for one in seen.particles.ids])[seen.particle]
            mine = at >= 0
            places[name][seen.tilt[mine], at[mine]] += seen.shift_ang_yx[mine]
    return places


def table(count, pixel_ang, cases=tuple(CASES), modes=MODES, **scene):
    """Yield the lines of the table, each as soon as it is known."""
    yield " | ".join(("", *COLUMNS, "")).strip()
    yield "|" + "---|" * len(COLUMNS)
    for case in cases:
        made = make_scene(SceneParams(count=count, pixel_ang=pixel_ang, **CASES[case], **scene))
        for mode in modes:
            yield measure(made, case, mode).row


def main(count="1000", pixel_ang="3", cases=None, modes=None):
    """Print the table."""
    chosen = [name for name in CASES if cases is None or name in cases.split(";")]
    n_series = max(1, min(MOST_SERIES, int(count) // LEAST_IN_SERIES))
    some = modes.split(",") if modes else MODES
    for line in table(int(count), float(pixel_ang), chosen, some, n_series=n_series):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
