"""Measure template matching: its rate, what the transforms alone cost, and the fast search against the exhaustive one.

    python tests/benchmarks/bench_match.py [--kind proteasome|ribosome] [--shape 240,240,48] [--angle 7.5] [--fast]

The volume, of the shape x, y, z, holds proteasomes (D7) or ribosomes (C1) in noise at 10 Å per voxel. CPU seconds of
all threads together. ``--fast`` leaves the exhaustive search out, whose cost is told from a few orientations, and tells
how many of the particles set are found and how much memory it takes; use it for large volumes.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.matching.correlation import LocalCorrelation, portions
from napari_tomoflow.core.matching.sampling import Wedge
from napari_tomoflow.core.matching.scene import Scene
from napari_tomoflow.core.model import DensityMap, ParticleSet, Tomogram
from napari_tomoflow.core.simulation.molecules import Species, proteasome, ribosome
from napari_tomoflow.core.stages.match import MatchParams, match

FULL = (240, 240, 48)
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


def scene(nx: int, ny: int, nz: int, kind: Kind) -> tuple[Tomogram, NDArray[np.float64]]:
    """Set molecules on a loose grid, in random poses, into noise: the tomogram, and places in Å from its centre."""
    rng = np.random.default_rng(0)
    volume = np.zeros((nz, ny, nx), np.float32)
    places = []
    molecule = kind.molecule()
    weights = (molecule.weights / molecule.weights.mean() * 7.0**3 / VOXEL_ANG**3).astype(np.float32)
    for y in range(kind.spacing_vox // 2, ny - kind.spacing_vox // 2 + 1, kind.spacing_vox):
        for x in range(kind.spacing_vox // 2, nx - kind.spacing_vox // 2 + 1, kind.spacing_vox):
            place = np.array([rng.uniform(nz / 3, 2 * nz / 3), y, x])
            turned = molecule.points_ang_xyz @ Rotation.random(random_state=rng).as_matrix().T
            points = (turned[:, ::-1] / VOXEL_ANG + place).astype(np.float32)
            splat_volume(volume, points, weights, np.full(len(points), 0.6, np.float32))
            places.append(np.average(points, axis=0, weights=weights))
    for plane in volume:
        plane += _NOISE * rng.standard_normal(plane.shape, np.float32)
    tomogram = Tomogram(name="bench", volume=volume, voxel_ang=VOXEL_ANG, contrast="bright")
    return tomogram, (np.array(places) - np.array(volume.shape) // 2) * VOXEL_ANG


def measure(nx: int, ny: int, nz: int, step_deg: float, kind: Kind = KINDS["proteasome"]) -> dict[str, float]:
    """Run both searches once."""
    tomogram, places = scene(nx, ny, nz, kind)
    template, params = _prepared(kind, step_deg)
    found = _rate(tomogram, template, params)
    picks: dict[str, ParticleSet] = {}
    for search in ("fast", "exhaustive"):
        chosen = params.replace(search=search)
        found[search], picks[search] = cpu_seconds(lambda p=chosen: match(tomogram, template, params=p))
    every = picks["exhaustive"]
    # A pick that chance makes as often as not is no loss.
    sure = every[every.features["expected_false"] < 0.1]
    return found | {
        "picks": float(len(sure)),
        "recall": _share_found(sure.centers_ang_zyx, picks["fast"]),
        "all_picks": float(len(every)),
        "recall_of_all": _share_found(every.centers_ang_zyx, picks["fast"]),
        **{f"precision_{search}": _share_found(picks[search].centers_ang_zyx, places) for search in picks},
    }


def measure_fast(nx: int, ny: int, nz: int, step_deg: float, kind: Kind = KINDS["ribosome"]) -> dict[str, float]:
    """Run the fast search once, and tell the exhaustive one's cost from a few orientations."""
    tomogram, places = scene(nx, ny, nz, kind)
    template, params = _prepared(kind, step_deg)
    start = time.perf_counter()
    seconds, picks = cpu_seconds(lambda: match(tomogram, template, params=params))
    wall = time.perf_counter() - start
    peak_gb = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
    found = {"fast": seconds, "wall": wall, "peak_gb": peak_gb, **_rate(tomogram, template, params, rounds=2)}
    near = _share_found(picks.centers_ang_zyx, places)
    return found | {
        "planted": float(len(places)),
        "recall": _share_found(places, picks),
        "precision": near,
        "exhaustive_by_rate": 2e-3 * found["rotation_ms"] * found["orientations"],
        "transforms": 2e-3 * found["transform_ms"] * found["orientations"],
    }


def _prepared(kind: Kind, step_deg: float) -> tuple[DensityMap, MatchParams]:
    """Make a template and the parameters of the fast search."""
    molecule = kind.molecule()
    density = density_of_atoms(molecule.name, molecule.points_ang_xyz, molecule.weights, 5.0)
    params = MatchParams(angular_step_deg=step_deg, wedge_deg=(-90.0, 90.0))
    return density.replace(symmetry=kind.symmetry), params


def _share_found(places: NDArray[np.float64], by: ParticleSet | NDArray[np.float64]) -> float:
    """Return the share of some places that has another near."""
    others = by.centers_ang_zyx if isinstance(by, ParticleSet) else by
    return float(np.mean(cKDTree(others).query(places)[0] < 3 * VOXEL_ANG))


