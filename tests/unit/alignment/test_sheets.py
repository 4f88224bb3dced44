"""How a specimen lies, told by points on its surfaces, and what points inside it must not be made to tell."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.level import Slab
from napari_tomoflow.core.alignment.sheets import find_sheets, told_by_points

SLOPE_X, SLOPE_Y = np.tan(np.deg2rad([4.0, -1.5]))


def beads(heights, n, seed=0, scatter_ang=10.0):
    """Spread beads over sheets at some heights, float64[P, 3]."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-2500, 2500, (2, n))
    z = np.resize(heights, n) + SLOPE_X * x + SLOPE_Y * y + rng.normal(0, scatter_ang, n)
    return np.stack([z, y, x], axis=1)


@pytest.mark.parametrize("heights", [(100.0,), (-600.0, 700.0)])
@pytest.mark.parametrize("n", [8, 16])
def test_the_slope_of_one_and_of_two_sheets_is_found(heights, n):
    sheets = find_sheets(beads(heights, n))
    assert abs(np.rad2deg(np.arctan(sheets.slope_x)) - 4.0) < 0.5
    assert abs(np.rad2deg(np.arctan(sheets.slope_y)) + 1.5) < 0.5
    np.testing.assert_allclose(sheets.heights_ang, heights, atol=30)


def test_the_error_of_the_slope_is_honest():
    found = [find_sheets(beads((-600.0, 700.0), 12, seed)) for seed in range(20)]
    off = np.array([[one.slope_x - SLOPE_X, one.slope_y - SLOPE_Y] for one in found])
    claimed = np.array([one.slope_error for one in found])
    assert 0.4 < np.sqrt((off**2).mean()) / np.sqrt((claimed**2).mean()) < 1.5


def test_one_bead_inside_does_not_tilt_the_specimen():
    points = beads((-600.0, 700.0), 14)
    points[3, 0] += 500.0
    assert abs(np.rad2deg(np.arctan(find_sheets(points).slope_x)) - 4.0) < 0.5


def test_five_beads_lie_on_some_two_sheets_and_tell_nothing():
    assert find_sheets(beads((-600.0, 700.0), 5)) is None


def test_two_sheets_tell_height_and_thickness():
    slab = told_by_points(Slab(seen=False), np.concatenate([beads((-600.0, 700.0), 14), np.full((1, 3), np.nan)]))
    assert slab.seen
    assert abs(slab.height_ang - 50.0) < 30
    assert abs(slab.thickness_ang - 1300.0) < 40


@pytest.mark.parametrize("seed", range(5))
def test_beads_all_through_the_specimen_leave_its_slope_to_the_slab(seed):
    points = np.random.default_rng(seed).uniform(-0.5, 0.5, (15, 3)) * [1500, 2500, 2500]
    slab = Slab(seen=True, thickness_ang=1200.0, slope_error=0.02)
    assert told_by_points(slab, points) == slab
