"""Measure mapping back: painting averages into a tomogram, and turning their surfaces in the viewer.

    PYTHONPATH=tests python tests/benchmarks/bench_map_back.py [particles]

Rates are in voxels per second of CPU time on one thread; a voxel is one look-up of density and depth. The ceiling reads
the same sixteen cells in the same order and does nothing else with them; scipy turns each average by itself, as one
would by hand. Frames are those of the OpenGL there is, whose name is printed: a graphics card or a processor.
"""

import sys
import time

import numba
import numpy as np
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from benchmarks.bench_backprojection import cpu_seconds
from napari_tomoflow.core.kernels.placing import place_copies
from napari_tomoflow.core.mapping_back.references import reference_of
from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.model import Alignment, Ensemble, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.simulation.molecules import ribosome
from napari_tomoflow.core.stages.map_back import map_back

VOXEL_ANG = 10.0
SHAPE_ZYX = (100, 500, 500)
N_FRAMES = 20


@numba.njit(fastmath=True)
def _read_cells(painted, references, centres, turns):
    """Add up the cells each voxel of each copy needs."""
    n = references.shape[1]
    for p in range(len(centres)):
        reach = int((n // 2 - 1.5) / np.sqrt((turns[p, :, 0] ** 2).sum()))
        for dz in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if dz * dz + dy * dy + dx * dx > reach * reach:
                        continue
                    total = np.float32(0.0)
                    z = int(n // 2 + turns[p, 0, 0] * dz + turns[p, 0, 1] * dy + turns[p, 0, 2] * dx)
                    y = int(n // 2 + turns[p, 1, 0] * dz + turns[p, 1, 1] * dy + turns[p, 1, 2] * dx)
                    x = int(n // 2 + turns[p, 2, 0] * dz + turns[p, 2, 1] * dy + turns[p, 2, 2] * dx)
                    for which in range(2):
                        for plane in range(z, z + 2):
                            for row in range(y, y + 2):
                                total += references[which, plane, row, x] + references[which, plane, row, x + 1]
                    painted[p, dx + reach] += total


def ribosomes(count, shape_zyx=SHAPE_ZYX):
    """Return a tomogram and an ensemble of ribosomes strewn over it."""
    rng = np.random.default_rng(count)
    molecule = ribosome()
    density = density_of_atoms(molecule.name, molecule.points_ang_xyz, molecule.weights, VOXEL_ANG / 2)
    series = TiltSeries(
        name="TS", images=np.zeros((1, 8, 8), np.float32), tilt_deg=np.zeros(1), pixel_ang=5.0, axis_deg=0.0
    )
    particles = ParticleSet(
        centers_ang_zyx=rng.uniform(-0.5, 0.5, (count, 3)) * np.array(shape_zyx) * VOXEL_ANG,
        quaternions_xyzw=Rotation.random(count, random_state=rng).as_quat(),
        tomogram=np.array("TS"),
        features={"species": np.full(count, "ribosome")},
    )
    ensemble = Ensemble(
        particles=particles,
        series={"TS": series},
        alignments={"TS": Alignment.nominal(series)},
        maps={"ribosome": density},
    )
    return Tomogram(name="TS", volume=np.zeros(shape_zyx, np.float32), voxel_ang=VOXEL_ANG), ensemble


def painting(count, shape_zyx=SHAPE_ZYX):
    """Return CPU seconds of the stage, and voxels per CPU second of every way to paint."""
    tomogram, ensemble = ribosomes(count, shape_zyx)
    reference = reference_of(ensemble.maps["ribosome"], VOXEL_ANG)
    ratio = VOXEL_ANG / reference.voxel_ang
    turns = np.ascontiguousarray(ratio * np.swapaxes(ensemble.particles.matrices, 1, 2)[:, ::-1, ::-1])
    centres = ensemble.particles.centers_ang_zyx / VOXEL_ANG + np.array(shape_zyx) // 2
    painted, owners = np.empty(shape_zyx, np.float32), np.empty(shape_zyx, np.int32)
    kinds = np.zeros(count, np.int64)
    n = reference.volumes.shape[1]
    room = np.zeros((count, n + 1), np.float32)
    voxels = 4 / 3 * np.pi * ((n // 2 - 1.5) / ratio) ** 3
    edge = 2 * int(n // 2 / ratio) + 1

    def by_scipy(turn):
        offset = n // 2 - turn @ np.full(3, edge // 2)
        return [affine_transform(volume, turn, offset, (edge,) * 3, order=1) for volume in reference.volumes]

    few = turns[: min(count, 5)]
    seconds = {
        "kernel": cpu_seconds(
            lambda: place_copies(painted, owners, reference.volumes[None], kinds, centres, turns, False), 3
        ),
        "ceiling": cpu_seconds(lambda: _read_cells(room, reference.volumes, centres, turns), 3),
        "scipy": cpu_seconds(lambda: [by_scipy(turn) for turn in few]) * count / len(few),
    }
    return cpu_seconds(lambda: map_back(tomogram, ensemble)), {name: count * voxels / s for name, s in seconds.items()}


def frames(count, n_faces=None, shape_zyx=SHAPE_ZYX):
    """Turn the surfaces in a window; return (what draws, triangles, frames per second, CPU seconds of one)."""
    import napari

    from napari_tomoflow.gui.map_back.graphics import renderer
    from napari_tomoflow.gui.map_back.scene import PlacedScene

    viewer = napari.Viewer()
    try:
        scene = PlacedScene(viewer, map_back(*ribosomes(count, shape_zyx)), n_faces)
        viewer.dims.ndisplay = 3
        viewer.screenshot(flash=False)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        for frame in range(N_FRAMES):
            viewer.scene.camera.angles = (0.0, 30.0 + 3 * frame, 30.0)
            viewer.screenshot(flash=False)  # waits until it is drawn
        each_s, each_cpu_s = ((now - start) / N_FRAMES for now, start in (
            (time.perf_counter(), start_s), (time.process_time(), start_cpu_s)
        ))  # fmt: skip
        return renderer(), scene.n_faces, 1 / each_s, each_cpu_s
    finally:
        viewer.close()


def describe(count, stage_s, rates):
    """Put the figures into words."""
    return (
        f"{count} ribosomes in {np.prod(SHAPE_ZYX) / 1e6:.0f} million voxels: {stage_s:.1f} CPU-s for the stage\n"
        f"  painting: {rates['kernel'] / 1e6:.0f} Mvoxels/s, {rates['kernel'] / rates['ceiling']:.0%} of the "
        f"{rates['ceiling'] / 1e6:.0f} of its cells alone; scipy {rates['scipy'] / 1e6:.1f}"
    )


if __name__ == "__main__":
    numba.set_num_threads(1)
    n_particles = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    sys.stdout.write(describe(n_particles, *painting(n_particles)) + "\n")
    who, faces, rate, cpu_s = frames(n_particles)
    sys.stdout.write(f"  {faces} triangles: {rate:.1f} frames/s, {1e3 * cpu_s:.0f} CPU-ms each, by {who}\n")
