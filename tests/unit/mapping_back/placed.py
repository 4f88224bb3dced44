"""A molecule without symmetry as an average, and particles in a tomogram that hold it."""

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.model import Alignment, DensityMap, Ensemble, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.simulation.molecules import hook, proteasome

VOXEL_ANG = 10.0
SHAPE_ZYX = (24, 50, 60)
ORIGIN_ANG = (30.0, 0.0, -50.0)


def average(molecule=None, box_px=32, voxel_ang=5.0, symmetry="C1", noise=0.0):
    """Draw a molecule as a map; by default the hook, which no turn and no mirror leaves as it is."""
    molecule = molecule or hook()
    volume = np.zeros((box_px,) * 3, np.float32)
    draw(volume, molecule, np.full(3, box_px // 2), np.eye(3), voxel_ang)
    volume += np.random.default_rng(5).normal(0, noise * volume.max(), volume.shape).astype(np.float32)
    return DensityMap(name=molecule.name, volume=volume, voxel_ang=voxel_ang, symmetry=symmetry)


def draw(volume_zyx, molecule, place_vox, pose, voxel_ang):
    """Add a molecule to a volume: x_tomo = A · x_ref, straight from its scatterers."""
    points = (molecule.points_ang_xyz @ pose.T)[:, ::-1] / voxel_ang + place_vox
    weights = np.full(len(points), 1e3 / voxel_ang**3, np.float32)
    splat_volume(volume_zyx, points.astype(np.float32), weights, np.full(len(points), 0.8, np.float32))


def tomogram():
    """Return an empty tomogram whose middle is not that of the specimen."""
    return Tomogram(name="TS_1", volume=np.zeros(SHAPE_ZYX, np.float32), voxel_ang=VOXEL_ANG, origin_ang_zyx=ORIGIN_ANG)


def ensemble(count=6, species=("hook",), tomograms=("TS_1",), seed=3):
    """Strew particles of some species over the tomogram, with scores and classes."""
    rng = np.random.default_rng(seed)
    half_ang = np.array(SHAPE_ZYX) * VOXEL_ANG / 2 - 60.0
    series = TiltSeries(
        name="TS", images=np.zeros((1, 8, 8), np.float32), tilt_deg=np.zeros(1), pixel_ang=5.0, axis_deg=0.0
    )
    particles = ParticleSet(
        centers_ang_zyx=rng.uniform(-half_ang, half_ang, (count, 3)) + ORIGIN_ANG,
        quaternions_xyzw=Rotation.random(count, random_state=rng).as_quat(),
        tomogram=np.resize(np.array(tomograms), count),
        ids=10 + np.arange(count),
        class_ids=1 + np.arange(count) % 2,
        score=rng.uniform(0.2, 0.8, count),
        features={"species": np.resize(np.array(species), count)},
    )
    maps = {"hook": average(), "proteasome": average(proteasome(), 48, symmetry="D7")}
    return Ensemble(
        particles=particles,
        series={name: series for name in tomograms},
        alignments={name: Alignment.nominal(series) for name in tomograms},
        maps={name: maps[name] for name in species},
    )
