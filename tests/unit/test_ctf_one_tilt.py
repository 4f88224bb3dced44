"""One tilt by itself: its spectrum tells the defocus, and the picture shows where it is right."""

import numpy as np
import pytest

from imaged_noise import DEFOCUS_ANG, HALF_ASTIGMATISM_ANG, noise_ctf, noise_series
from napari_tomoflow.core.ctf.one_tilt import OneTilt
from napari_tomoflow.core.errors import DataError

WRONG = 3


@pytest.fixture(scope="module")
def one():
    return OneTilt.measure(noise_series(), None, noise_ctf(), WRONG)


def agreement(picture):
    """Correlate the measured half with the fitted one, which lies opposite."""
    centre = len(picture) // 2
    measured = picture[1:, 1:centre]
    fitted = picture[1:, centre + 1 :][::-1, ::-1]
    compared = (fitted > 0) & (measured > 0)
    return np.corrcoef(measured[compared], fitted[compared])[0, 1]


def test_the_curve_fits_best_at_the_true_defocus(one):
    scores = [one.curve(DEFOCUS_ANG[WRONG] + off).score for off in (-2000.0, 0.0, 2000.0)]
    assert max(scores) == scores[1]
    assert scores[1] > 0.9


def test_a_defocus_that_is_wrong_is_mended(one):
    assert one.refit(DEFOCUS_ANG[WRONG] + 2000.0, 4000.0) == pytest.approx(DEFOCUS_ANG[WRONG], abs=200.0)


def test_rings_of_both_halves_agree_only_where_the_defocus_is_right(one):
    right, wrong = (agreement(one.picture(DEFOCUS_ANG[WRONG] + off)) for off in (0.0, 2000.0))
    assert right > 0.35
    assert wrong < 0.5 * right


def test_another_defocus_keeps_the_astigmatism_and_the_other_tilts(one):
    changed = one.with_defocus(28000.0)
    assert changed.defocus_ang[WRONG] == pytest.approx(28000.0)
    assert changed.defocus_u_ang[WRONG] - changed.defocus_v_ang[WRONG] == pytest.approx(2 * HALF_ASTIGMATISM_ANG)
    assert changed.score[WRONG] < 0.9
    others = np.arange(len(DEFOCUS_ANG)) != WRONG
    np.testing.assert_array_equal(changed.defocus_u_ang[others], one.ctf.defocus_u_ang[others])


def test_a_defocus_above_focus_is_refused(one):
    with pytest.raises(DataError, match="more than half its astigmatism"):
        one.with_defocus(100.0)
