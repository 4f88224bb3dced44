"""Measure template matching: its rate, what the transforms alone cost, and the fast search against the exhaustive one.

    python tests/benchmarks/bench_match.py [--kind proteasome|ribosome] [nx ny nz step_deg]

The volume holds proteasomes (D7) or ribosomes (C1) in noise at 10 Å per voxel. CPU seconds of all threads together.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.matching.sampling import Wedge
from napari_tomoflow.core.matching.scene import Scene
from napari_tomoflow.core.model import ParticleSet, Tomogram
from napari_tomoflow.core.simulation.molecules import Species, proteasome, ribosome
from napari_tomoflow.core.stages.match import MatchParams, match

FULL = (240, 240, 48, 7.5)
VOXEL_ANG = 10.0
_NOISE = 1.2


class Kind(NamedTuple):
    """A kind of particle: what it is, its symmetry, and how far apart two are set, voxels."""

    molecule: Callable[[], Species]
    symmetry: str
    spacing_vox: int


KINDS = {"proteasome": Kind(proteasome, "D7", 26), "ribosome": Kind(ribosome, "C1", 38)}


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Time one run."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def scene(nx: int, ny: int, nz: int, kind: Kind) -> Tomogram:
    """Set molecules on a loose grid, in random poses, into noise."""
    rng = np.random.default_rng(0)
    volume = np.zeros((nz, ny, nx), np.float32)
    molecule = kind.molecule()
    weights = (molecule.weights / molecule.weights.mean() * 7.0**3 / VOXEL_ANG**3).astype(np.float32)
    for y in range(kind.spacing_vox // 2, ny - kind.spacing_vox // 2 + 1, kind.spacing_vox):
        for x in range(kind.spacing_vox // 2, nx - kind.spacing_vox // 2 + 1, kind.spacing_vox):
            place = np.array([rng.uniform(nz / 3, 2 * nz / 3), y, x])
            turned = molecule.points_ang_xyz @ Rotation.random(random_state=rng).as_matrix().T
            points = (turned[:, ::-1] / VOXEL_ANG + place).astype(np.float32)
            splat_volume(volume, points, weights, np.full(len(points), 0.6, np.float32))
    volume += rng.normal(0, _NOISE, volume.shape).astype(np.float32)
    return Tomogram(name="bench", volume=volume, voxel_ang=VOXEL_ANG, contrast="bright")


def measure(nx: int, ny: int, nz: int, step_deg: float, kind: Kind = KINDS["proteasome"]) -> dict[str, float]:
    """Run everything once."""
    tomogram, molecule = scene(nx, ny, nz, kind), kind.molecule()
    density = density_of_atoms(molecule.name, molecule.points_ang_xyz, molecule.weights, 5.0)
    template = density.replace(symmetry=kind.symmetry)
    params = MatchParams(angular_step_deg=step_deg, wedge_deg=(-90.0, 90.0))
    whole = Scene.of(tomogram, template, Wedge(-90.0, 90.0), params.replace(search="exhaustive"))
    found = {"orientations": float(whole.quality["orientations"]), **_rate(whole)}
    picks: dict[str, ParticleSet] = {}
    for search in ("fast", "exhaustive"):
        chosen = params.replace(search=search)
        found[search], picks[search] = cpu_seconds(lambda p=chosen: match(tomogram, template, params=p))
    # A pick that chance makes as often as not is no loss.
    sure = picks["exhaustive"][picks["exhaustive"].features["expected_false"] < 0.1]
    away_ang, _ = cKDTree(picks["fast"].centers_ang_zyx).query(sure.centers_ang_zyx)
    return found | {"picks": float(len(away_ang)), "recall": float(np.mean(away_ang < 3 * VOXEL_ANG))}


def _rate(whole: Scene, rounds: int = 6) -> dict[str, float]:
    """Time a rotation of the exhaustive search, and the one inverse transform it cannot do without."""
    correlation, stencils = whole.level.correlation, whole.level.stencils(whole.template)
    rotations = Rotation.random(rounds, random_state=1).as_matrix()
    correlation.best(stencils, rotations, lambda *_: None)
    shape, blocks = correlation.block_shape, correlation.n_blocks
    product = scipy.fft.rfftn(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    rotation_s, _ = cpu_seconds(lambda: correlation.best(stencils, rotations, lambda *_: None))
    transform_s, _ = cpu_seconds(lambda: [scipy.fft.irfftn(product, shape) for _ in range(rounds * blocks)])
    return {"rotation_ms": 1e3 * rotation_s / rounds, "transform_ms": 1e3 * transform_s / rounds}


def describe(nx: int, ny: int, nz: int, step_deg: float, found: dict[str, float]) -> str:
    """Put the figures into words."""
    rate = 1e-3 * nx * ny * nz / found["rotation_ms"]
    return "\n".join(
        [
            f"{nx} × {ny} × {nz} voxels, {found['orientations']:.0f} orientations at {step_deg:g}°",
            f"exhaustive: {found['rotation_ms']:.1f} ms per orientation, {rate:.0f} Mvoxel/s per core;",
            f"  the inverse transform alone takes {found['transform_ms']:.1f} ms, "
            f"{100 * found['transform_ms'] / found['rotation_ms']:.0f} % of it: the ceiling",
            f"whole match, null included: exhaustive {found['exhaustive']:.1f} CPU-s, fast {found['fast']:.1f} CPU-s, "
            f"ratio {found['exhaustive'] / found['fast']:.1f}",
            f"recall of the exhaustive search's {found['picks']:.0f} sure picks: {found['recall']:.3f}",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="proteasome")
    parser.add_argument("size", nargs="*", type=float, default=FULL, metavar="nx ny nz step_deg")
    asked = parser.parse_args()
    sizes = (*map(int, asked.size[:3]), asked.size[3])
    sys.stdout.write(describe(*sizes, measure(*sizes, KINDS[asked.kind])) + "\n")