def _rate(tomogram: Tomogram, template: DensityMap, params: MatchParams, rounds: int = 6) -> dict[str, float]:
    """Time a rotation of the exhaustive search, and the inverse transforms it cannot do without."""
    whole = Scene.of(tomogram, template, Wedge(-90.0, 90.0), params.replace(search="exhaustive"))
    correlation, stencils = whole.level.correlation, whole.level.stencils(whole.template)
    rotations = Rotation.random(rounds, random_state=1).as_matrix()
    correlation.best(stencils, rotations, lambda *_: None)
    rotation_s, _ = cpu_seconds(lambda: correlation.best(stencils, rotations, lambda *_: None))
    at_once_s, by_axes_s = _seconds_of_inverses(correlation, rounds)
    return {
        "orientations": float(whole.quality["orientations"]),
        "rotation_ms": 1e3 * rotation_s / rounds,
        "transform_ms": 1e3 * min(at_once_s, by_axes_s) / rounds,
        "scipy_ms": 1e3 * at_once_s / rounds,
    }


def _seconds_of_inverses(correlation: LocalCorrelation, rounds: int) -> list[float]:
    """Time the inverse transforms of so many rotations, by scipy at once and axis by axis."""
    shape = correlation.block_shape
    product = scipy.fft.rfftn(np.random.default_rng(0).standard_normal(shape, np.float32))
    kept = [tuple(side.stop - side.start for side in block) for block in correlation.blocks] * rounds
    columns = np.empty_like(product)
    ways: tuple[Callable[[tuple[int, ...]], Any], ...] = (
        lambda _: scipy.fft.irfftn(product, shape),
        lambda sides: _invert_by_axes(product, columns, shape[2], *sides[:2]),
    )
    for way in ways:
        way(kept[0])  # the first call pays for fresh memory
    return [cpu_seconds(lambda w=way: [w(sides) for sides in kept])[0] for way in ways]


def _invert_by_axes(
    product_rft: NDArray[np.complex64], columns: NDArray[np.complex64], length_x: int, nz: int, ny: int
) -> None:
    """Transform back axis by axis, in portions that stay in the cache, and only lines that reach the voxels kept."""
    length_z, length_y, n_rows = product_rft.shape
    for rows in portions(length_y, length_z * n_rows):
        columns[:nz, rows] = scipy.fft.ifft(product_rft[:, rows], axis=0)[:nz]
    for planes in portions(nz, length_y * n_rows):
        part = scipy.fft.ifft(columns[planes], axis=1, overwrite_x=True)
        scipy.fft.irfft(part[:, :ny], length_x, axis=2, overwrite_x=True)


def describe(nx: int, ny: int, nz: int, step_deg: float, found: dict[str, float]) -> str:
    """Put the figures into words."""
    rate = 1e-3 * nx * ny * nz / found["rotation_ms"]
    lines = [
        f"{nx} × {ny} × {nz} voxels, {found['orientations']:.0f} orientations at {step_deg:g}°",
        f"exhaustive: {found['rotation_ms']:.1f} ms per orientation, {rate:.0f} Mvoxel/s per core;",
        f"  the inverse transforms alone take {found['transform_ms']:.1f} ms, {found['scipy_ms']:.1f} ms by scipy's "
        f"irfftn: {100 * found['transform_ms'] / found['rotation_ms']:.0f} % of the ceiling is reached",
    ]
    return "\n".join(lines + (_of_fast(found) if "wall" in found else _of_both(found)))


def _of_both(found: dict[str, float]) -> list[str]:
    return [
        f"whole match, null included: exhaustive {found['exhaustive']:.1f} CPU-s, fast {found['fast']:.1f} CPU-s, "
        f"ratio {found['exhaustive'] / found['fast']:.1f}",
        f"recall of the exhaustive search's {found['picks']:.0f} sure picks: {found['recall']:.3f}; of all its "
        f"{found['all_picks']:.0f}: {found['recall_of_all']:.3f}",
        f"precision: exhaustive {found['precision_exhaustive']:.3f}, fast {found['precision_fast']:.3f}",
    ]


def _of_fast(found: dict[str, float]) -> list[str]:
    return [
        f"whole match, null included: fast {found['fast']:.1f} CPU-s, {found['wall']:.1f} s wall, peak memory "
        f"{found['peak_gb']:.2f} GB",
        f"exhaustive by its rate: {found['exhaustive_by_rate']:.0f} CPU-s, ratio "
        f"{found['exhaustive_by_rate'] / found['fast']:.1f}; inverse transforms alone {found['transforms']:.0f} CPU-s, "
        f"{found['transforms'] / found['fast']:.1f} times the fast search",
        f"recall of {found['planted']:.0f} particles set: {found['recall']:.3f}, precision {found['precision']:.3f}",
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, default="ribosome")
    parser.add_argument("--shape", default="240,240,48", help="nx,ny,nz")
    parser.add_argument("--angle", type=float, default=7.5, help="angle between orientations, degrees")
    parser.add_argument("--fast", action="store_true", help="the fast search alone")
    asked = parser.parse_args()
    nx, ny, nz = map(int, asked.shape.split(","))
    measured = (measure_fast if asked.fast else measure)(nx, ny, nz, asked.angle, KINDS[asked.kind])
    sys.stdout.write(describe(nx, ny, nz, asked.angle, measured) + "\n")
