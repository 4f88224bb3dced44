"""Angles that belong to another image are found, exchanged or given up; right ones are left alone."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.angles import AngleCheck, Jury, check_angles
from napari_tomoflow.core.alignment.prepare import Band, prepare
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.report import silent
from unit.alignment.beads import bead_alignment, bead_points, bead_series

BAND = Band(40.0, 400.0)


@pytest.fixture(scope="module")
def truth():
    return bead_alignment()


@pytest.fixture(scope="module")
def series(truth):
    return bead_series(truth, bead_points(), axis_deg=20.0)


def check(series, truth, angles_deg):
    """Check angles on file, the images being where they truly are."""
    stack, _ = prepare(series.replace(tilt_deg=angles_deg), silent)
    placed = truth.replace(tilt_deg=stack.tilt_deg, shift_ang_yx=truth.shift_ang_yx[stack.tilts])
    found = check_angles("beads", Jury(stack.filtered(BAND), placed, BAND, 300.0), silent)
    return stack, found


def swapped(angles_deg, *pairs):
    written = angles_deg.copy()
    for first, second in pairs:
        written[[first, second]] = angles_deg[[second, first]]
    return written


def test_right_angles_are_left_alone(series, truth):
    assert not check(series, truth, truth.tilt_deg)[1]


@pytest.mark.parametrize("pairs", [[(3, 14)], [(9, 17)], [(5, 6)], [(2, 12), (7, 16)]])
def test_exchanged_angles_are_exchanged_back(series, truth, pairs):
    stack, found = check(series, truth, swapped(truth.tilt_deg, *pairs))
    assert sorted(sorted(stack.tilts[list(pair)].tolist()) for pair in found.exchanged) == [
        list(pair) for pair in pairs
    ]
    assert found.excluded == {}
    mended = found.mended(stack)
    np.testing.assert_allclose(mended.tilt_deg, truth.tilt_deg)
    np.testing.assert_array_equal(mended.tilts, np.arange(truth.n_tilts))


def test_an_angle_of_no_partner_is_given_up_and_the_right_one_named(series, truth):
    written = truth.tilt_deg.copy()
    written[4] = 41.0
    stack, found = check(series, truth, written)
    assert [int(stack.tilts[place]) for place in found.excluded] == [4]
    assert "41.0° as on file" in next(iter(found.excluded.values()))
    assert 4 not in found.mended(stack).tilts


def test_angles_of_other_images_are_refused(series, truth):
    with pytest.raises(DataError, match="beads cannot be aligned: its images fit their angles on file"):
        check(series, truth, np.random.default_rng(3).permutation(truth.tilt_deg))


def test_a_check_that_found_nothing_changes_nothing(series):
    stack, _ = prepare(series, silent)
    np.testing.assert_array_equal(AngleCheck().mended(stack).images, stack.images)
