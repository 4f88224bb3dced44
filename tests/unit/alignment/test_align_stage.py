"""The align stage on a small phantom: what it finds, marks, refuses and says."""

import json

import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled, DataError
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.report import Gauge
from napari_tomoflow.core.stages.align import AlignParams, align
from truth.rigid_motion import error_after_rigid_motion
from unit.alignment.beads import PIXEL_ANG, bead_alignment, bead_points, bead_series


@pytest.fixture(scope="module")
def points():
    return bead_points()


@pytest.fixture(scope="module")
def truth():
    return bead_alignment()


@pytest.fixture(scope="module")
def series(truth, points):
    return bead_series(truth, points, axis_deg=17.0)


@pytest.fixture(scope="module")
def aligned(series):
    return align(series)


def error_px(alignment, truth, points, *, may_mirror=False):
    return error_after_rigid_motion(alignment, truth, points, PIXEL_ANG, (128, 128), may_mirror=may_mirror).rms_px


def test_beads_land_where_they_are(aligned, truth, points):
    assert error_px(aligned, truth, points) < 0.7


def test_the_axis_is_found_beside_the_nominal_one_and_one_for_all(aligned):
    assert abs(aligned.quality["axis_deg"] - 20.0) < 1.0
    assert aligned.quality["hand"] == "as the axis given says"


def test_quality_is_plain_and_complete(aligned, series):
    quality = json.loads(json.dumps(dict(aligned.quality), allow_nan=False))
    assert quality["tilts_used"] == series.n_tilts
    assert quality["tilts_excluded"] == {}
    assert quality["residual_nm"]["mean"] == pytest.approx(quality["residual_px"]["mean"] * PIXEL_ANG / 10, rel=1e-3)
    assert quality["chance_correlation_over_noise"] < 6 < quality["coarse_correlation_over_noise"]


def test_the_claimed_residual_does_not_flatter(aligned, truth, points):
    # Halves of this small field hold different beads, so what they say of a tilt differs by more than its error.
    assert error_px(aligned, truth, points) < aligned.quality["residual_px"]["mean"] < 1.0


def test_nobody_says_the_axis_and_the_specimen_comes_out_up_to_its_mirror_image(series, truth, points):
    blind = align(series.replace(axis_deg=None))
    assert error_px(blind, truth, points, may_mirror=True) < 0.8
    assert -90.0 < blind.quality["axis_deg"] <= 90.0
    assert "not determined" in blind.quality["hand"]
    assert any("hand" in warning for warning in blind.quality["warnings"])


def test_the_half_turn_of_the_nominal_axis_is_kept(series, truth, points):
    other = align(series.replace(axis_deg=197.0))
    assert abs(other.quality["axis_deg"] - 200.0) < 1.0
    mirrored = truth.replace(axis_deg=truth.axis_deg + 180.0)
    assert error_px(other, mirrored, points @ np.diag([-1.0, -1.0, -1.0])) < 0.8


@pytest.mark.parametrize(("nominal_deg", "said"), [(110.0, "90°"), (-20.0, "sign")])
def test_a_nominal_axis_far_off_is_named(series, nominal_deg, said):
    alignment = align(series.replace(axis_deg=nominal_deg))
    assert abs(np.sin(np.deg2rad(alignment.quality["axis_deg"] - 20.0))) < np.sin(np.deg2rad(1.5))
    assert any(said in warning for warning in alignment.quality["warnings"])


def test_dead_tilts_are_marked_with_the_reason_and_interpolated(series, truth, points):
    images = np.array(series.images)
    images[4] = 7.0
    images[11] = np.random.default_rng(0).normal(0, 0.001, images[11].shape)
    alignment = align(series.replace(images=images).without({2: "charged"}))
    assert np.flatnonzero(~alignment.kept).tolist() == [2, 4, 11]
    excluded = alignment.quality["tilts_excluded"]
    assert excluded["2"] == "charged"
    assert "blank" in excluded["4"]
    assert np.isnan(alignment.residual_ang[[2, 4, 11]]).all()
    assert error_px(alignment, truth, points) < 0.8


def test_landmarks_that_were_asked_for_and_are_not_there_are_refused(series):
    with pytest.raises(DataError, match=r"beads cannot be aligned by gold: not enough"):
        align(series, AlignParams(landmarks="gold", gold_diameter_nm=30.0))


def test_noise_is_refused_by_name():
    images = np.random.default_rng(0).normal(size=(21, 64, 64)).astype(np.float32)
    noise = TiltSeries(name="fog", images=images, tilt_deg=np.arange(-60.0, 61, 6), pixel_ang=10.0)
    with pytest.raises(DataError, match=r"fog cannot be aligned.*nothing in common"):
        align(noise)


def test_too_few_images_are_refused(series):
    few = series.without({tilt: "bad" for tilt in range(4, series.n_tilts)})
    with pytest.raises(DataError, match="only 4 of 19 tilts"):
        align(few)


def test_an_aligned_series_stays_where_it_is(points):
    truth = bead_alignment(shift_ang=0.0)
    alignment = align(bead_series(truth, points, axis_deg=20.0), AlignParams(level=False))
    moved = alignment.shift_ang_yx - truth.levelled((0.0, 0.0), alignment.centre_ang_zyx).shift_ang_yx
    assert np.sqrt((moved**2).mean()) < 0.5 * PIXEL_ANG


def test_the_order_of_the_tilts_does_not_matter(series, aligned):
    order = np.random.default_rng(5).permutation(series.n_tilts)
    shuffled = align(series.replace(images=series.images[order], tilt_deg=series.tilt_deg[order]))
    np.testing.assert_allclose(shuffled.shift_ang_yx, aligned.shift_ang_yx[order], atol=1e-6)


def test_cancel_comes_through(series):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        align(series, report=gauge)
