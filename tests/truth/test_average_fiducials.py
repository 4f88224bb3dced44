"""Averages of a third-party simulation at its true geometry and poses: 20S proteasomes and 30S subunits among gold."""

import json

import mrcfile
import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter, map_coordinates

from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import CtfSeries, Dataset, Optics, ParticleSet, TiltSeries
from napari_tomoflow.core.ops import geometry, poses
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from truth.test_reconstruct_fiducials import true_geometry

BOX_PX, PIXEL_ANG, TEMPLATE_ANG = 64, 5.0, 2.0

# The 20S template lies as its file in the PDB does: this frame has its axes along z and x.
FRAME = poses.matrices_from_relion([-81.205, 84.320, 50.213])[0]
FRAME_SHIFT_PX_XYZ = np.array([0.070, -0.050, 0.267])


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data("sim_fiducial_A")


def data_of(folder, species, hand=1, within_ang=1200.0):
    """Particles of one kind well within the field, with the series, its geometry and its CTF in our frame."""
    alignment, _ = true_geometry(folder)
    turn = geometry.rotation_z(85.0 - 90.0)
    columns = np.loadtxt(folder / "truth" / f"coords_{species}.txt", skiprows=2)
    phi, theta, psi = columns[:, 3:].T
    matrices = turn.T @ geometry.rotation_z(psi) @ geometry.rotation_x(theta) @ geometry.rotation_z(phi)
    centers = (columns[:, :3] @ turn)[:, ::-1] * 10
    inside = np.all(np.abs(centers[:, 1:]) < within_ang, axis=1)
    particles = ParticleSet(
        centers_ang_zyx=centers[inside],
        quaternions_xyzw=poses.quaternions_from_matrices(matrices[inside]),
        tomogram=np.array("A"),
        half=np.arange(inside.sum()) % 2 + 1,
    )
    tilts = json.loads((folder / "truth" / "truth.json").read_text())["tilts"]
    defocus = np.array([tilt["defocus_um"] for tilt in tilts]) * 1e4
    with mrcfile.open(folder / "tilt_series.mrc") as mrc:
        images = np.array(mrc.data)
    series = TiltSeries(
        name="A", images=images, tilt_deg=alignment.tilt_deg, pixel_ang=PIXEL_ANG,
        dose_before_e_ang2=np.arange(len(tilts)) * 2.44, dose_of_tilt_e_ang2=np.array(2.44),
    )  # fmt: skip
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=defocus, defocus_v_ang=defocus, hand=hand)
    return Dataset(particles=particles, series={"A": series}, alignments={"A": alignment}, ctfs={"A": ctf})


def template(folder, species):
    """Bring the true map, whose centre lies between voxels, onto the grid of the averages."""
    with mrcfile.open(folder / "truth" / f"template_{species}_2A.mrc") as mrc:
        fine = gaussian_filter(np.array(mrc.data, np.float32), 0.8)
    offset = (np.arange(BOX_PX) - BOX_PX // 2) * PIXEL_ANG / TEMPLATE_ANG
    places = np.meshgrid(*[(n - 1) / 2 + offset for n in fine.shape], indexing="ij")
    return map_coordinates(fine, places, order=3)


def average(dataset, diameter_ang, symmetry="C1"):
    return reconstruct_at_poses(
        DatasetImages(dataset, Sampling(BOX_PX, PIXEL_ANG, diameter_ang / 2)), symmetry=symmetry
    )


def test_30s_subunits_come_out_up_to_the_first_zero_of_the_ctf(folder):
    made, mask = average(data_of(folder, "R30S"), 260.0), soft_sphere(BOX_PX, 29, 6)
    fsc = shell_sums(made.volume * mask, template(folder, "R30S") * mask).fsc
    # 63 particles of 900 kDa, one defocus: shell 11 is 29 Å, the CTF passes 0 at 27 Å.
    assert fsc[3:11].min() > 0.7
    assert fsc[11] > 0.5
    assert fsc_curve(*made.halves, PIXEL_ANG, mask).resolution_ang() < 32.0


def test_20s_proteasomes_gain_from_their_symmetry(folder):
    dataset = data_of(folder, "P20S")
    particles = dataset.particles
    shifts = np.einsum("pij,j->pi", particles.matrices, FRAME_SHIFT_PX_XYZ * PIXEL_ANG)[:, ::-1]
    turned = particles.replace(
        centers_ang_zyx=particles.centers_ang_zyx + shifts,
        quaternions_xyzw=poses.quaternions_from_matrices(particles.matrices @ FRAME),
    )
    centre, matrix = np.full(3, BOX_PX // 2), FRAME[::-1, ::-1]
    offset = centre + FRAME_SHIFT_PX_XYZ[::-1] - matrix @ centre
    true = affine_transform(template(folder, "P20S"), matrix, offset, order=3)
    mask = soft_sphere(BOX_PX, 22, 6)
    made = average(dataset.replace(particles=turned), 190.0, "D7")
    fsc = shell_sums(made.volume * mask, true * mask).fsc
    assert fsc[1:13].min() > 0.9
    # Beyond the zero at 23 Å the next band comes back: shells 15 to 18, 21 to 18 Å.
    assert fsc[15:19].min() > 0.55
    assert fsc_curve(*made.halves, PIXEL_ANG, mask).resolution_ang() < 20.0
