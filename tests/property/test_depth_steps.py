"""However the specimen lies, no voxel is corrected for a depth that is off by more than half a step."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_tomoflow.core.model import Alignment, Optics
from napari_tomoflow.core.ops.backprojection import line_geometry
from napari_tomoflow.core.ops.ctf import gamma_per_defocus
from napari_tomoflow.core.reconstruction import ctf_correction

ANGLES = st.floats(-90, 90)
SIZES = st.tuples(st.integers(1, 200), st.integers(1, 400), st.integers(1, 400))


@given(ANGLES, ANGLES, st.floats(-15, 15), SIZES, st.floats(20, 3000), st.integers(0, 2**32 - 1))
def test_every_voxel_has_a_version_within_half_a_step(axis_deg, tilt_deg, xtilt_deg, shape_zyx, step_ang, seed):
    alignment = Alignment(tilt_deg=np.array([tilt_deg]), axis_deg=axis_deg, xtilt_deg=xtilt_deg)
    steps = ctf_correction.depth_steps(alignment.image_from_sample(), 4.0, shape_zyx, step_ang, "voxel")
    voxels_zyx = np.random.default_rng(seed).integers(0, shape_zyx, (50, 3)) - np.array(shape_zyx) // 2
    depths = alignment.project(4.0 * voxels_zyx)[1][0]
    used = steps.depths_ang(0)[steps.version(0, depths)]
    assert np.abs(used - depths).max() <= step_ang / 2 + 1e-6


def test_half_a_step_is_an_eighth_of_a_turn_at_the_finest_detail():
    step_ang = ctf_correction.largest_step_ang(Optics(), finest_ang=2.4)
    # The rule of thumb: 15 nm are good to 2.4 Å at 300 kV.
    assert 140 < step_ang < 160
    assert np.isclose(gamma_per_defocus(1 / 2.4, Optics()) * step_ang / 2, np.pi / 4)


@given(SIZES, st.integers(1, 2000))
def test_bands_cover_every_row_once(shape_zyx, limit_lines):
    matrices = Alignment(tilt_deg=np.array([-40.0, 0, 40]), axis_deg=0.0).image_from_sample()
    geometry = line_geometry(matrices, 4.0, shape_zyx)
    steps = ctf_correction.depth_steps(matrices, 4.0, shape_zyx, 300.0, "voxel")
    bands = ctf_correction.bands_of_rows(steps, geometry, 4.0 * geometry.n_u * steps.counts.sum() * limit_lines)
    assert [row for first, end in bands for row in range(first, end)] == list(range(shape_zyx[1]))
    assert all(end - first <= max(64, limit_lines) for first, end in bands)
