"""A landmark pointed at in one tilt is found at its height and measured in all the others."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.crops import read_crop
from napari_tomoflow.core.alignment.follow import follow
from napari_tomoflow.core.errors import Cancelled, DataError
from napari_tomoflow.core.model import Landmarks
from napari_tomoflow.core.report import Gauge
from unit.alignment.beads import PIXEL_ANG, bead_alignment, bead_series

POINTS = np.array([[80.0, 100.0, -150.0], [-60.0, -220.0, 180.0], [20.0, 300.0, 260.0], [-90.0, -60.0, 30.0]])
CLICKED = 5
SIZE_ANG = {"gold": 80.0, "feature": 240.0}


def nothing(kind):
    none = np.zeros(0, np.int64)
    return Landmarks(
        kind=kind, points_ang_zyx=np.zeros((0, 3)), tilt=none, point=none,
        position_ang_yx=np.zeros((0, 2)), weight=np.zeros(0), size_ang=SIZE_ANG[kind],
    )  # fmt: skip


@pytest.fixture(scope="module")
def truth():
    return bead_alignment(shift_ang=30.0)


@pytest.fixture(scope="module")
def series(truth):
    return bead_series(truth, POINTS, noise=0.2, axis_deg=20.0)


def seen(truth, point, tilt=CLICKED):
    """Return where a point is seen in one tilt."""
    return truth.project(np.reshape(point, (1, 3)))[0][tilt, 0]


def blobs(truth):
    """Make a series of soft blobs so noisy that one tilt hardly shows them."""
    rng = np.random.default_rng(8)
    cloud = np.concatenate([point + rng.normal(0, 45, (14, 3)) for point in POINTS])
    return bead_series(truth, cloud, noise=1.5, axis_deg=20.0)


def error_ang(found, truth, point):
    """Return how far each measurement of the last landmark lies from the truth."""
    mine = found.point == found.n_points - 1
    true = truth.project(point[None])[0][found.tilt[mine], 0]
    return np.linalg.norm(found.position_ang_yx[mine] - true, axis=1)


@pytest.mark.parametrize("number", range(len(POINTS)))
def test_bead_is_followed_from_a_rough_click(truth, series, number):
    point = POINTS[number]
    click = seen(truth, point) + np.array([18.0, -14.0])
    found = follow(series, truth.replace(landmarks=nothing("gold")), CLICKED, click)
    assert found.n_points == 1
    assert len(found.tilt) >= truth.n_tilts - 3
    assert np.linalg.norm(found.points_ang_zyx[0] - point) < 0.5 * PIXEL_ANG
    assert np.median(error_ang(found, truth, point)) < 0.3 * PIXEL_ANG
    assert error_ang(found, truth, point).max() < 1.0 * PIXEL_ANG


def test_bead_is_followed_though_the_alignment_is_off(truth, series):
    rng = np.random.default_rng(3)
    off = truth.replace(
        shift_ang_yx=truth.shift_ang_yx + rng.normal(0, 1.5 * PIXEL_ANG, truth.shift_ang_yx.shape),
        landmarks=nothing("gold"),
    )
    click = seen(truth, POINTS[0])
    found = follow(series, off, CLICKED, click)
    assert np.median(error_ang(found, truth, POINTS[0])) < 0.3 * PIXEL_ANG
    assert len(found.tilt) >= truth.n_tilts - 4


@pytest.mark.parametrize("number", [0, 3])
def test_feature_is_followed_in_noise_that_hides_it(truth, number):
    point = POINTS[number]
    click = seen(truth, point)
    found = follow(blobs(truth), truth.replace(landmarks=nothing("feature")), CLICKED, click)
    assert len(found.tilt) >= truth.n_tilts // 2
    errors = error_ang(found, truth, point)
    # The cloud's own centre is some 12 Å from the point it was drawn around, alike in all tilts.
    assert np.median(errors) < 3.0 * PIXEL_ANG
    assert abs(found.points_ang_zyx[0, 0] - point[0]) < 4.0 * PIXEL_ANG


def test_other_landmarks_stay_as_they_are(truth, series):
    one = follow(series, truth.replace(landmarks=nothing("gold")), CLICKED, seen(truth, POINTS[0]))
    two = follow(series, truth.replace(landmarks=one), CLICKED, seen(truth, POINTS[1]))
    np.testing.assert_array_equal(two.position_ang_yx[: len(one.tilt)], one.position_ang_yx)
    assert two.n_points == 2
    assert np.linalg.norm(two.points_ang_zyx[1] - POINTS[1]) < PIXEL_ANG


def test_bead_that_is_a_landmark_already_is_refused(truth, series):
    click = seen(truth, POINTS[0])
    known = follow(series, truth.replace(landmarks=nothing("gold")), CLICKED, click)
    with pytest.raises(DataError, match="Landmark 0 is there already"):
        follow(series, truth.replace(landmarks=known), CLICKED + 3, seen(truth, POINTS[0], CLICKED + 3))


def test_click_on_nothing_is_refused(truth, series):
    with pytest.raises(DataError, match="choose something that stands out more"):
        follow(series, truth.replace(landmarks=nothing("gold")), CLICKED, seen(truth, [0, 150, 60]))


def test_first_landmark_of_an_alignment_is_a_feature(truth, series):
    found = follow(series, truth, CLICKED, seen(truth, POINTS[0]))
    assert found.kind == "feature"
    assert found.n_points == 1
    assert np.median(error_ang(found, truth, POINTS[0])) < PIXEL_ANG


def test_excluded_tilts_are_not_looked_at(truth, series):
    kept = np.arange(truth.n_tilts) % 2 == 0
    alignment = truth.replace(landmarks=nothing("gold"), kept=kept)
    found = follow(series, alignment, CLICKED + 1, seen(truth, POINTS[0], CLICKED + 1))
    assert kept[found.tilt].all()


def test_following_can_be_cancelled(truth, series):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        follow(series, truth.replace(landmarks=nothing("gold")), CLICKED, (0.0, 0.0), gauge)


@pytest.mark.parametrize("binning", [1, 2])
def test_crop_knows_where_it_lies(truth, series, binning):
    place = seen(truth, POINTS[0])
    crop = read_crop(series, CLICKED, place - 173.0, place + 211.0, binning, 8)
    darkest = np.unravel_index(np.argmin(crop.image_yx), crop.image_yx.shape)
    assert np.linalg.norm(crop.pixel_of(place) - darkest) < 1.5


def test_crop_outside_the_image_is_none(series):
    assert read_crop(series, 0, np.array([600.0, 0.0]), np.array([900.0, 200.0]), 1, 8) is None
