"""How long the frames of a tilt series take to align and sum, against what the transforms alone would.

    python tests/benchmarks/bench_motion.py --tilts 41 --frames 8 --size 2048

Frames of 8-bit counts are written to a temporary folder first, a few tilts of them used over and over, so that
making them does not take longer than aligning them. With more than one patch, local motion is looked for besides.
The ceiling is the time scipy.fft takes for one transform of every frame and one back for each half sum, with as many
threads; all sums go to disk as a job's do.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.fft

from napari_tomoflow.core.model import Frames, Movies
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stages.motion import MotionParams, motion
from napari_tomoflow.io.mrc import allocate_mrc, open_mrc, write_mrc
from truth.movies import movie, off_px

DIFFERENT = 2
"""Tilts that are made; the others are the same files."""


def make(folder: Path, tilts: int, frames: int, size_px: int) -> tuple[Movies, list[np.ndarray]]:
    """Write movies and open them."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(DIFFERENT):
        counts, path = movie(rng, (size_px, size_px), frames, counts=1.0)
        write_mrc(folder / f"{number}.mrc", counts.astype(np.int8), 2.0, stack=True)
        paths.append(path)
    gain = np.clip(rng.normal(1, 0.02, (size_px, size_px)), 0.5, 2).astype(np.float32)
    stacks = tuple(open_mrc(folder / f"{tilt % DIFFERENT}.mrc") for tilt in range(tilts))
    movies = Movies(
        name="TS", images=Frames(stacks, gain), tilt_deg=np.linspace(-60, 60, tilts), pixel_ang=2.0,
        dose_of_tilt_e_ang2=3.0,
    )  # fmt: skip
    return movies, paths


def ceiling_s(tilts: int, frames: int, size_px: int) -> tuple[float, float]:
    """Time the transforms that cannot be done without: wall and CPU seconds."""
    stack = np.random.default_rng(1).normal(size=(frames, size_px, size_px)).astype(np.float32)
    scipy.fft.irfft2(scipy.fft.rfft2(stack[:2], workers=-1), workers=-1)
    begun = time.perf_counter(), time.process_time()
    transforms = scipy.fft.rfft2(stack, workers=-1)
    scipy.fft.irfft2(transforms[:2], workers=-1)
    return tilts * (time.perf_counter() - begun[0]), tilts * (time.process_time() - begun[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one case and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("--tilts", 41), ("--frames", 8), ("--size", 2048), ("--patches", 1)):
        parser.add_argument(option, type=int, default=default)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        movies, paths = make(folder, given.tilts, given.frames, given.size)
        motion(Movies(name="", images=Frames((np.ones((3, 300, 300)),)), tilt_deg=[0.0], pixel_ang=2.0))  # compile
        begun = time.perf_counter(), time.process_time()
        series = motion(
            movies, MotionParams(gain_orientation="as-is", patches=given.patches), silent,
            lambda part, shape, dtype: allocate_mrc(folder / f"{part}.mrc", shape, dtype),
        )  # fmt: skip
        wall_s, cpu_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
        off = max(off_px(series, tilt, paths[tilt % DIFFERENT]) for tilt in range(given.tilts))
    least_wall_s, least_cpu_s = ceiling_s(given.tilts, given.frames, given.size)
    pixels = given.tilts * given.frames * given.size**2
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    lines = [
        f"{given.tilts} tilts × {given.frames} frames × {given.size}²: {wall_s:.1f} s wall, {cpu_s:.1f} s CPU",
        f"{pixels / cpu_s / 1e6:.0f} Mpx per CPU second; path off by {off:.2f} px RMS at worst",
        f"transforms alone: {least_wall_s:.1f} s wall, {least_cpu_s:.1f} s CPU; {least_cpu_s / cpu_s:.0%} reached",
        f"peak memory {peak_gb:.2f} GB",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
