"""A small tomogram of molecules in known poses behind a missing wedge, for the tests of template matching."""

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.matching.atoms import density_of_atoms
from napari_tomoflow.core.model import Tomogram
from napari_tomoflow.core.simulation.molecules import ribosome

VOXEL_ANG = 20.0
SHAPE_ZYX = (32, 96, 96)
PLACES_VOX = np.array(
    [(z, y, x) for number, (y, x) in enumerate(np.ndindex(4, 4)) for z in [10 + (7 * number) % 12]], np.float64
)
PLACES_VOX[:, 1:] = 14 + 22.5 * np.array(list(np.ndindex(4, 4)))


def template(molecule=None, symmetry="C1"):
    """Return a molecule, the ribosome by default, as a map."""
    molecule = molecule or ribosome()
    density = density_of_atoms(molecule.name, molecule.points_ang_xyz, molecule.weights, 10.0)
    return density.replace(symmetry=symmetry)


def scene(noise, gold=False, mirrored=False, empty=False, kinds=(ribosome,)):
    """Make (tomogram, places in Å from the centre, poses); molecules of several kinds take turns."""
    rng = np.random.default_rng(11)
    poses = Rotation.random(len(PLACES_VOX), random_state=rng).as_matrix()
    places = PLACES_VOX + rng.uniform(-0.5, 0.5, PLACES_VOX.shape)
    volume = np.zeros(SHAPE_ZYX, np.float32)
    if not empty:
        for number, kind in enumerate(kinds):
            add_molecules(volume, places[number :: len(kinds)], poses[number :: len(kinds)], kind())
    volume = volume[:, ::-1].copy() if mirrored else volume
    volume += rng.normal(0, noise, SHAPE_ZYX).astype(np.float32)
    volume = behind_wedge(volume)
    if gold:
        z, y, x = np.ogrid[: SHAPE_ZYX[0], : SHAPE_ZYX[1], : SHAPE_ZYX[2]]
        volume[(z - 16) ** 2 + (y - 25) ** 2 + (x - 25) ** 2 < 3**2] += 40 * volume.std()
    tomogram = Tomogram(name="scene", volume=-volume, voxel_ang=VOXEL_ANG)
    return tomogram, (places - np.array(SHAPE_ZYX) // 2) * VOXEL_ANG, poses


def add_molecules(volume_zyx, places_vox, poses, molecule):
    """Set a molecule at every place; its density is 1 on average."""
    from napari_tomoflow.core.kernels.splat import splat_volume

    offsets = np.average(molecule.points_ang_xyz, axis=0, weights=molecule.weights)
    points = molecule.points_ang_xyz - offsets
    weights = (molecule.weights / molecule.weights.mean() * 7.0**3 / VOXEL_ANG**3).astype(np.float32)
    for place, pose in zip(places_vox, poses, strict=True):
        voxels = (points @ pose.T)[:, ::-1] / VOXEL_ANG + place
        splat_volume(volume_zyx, voxels.astype(np.float32), weights, np.full(len(points), 0.6, np.float32))


def behind_wedge(volume_zyx):
    """Take out of a volume what tilts within ±60° do not see."""
    nz, _, nx = volume_zyx.shape
    kz, kx = np.fft.fftfreq(nz)[:, None, None], np.fft.rfftfreq(nx)
    seen = np.abs(kz) <= np.tan(np.deg2rad(60)) * np.abs(kx)
    return np.fft.irfftn(np.fft.rfftn(volume_zyx) * seen, s=volume_zyx.shape, axes=(0, 1, 2)).astype(np.float32)
