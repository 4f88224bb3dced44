"""Proteasomes among gold, simulated by others, averaged from nothing but where they are: no template, no poses."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from napari_tomoflow.core.ops import poses
from napari_tomoflow.core.ops.fsc import crossing, shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.stages.initial_model import InitialModelParams, initial_model
from napari_tomoflow.core.stages.refine import RefineParams, refine
from truth.docking import frame_of, fsc_with
from truth.test_average_fiducials import (
    BOX_PX,
    FRAME,
    FRAME_SHIFT_PX_XYZ,
    PIXEL_ANG,
    average,
    data_of,
    template,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

DIAMETER_ANG, FOUND_WITHIN_ANG = 190.0, 5.0


def on_axes(volume):
    """Turn the true map so that its axes lie along z and x."""
    centre, matrix = np.full(3, BOX_PX // 2), FRAME[::-1, ::-1]
    return affine_transform(volume, matrix, centre + FRAME_SHIFT_PX_XYZ[::-1] - matrix @ centre, order=3)


def half_ang(fsc):
    """Return where an FSC first falls below 0.5."""
    return PIXEL_ANG / crossing(fsc, np.arange(len(fsc)) / BOX_PX, 0.5)


def test_proteasomes_reach_what_their_true_poses_allow(shared_data):
    folder = shared_data("sim_fiducial_A")
    dataset = data_of(folder, "P20S")
    particles = dataset.particles
    shifts = np.einsum("pij,j->pi", particles.matrices, FRAME_SHIFT_PX_XYZ * PIXEL_ANG)[:, ::-1]
    truth = particles.replace(
        centers_ang_zyx=particles.centers_ang_zyx + shifts,
        quaternions_xyzw=poses.quaternions_from_matrices(particles.matrices @ FRAME),
    )
    off = np.random.default_rng(1).normal(size=(len(truth), 3)) * FOUND_WITHIN_ANG / 3**0.5
    lost = truth.replace(centers_ang_zyx=truth.centers_ang_zyx + off, quaternions_xyzw=np.array([0.0, 0.0, 0.0, 1.0]))
    options = {"diameter_ang": DIAMETER_ANG, "symmetry": "D7"}
    first = initial_model(
        dataset.replace(particles=lost), params=InitialModelParams(**options, iterations=30, starts=2)
    )
    refined = refine(
        dataset.replace(particles=first.particles), first.map, params=RefineParams(**options, box_px=BOX_PX)
    )

    frame, off_deg, left_px = frame_of(refined.particles, truth, PIXEL_ANG, "D7")
    assert np.median(off_deg) < 3.0
    assert (off_deg < 10.0).mean() > 0.95
    assert np.median(left_px) < 0.5
    true, mask = on_axes(template(folder, "P20S")), soft_sphere(BOX_PX, 22, 6)
    found_ang = half_ang(fsc_with(true, refined.map.volume, frame, mask))
    best = average(dataset.replace(particles=truth), DIAMETER_ANG, "D7").volume
    assert found_ang < 20.0
    assert found_ang < 1.15 * half_ang(shell_sums(best * mask, true * mask).fsc)
    assert refined.quality["resolution_ang"] == pytest.approx(found_ang, rel=0.15)
