"""Which tilts are given up because they disagree with the rest, and which alignments are not to be trusted."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.landmark_course import LandmarkChoice
from napari_tomoflow.core.alignment.matching import Steps
from napari_tomoflow.core.alignment.tracked import Tracked
from napari_tomoflow.core.alignment.verdict import disagreeing
from napari_tomoflow.core.model import Alignment

TILTS = np.linspace(-60.0, 60.0, 41)
PIXEL_ANG = 10.0


def steps(residual_ang, held_out):
    along = np.stack([residual_ang, np.zeros_like(residual_ang)], axis=1)
    return Steps(along, np.full(41, 20.0), np.zeros(41), held_out)


def usual(seed=0):
    """Residuals of a few Å with the long tail they have, and held-out correlation that falls with tilt."""
    rng = np.random.default_rng(seed)
    return rng.rayleigh(2.0, 41), 60.0 * np.cos(np.deg2rad(TILTS)) + rng.normal(0, 4.0, 41)


def test_tails_of_good_tilts_are_kept():
    for seed in range(50):
        residual, held_out = usual(seed)
        residual[20] = 9.9
        assert disagreeing(steps(residual, held_out), TILTS, PIXEL_ANG) == {}


def test_a_tilt_that_is_far_off_and_unlike_its_prediction_is_given_up_and_no_other():
    residual, held_out = usual()
    residual[[5, 31]], held_out[[5, 31]] = 35.0, [3.0, 50.0]
    found = disagreeing(steps(residual, held_out), TILTS, PIXEL_ANG)
    assert list(found) == [5]
    assert "35 Å" in found[5]


def test_what_all_disagree_about_is_no_reason_to_give_one_up():
    rng = np.random.default_rng(0)
    found = disagreeing(steps(rng.rayleigh(40.0, 41), np.full(41, 5.0)), TILTS, PIXEL_ANG)
    assert found == {}


@pytest.mark.parametrize(
    ("expected_px", "by_landmarks", "said"),
    [
        (1.4, True, ""),
        (1.6, True, "Do not trust"),
        (1.6, False, "Do not trust"),
        (0.2, False, "no landmarks confirm it"),
    ],
)
def test_an_alignment_that_may_be_three_pixels_off_or_that_nothing_confirms_says_so(expected_px, by_landmarks, said):
    alignment = Alignment(tilt_deg=TILTS, axis_deg=np.zeros(41))
    held_by = Tracked("gold", alignment, bundle=None, observations=None, size_ang=100.0) if by_landmarks else None
    choice = LandmarkChoice(alignment, held_by, {}, expected_px * PIXEL_ANG, axis_error_deg=0.1)
    warnings = choice.warnings(PIXEL_ANG)
    assert len(warnings) == bool(said)
    assert all(said in warning for warning in warnings)
