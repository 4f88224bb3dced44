"""Precision and recall of template matching on a third-party simulation, and what its false particles are.

    TOMOFLOW_TEST_DATA=FOLDER PYTHONPATH=tests python tests/benchmarks/bench_picking.py [--plot FILE] [--search fast]

Aligns and reconstructs `sim_fiducial_A` from its raw images, looks for both species down to thirty expected false
particles, each with the other as a rival and without, and sorts what is found by where it lies: on a particle of its
kind, on one of the other kind, on gold, or on nothing.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_tomoflow.core.model import ParticleSet

DIAMETER_ANG = {"P20S": 150.0, "R30S": 200.0}
_GOLD_ANG = 80.0
_LEAST_EXPECTED = 1.0
"""Expected false particles at the threshold that is used by default."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Picks, the best first, each with what it lies on.

    Attributes
    ----------
    cause : str array[P]
        ``own``, ``other species``, ``gold`` or ``nothing``; a particle found twice is ``nothing`` the second time.
    expected_false : float64[P]
    total : int
        Particles wholly within the field.
    """

    cause: NDArray[np.str_]
    expected_false: NDArray[np.float64]
    total: int

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return precision and recall down to every pick."""
        true = np.cumsum(self.cause == "own")
        return true / np.arange(1, len(true) + 1), np.minimum(true / self.total, 1.0)

    def at_threshold(self, expected: float = _LEAST_EXPECTED) -> dict[str, float]:
        """Count causes, and give F1, above the threshold of so many expected false particles."""
        believed = self.expected_false <= expected
        counts = {str(name): float(np.sum(self.cause[believed] == name)) for name in np.unique(self.cause)}
        true = counts.get("own", 0.0)
        precision, recall = true / believed.sum(), min(true / self.total, 1.0)
        return counts | {"F1": 2 * precision * recall / (precision + recall)}


def judge(
    picks: ParticleSet,
    places: dict[str, NDArray[np.float64]],
    own: str,
    gold: NDArray[np.float64],
    half_field_ang_yx: NDArray[np.float64],
) -> Judged:
    """Say of every pick what it lies on, within a third of a diameter."""
    picks = picks[np.argsort(-picks.score)]
    cause = np.full(len(picks), "nothing", dtype="<U13")
    (other,) = set(DIAMETER_ANG) - {own}
    taken: set[int] = set()
    for row, centre in enumerate(picks.centers_ang_zyx):
        away = {name: np.linalg.norm(at - centre, axis=1) for name, at in places.items()}
        nearest = int(np.argmin(away[own]))
        if away[own][nearest] < DIAMETER_ANG[own] / 3 and nearest not in taken:
            cause[row] = "own"
            taken.add(nearest)
        elif away[other].min() < (DIAMETER_ANG[own] + DIAMETER_ANG[other]) / 4:
            cause[row] = "other species"
        elif np.linalg.norm(gold - centre, axis=1).min() < _GOLD_ANG:
            cause[row] = "gold"
    whole = np.all(np.abs(places[own][:, 1:]) < half_field_ang_yx - DIAMETER_ANG[own] / 2, axis=1)
    return Judged(cause, picks.features["expected_false"], int(whole.sum()))


def draw(judged: dict[str, Judged]) -> Figure:
    """Draw the curves, with a dot where the default threshold is."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    panel = figure.subplots()
    for number, (name, one) in enumerate(judged.items()):
        precision, recall = one.curve()
        style = {"color": f"C{number // 2}", "linestyle": "-" if number % 2 else "--"}
        panel.plot(recall, precision, label=name, **style)
        last = np.flatnonzero(one.expected_false <= _LEAST_EXPECTED)
        if len(last):
            panel.plot(recall[last[-1]], precision[last[-1]], "o", color=style["color"])
    panel.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.05), title="sim_fiducial_A from raw")
    panel.grid(alpha=0.3)
    panel.legend(loc="lower left", fontsize=8)
    return figure


def measure(data: Path, search: str) -> dict[str, Judged]:
    """Reconstruct, match and judge."""
    from truth import test_match_fiducials as fiducials

    scene = fiducials.reconstruct_fiducials(data / "sim_fiducial_A")
    tomogram = scene[-1]
    places = {name: fiducials.truth_of(scene, name)[0] for name in DIAMETER_ANG}
    gold, _ = fiducials.truth_of(scene, "GOLD")
    half_yx = np.array(tomogram.volume.shape[1:]) * tomogram.voxel_ang / 2
    judged = {}
    for own in DIAMETER_ANG:
        rivals = tuple(fiducials.template_of(scene, name) for name in DIAMETER_ANG if name != own)
        for label, given in (("alone", ()), ("with its rival", rivals)):
            picks = fiducials.found_in(
                scene, own, rivals=given, angular_step_deg=12.0, search=search, false_positives=30.0
            )
            judged[f"{own} {label}"] = judge(picks, places, own, gold, half_yx)
    return judged


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, help="where to draw the curves")
    parser.add_argument("--search", choices=("fast", "exhaustive"), default="exhaustive")
    asked = parser.parse_args()
    found = measure(Path(os.environ["TOMOFLOW_TEST_DATA"]), asked.search)
    for called, one in found.items():
        causes = ", ".join(f"{name} {value:.3g}" for name, value in one.at_threshold().items())
        sys.stdout.write(f"{called}: {one.total} in the field; {causes}\n")
    if asked.plot:
        draw(found).savefig(asked.plot, dpi=120)
