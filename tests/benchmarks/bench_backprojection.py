"""Measure back-projection: its rate, what the machine allows, and what a user would otherwise run.

    python tests/benchmarks/bench_backprojection.py [nx ny nz n_tilts]

Rates are in updates per second of CPU time on one thread; an update is one tilt added to one voxel.
"""

import resource
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
from skimage.transform import iradon

from napari_tomoflow.core.model import Alignment, TiltSeries
from napari_tomoflow.core.ops.backprojection import Backprojector, line_geometry
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

FULL = (1024, 1024, 256, 41)
_L1_FLOATS = 2048
_CHAIN = 32


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Take the best of a few runs, after one that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return max(min(times), 1e-9)


@numba.njit(fastmath=True)
def _multiply_add(values, factor, term, rounds):
    for _ in range(rounds):
        for i in range(values.size):
            value = values[i]
            for _ in range(_CHAIN):
                value = value * factor + term
            values[i] = value


@numba.njit(fastmath=True)
def _read(values, others, rounds):
    total = np.float32(0.0)
    for _ in range(rounds):
        for i in range(values.size):
            total += values[i] * others[i]
        values[0] = total * np.float32(1e-30)  # a round depends on the one before, so none is left out
    return total


@numba.njit(fastmath=True)
def _naive(volume_zyx, images_tyx, cosines, sines):
    """The loop one writes first: voxel by voxel, tilt by tilt."""
    nz, ny, nx = volume_zyx.shape
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                total = np.float32(0.0)
                for t in range(len(images_tyx)):
                    u = (x - nx // 2) * cosines[t] + (z - nz // 2) * sines[t] + nx // 2
                    left = int(np.floor(u))
                    if left >= 0 and left + 1 < nx:
                        weight = np.float32(u - left)
                        total += (1 - weight) * images_tyx[t, y, left] + weight * images_tyx[t, y, left + 1]
                volume_zyx[z, y, x] = total


def ceilings(rounds: int) -> dict[str, float]:
    """Updates per second if only arithmetic, or only reading from the nearest cache, took time: 2 of either each."""
    values, others = np.ones(_L1_FLOATS, np.float32), np.ones(_L1_FLOATS, np.float32)
    factor, term = np.float32(0.5), np.float32(0.5)
    arithmetic = cpu_seconds(lambda: _multiply_add(values, factor, term, rounds))
    reading = cpu_seconds(lambda: _read(values, others, rounds * _CHAIN))
    work = rounds * _L1_FLOATS * _CHAIN
    return {"arithmetic": work / arithmetic / 2, "reading": 2 * work / reading / 2}


def kernel_rate(nx: int, ny: int, nz: int, tilt_deg: np.ndarray) -> float:
    """Updates per second of the kernel, on a slab of at most 32 planes."""
    alignment = Alignment(tilt_deg=tilt_deg, axis_deg=0.0)
    geometry = line_geometry(alignment.image_from_sample(), 1.0, (nz, ny, nx))
    projector = Backprojector(geometry)
    lines = np.random.default_rng(0).normal(size=(geometry.n_v, geometry.n_u)).astype(np.float32)
    for tilt in range(len(tilt_deg)):
        projector.add(tilt, lines)
    slab = np.empty((min(32, nz), ny, nx), np.float32)
    return slab.size * len(tilt_deg) / cpu_seconds(lambda: projector.fill(slab, (nz - len(slab)) // 2))


def naive_rate(nx: int, ny: int, nz: int, tilt_deg: np.ndarray) -> float:
    """Updates per second of the naive loop, on a few planes."""
    images = np.random.default_rng(0).normal(size=(len(tilt_deg), ny, nx)).astype(np.float32)
    volume = np.empty((min(2, nz), ny, nx), np.float32)
    angles = np.deg2rad(tilt_deg)
    return volume.size * len(tilt_deg) / cpu_seconds(lambda: _naive(volume, images, np.cos(angles), np.sin(angles)), 1)


def iradon_seconds_per_slice(nx: int, tilt_deg: np.ndarray) -> float:
    """CPU time of scikit-image for one x-z slice; it makes them square."""
    lines = np.random.default_rng(0).normal(size=(nx, len(tilt_deg)))
    return cpu_seconds(lambda: iradon(lines, tilt_deg, filter_name=None, circle=False, output_size=nx), 1)


def stage_run(nx: int, ny: int, nz: int, tilt_deg: np.ndarray) -> tuple[float, float, float]:
    """Run the whole stage.

    Returns
    -------
    CPU seconds of the best of a few runs into the same memory, as all rates here are taken; CPU seconds of the first
    touch of that memory, in which the system finds and clears it; peak memory beyond the volume, GB, the input and
    Python included.
    """
    images = np.random.default_rng(0).integers(-99, 99, (len(tilt_deg), ny, nx), np.int16)
    series = TiltSeries(name="bench", images=images, tilt_deg=tilt_deg, pixel_ang=1.0, axis_deg=0.0)
    start = time.process_time()
    volume = np.empty((nz, ny, nx), np.float32)
    volume.fill(0)
    touch_s = time.process_time() - start
    params = ReconstructParams(bin=1, thickness_ang=float(nz))
    stage_s = cpu_seconds(lambda: reconstruct(series, None, params=params, allocate=lambda *_: volume))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return stage_s, touch_s, (peak - volume.nbytes) / 1e9


def measure(nx: int, ny: int, nz: int, n_tilts: int, rounds: int = 20_000) -> dict[str, float]:
    """Measure everything in one run: updates per CPU second, seconds and GB."""
    tilt_deg = np.linspace(-60, 60, n_tilts)
    threads = numba.get_num_threads()
    all_threads_s, touch_s, beyond_gb = stage_run(nx, ny, nz, tilt_deg)
    numba.set_num_threads(1)
    try:
        limits = ceilings(rounds)
        return {
            "rate": kernel_rate(nx, ny, nz, tilt_deg),
            "arithmetic": limits["arithmetic"],
            "reading": limits["reading"],
            "naive": naive_rate(nx, ny, nz, tilt_deg),
            "iradon_s": iradon_seconds_per_slice(nx, tilt_deg),
            "stage_s": stage_run(nx, ny, nz, tilt_deg)[0],
            "all_threads_s": all_threads_s,
            "touch_s": touch_s,
            "beyond_gb": beyond_gb,
        }
    finally:
        numba.set_num_threads(threads)


def describe(nx: int, ny: int, nz: int, n_tilts: int, found: dict[str, float]) -> str:
    """Say what was measured."""
    rate, iradon_s = found["rate"], found["iradon_s"]
    slice_s = nx * nz * n_tilts / rate
    per_slice, per_voxel = iradon_s / slice_s, iradon_s / (nx * nx * n_tilts) * rate
    binds = min(("arithmetic", "reading"), key=lambda name: found[name])
    return "\n".join(
        [
            f"{nx} x {ny} x {nz} voxels, {n_tilts} tilts; G updates per CPU second of one thread",
            f"back-projection      {rate / 1e9:8.2f}",
            f"ceiling, arithmetic  {found['arithmetic'] / 1e9:8.2f}   2 multiply-adds per update",
            f"ceiling, reading     {found['reading'] / 1e9:8.2f}   2 numbers per update from the nearest cache",
            f"fraction reached     {100 * rate / found[binds]:8.1f} % of {binds}, which binds",
            f"naive numba loop     {found['naive'] / 1e9:8.2f}   {rate / found['naive']:.1f} x slower",
            f"scikit-image iradon  {iradon_s:8.3f} s per x-z slice, ours {slice_s:.5f} s: {per_slice:.0f} x slower",
            f"                     {per_voxel:8.0f} x slower if all voxels of its square slice count",
            f"whole stage          {found['stage_s']:8.2f} CPU seconds of one thread, filtering included",
            f"                     {found['all_threads_s']:8.2f} of {numba.get_num_threads()} threads together",
            f"first touch          {found['touch_s']:8.2f} CPU seconds more until the system has found the memory",
            f"peak memory          {found['beyond_gb']:8.2f} GB beyond the volume, input and Python included",
        ]
    )


if __name__ == "__main__":
    size = tuple(int(word) for word in sys.argv[1:5]) or FULL
    sys.stdout.write(describe(*size, measure(*size)) + "\n")
