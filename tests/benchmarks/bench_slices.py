"""Measure Fourier slices: taken out of a map and put into one, beside what the machine and scipy allow.

    PYTHONPATH=tests python tests/benchmarks/bench_slices.py [box ...]

Rates are in samples per second of CPU time on one thread; a sample is one coefficient of one slice. The ceiling touches
the same eight cells of each sample in the same order and does nothing else with them. The last lines are what an
average costs whole: images cut out of raw tilt series, weighed, and inserted.
"""

import sys

import numba
import numpy as np
from scipy.ndimage import map_coordinates

from benchmarks.bench_backprojection import cpu_seconds
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.reconstruct import InsertBatch
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.kernels import slices
from napari_tomoflow.core.model import Alignment, CtfSeries, Dataset, Optics, ParticleSet, TiltSeries
from napari_tomoflow.core.ops.geometry import tilt_rotations

BOXES = (32, 48, 64, 96, 128)
N_TILTS = 41
_ONE = np.uintp(1)


@numba.njit(fastmath=True)
def _read_cells(totals, cube_rft, axes, scale, radius):
    """Add up the cells each sample needs."""
    half = cube_rft.shape[2] - 1
    n = 2 * (half - 2) // 2
    for s in range(len(axes)):
        total = np.complex64(0.0)
        for v in range(-int(radius) + 1, int(radius)):
            for u in range(slices.columns_within(v, radius, n)):
                x, y, z = _place(axes, s, u, v, scale)
                for dz in range(2):
                    for dy in range(2):
                        row = cube_rft[np.uintp(z + half) + np.uintp(dz), np.uintp(y + half) + np.uintp(dy)]
                        total += row[np.uintp(x)] + row[np.uintp(x) + _ONE]
        totals[s] = total


@numba.njit(fastmath=True)
def _write_cells(cube, axes, scale, radius):
    """Add one to the cells each sample needs."""
    half = cube.shape[2] - 1
    n = 2 * (half - 2) // 2
    one = np.float32(1.0)
    for s in range(len(axes)):
        for v in range(-int(radius) + 1, int(radius)):
            for u in range(slices.columns_within(v, radius, n)):
                x, y, z = _place(axes, s, u, v, scale)
                for dz in range(2):
                    for dy in range(2):
                        row = cube[np.uintp(z + half) + np.uintp(dz), np.uintp(y + half) + np.uintp(dy)]
                        for dx in range(2):
                            for part in range(3):
                                row[np.uintp(x) + np.uintp(dx), part] += one


@numba.njit(fastmath=True, inline="always")
def _place(axes, s, u, v, scale):
    x = scale * (u * axes[s, 0, 0] + v * axes[s, 1, 0])
    y = scale * (u * axes[s, 0, 1] + v * axes[s, 1, 1])
    z = scale * (u * axes[s, 0, 2] + v * axes[s, 1, 2])
    return (x, y, z) if x >= 0 else (-x, -y, -z)


def views(n_particles, rng):
    """Axes of all tilts of some particles: float32[slices, 2, 3]."""
    turns = tilt_rotations(*rng.uniform(-180, 180, (3, n_particles)))
    tilts = tilt_rotations(85.0, np.linspace(-60, 60, N_TILTS))
    return np.ascontiguousarray((tilts @ turns[:, None])[:, :, :2].reshape(-1, 2, 3), np.float32)


def rates(box_px, n_particles=8):
    """Samples per second of every way to do it."""
    rng = np.random.default_rng(box_px)
    grid, axes = CubeGrid(box_px), views(n_particles, rng)
    shape = (len(axes), box_px, box_px // 2 + 1)
    cube_rft = (rng.normal(size=grid.shape) + 1j).astype(np.complex64)
    images, power = np.ones(shape, np.complex64), np.ones(shape, np.float32)
    cube, ones = np.zeros((*grid.shape, 4), np.float32), np.ones(len(axes), np.float32)
    totals = np.zeros(len(axes), np.complex64)
    step, reach = np.float32(grid.scale), grid.reach
    work = {
        "extract": lambda: slices.extract_slices(images, cube_rft, axes, grid.scale, reach),
        "ceiling of reading": lambda: _read_cells(totals, cube_rft, axes, step, reach),
        "insert": lambda: slices.insert_slices(cube, images, power, ones, axes, grid.scale, reach, 1),
        "ceiling of writing": lambda: _write_cells(cube, axes, step, reach),
    }
    samples = len(axes) * np.pi * reach**2 / 2
    found = {name: samples / cpu_seconds(one, 5) for name, one in work.items()}
    places = rng.uniform(1, min(grid.shape) - 2, (3, 20000)).astype(np.float32)
    parts = np.ascontiguousarray(cube_rft.real), np.ascontiguousarray(cube_rft.imag)
    found["scipy"] = 20000 / cpu_seconds(lambda: [map_coordinates(each, places, order=1) for each in parts])
    return found


def average_seconds(box_px, n_particles=32):
    """CPU seconds per particle of 41 tilts: (images cut out and weighed, the same and inserted)."""
    rng = np.random.default_rng(1)
    size = 10 * box_px
    images = rng.normal(size=(N_TILTS, size, size)).astype(np.float32)
    tilt_deg = np.linspace(-60, 60, N_TILTS)
    series = TiltSeries(name="TS", images=images, tilt_deg=tilt_deg, pixel_ang=5.0, axis_deg=85.0)
    centers = rng.uniform(-1, 1, (n_particles, 3)) * size * np.array([0.3, 1.0, 1.0])
    dataset = Dataset(
        particles=ParticleSet(
            centers_ang_zyx=centers, quaternions_xyzw=rng.normal(size=(n_particles, 4)), tomogram="TS"
        ),
        series={"TS": series},
        alignments={"TS": Alignment(tilt_deg=tilt_deg, axis_deg=np.array(85.0))},
        ctfs={
            "TS": CtfSeries(optics=Optics(), defocus_u_ang=np.full(N_TILTS, 3e4), defocus_v_ang=np.full(N_TILTS, 3e4))
        },
    )
    source = DatasetImages(dataset, Sampling(box_px, 5.0, 2.0 * box_px))
    everyone = np.arange(n_particles)
    insert = InsertBatch(source, CubeGrid(box_px))
    cut, whole = (cpu_seconds(work, 2) for work in (lambda: source.images(everyone), lambda: insert(everyone)))
    return cut / n_particles, whole / n_particles


def describe(box_px, found):
    """Put the figures of a box into words."""
    lines = [f"box {box_px}: cube of {CubeGrid(box_px).padded_px} cells"]
    for name, ceiling in (("extract", "ceiling of reading"), ("insert", "ceiling of writing")):
        share = found[name] / found[ceiling]
        per_slice_us = 1e6 * np.pi * box_px**2 / 8 / found[name]
        lines.append(
            f"  {name}: {found[name] / 1e6:.1f} Msamples/s, {per_slice_us:.0f} µs a slice, "
            f"{share:.0%} of the {found[ceiling] / 1e6:.0f} of its cells alone"
        )
    return "\n".join([*lines, f"  scipy, order 1: {found['scipy'] / 1e6:.1f} Msamples/s"])


if __name__ == "__main__":
    numba.set_num_threads(1)
    for box in tuple(map(int, sys.argv[1:])) or BOXES:
        sys.stdout.write(describe(box, rates(box)) + "\n")
    for box in (32, 64):
        cut, whole = average_seconds(box)
        sys.stdout.write(f"box {box}: {1e3 * cut:.1f} CPU-ms a particle cut out, {1e3 * whole:.1f} and averaged\n")
