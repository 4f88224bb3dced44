"""Every change to a CTF is a step that can be taken back, and is told in words and numbers."""

import numpy as np
import pytest

from imaged_noise import DEFOCUS_ANG, noise_ctf, noise_series
from napari_tomoflow.core.model import CtfSeries, TiltSeries
from napari_tomoflow.core.report import silent
from napari_tomoflow.gui.ctf_inspector.session import Session
from napari_tomoflow.gui.left_out import BY_HAND

WRONG = 3


@pytest.fixture
def session():
    return Session(noise_series(), noise_ctf())


def test_nothing_done_is_nothing_to_save(session):
    assert session.changed() == ()


def test_a_defocus_set_by_hand_is_told_and_ends_the_doubt(session):
    one = session.measure(WRONG, silent)
    assert list(session.doubtful) == [WRONG]
    session.set_defocus(one, DEFOCUS_ANG[WRONG])
    assert session.notes == ("Set tilt 3 (+40.0°): 3.320 µm became 3.120 µm.",)
    assert session.doubtful == {}
    assert session.ctf.defocus_ang[WRONG] == pytest.approx(DEFOCUS_ANG[WRONG])
    assert [type(noun) for noun in session.changed()] == [CtfSeries]
    session.undo()
    assert list(session.doubtful) == [WRONG]
    assert session.changed() == ()


def test_stored_curves_follow_the_defocus(session):
    one = session.measure(WRONG, silent)
    stored = {"tilts": [0, WRONG], "k_inv_ang": [0.0] * len(one.k_inv_ang), "measured": [[1.0], [2.0]]}
    ctf = noise_ctf(spectra=stored | {"fitted": [[3.0], [4.0]]})
    session = Session(noise_series(), ctf)
    session.set_defocus(session.measure(WRONG, silent), DEFOCUS_ANG[WRONG])
    spectra = session.ctf.quality["spectra"]
    assert (spectra["measured"][0], spectra["fitted"][0]) == ([1.0], [3.0])
    np.testing.assert_allclose(spectra["fitted"][1], one.curve(DEFOCUS_ANG[WRONG]).fitted, atol=1e-4)


def test_a_tilt_left_out_belongs_to_the_series(session):
    session.toggle_tilt(1)
    series, ctf = session.changed()
    assert (type(series), type(ctf)) == (TiltSeries, CtfSeries)
    assert series.excluded_because[1] == BY_HAND
    assert not series.kept[1]
    session.toggle_tilt(1)
    assert [type(noun) for noun in session.changed()] == [CtfSeries]


@pytest.mark.parametrize("hand", [-1, 1])
def test_all_tilts_are_fitted_again_with_a_given_hand(hand):
    session = Session(noise_series().replace(axis_deg=0.0), noise_ctf())
    session.toggle_tilt(1)
    fitted = session.fitted_with(hand, silent)
    assert fitted.hand == hand
    assert np.isnan(fitted.score[1])
    session.take_fit(fitted)
    assert session.ctf is fitted
    assert session.notes[-1] == f"Fitted all tilts again with defocus hand {hand:+d}."
