"""Beads followed through a series by where they must be, not from image to image."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.gold import Detections
from napari_tomoflow.core.alignment.tracking import make_beads, observe
from napari_tomoflow.core.errors import Cancelled, DataError
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.report import Gauge

HALF_FIELD = np.array([2500.0, 2500.0])
DIAMETER = 100.0


@pytest.fixture
def alignment():
    tilt_deg = np.arange(-60.0, 61, 6)
    shifts = np.random.default_rng(0).normal(0, 100, (len(tilt_deg), 2))
    return Alignment(tilt_deg=tilt_deg, axis_deg=np.full(len(tilt_deg), 30.0), shift_ang_yx=shifts)


@pytest.fixture
def points():
    return np.random.default_rng(1).uniform(-0.5, 0.5, (10, 3)) * [800, 3000, 3000]


def spots(alignment, points, scatter_ang=3.0, false=5, seed=2):
    """See the points with some scatter, and false spots beside them, in every tilt."""
    rng = np.random.default_rng(seed)
    seen = alignment.project(points)[0]
    seen = seen + rng.normal(0, scatter_ang, seen.shape)
    everything = [np.concatenate([one, rng.uniform(-2400, 2400, (false, 2))]) for one in seen]
    return [Detections(one, np.ones(len(one))) for one in everything]


def test_points_are_found_among_false_spots(alignment, points):
    found = make_beads(spots(alignment, points), alignment, 1000.0, 30.0, DIAMETER)
    distance = np.linalg.norm(found[:, None] - points, axis=2)
    assert distance.min(axis=0).max() < 10
    assert set(distance[:10].argmin(axis=1)) == set(range(10))


def test_few_beads_are_found_from_a_start_that_is_far_off(alignment, points):
    detections = spots(alignment, points[:5], false=2)
    rng = np.random.default_rng(4)
    wrong = alignment.shift_ang_yx + rng.normal(0, 25, (alignment.n_tilts, 2))
    start = alignment.replace(axis_deg=alignment.axis_deg + 1.5, shift_ang_yx=wrong)
    found = make_beads(detections, start, 1600.0, 150.0, DIAMETER)
    assert np.linalg.norm(found[:, None] - points[:5], axis=2).min(axis=0).max() < 100


def test_the_search_for_beads_can_be_cancelled(alignment, points):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        make_beads(spots(alignment, points), alignment, 1000.0, 30.0, DIAMETER, gauge)


def test_every_observation_is_of_its_point(alignment, points):
    detections = spots(alignment, points)
    start = alignment.replace(shift_ang_yx=alignment.shift_ang_yx + 10.0)
    made = make_beads(detections, start, 1000.0, 60.0, DIAMETER)
    observations, left = observe(made, detections, start, 60.0, DIAMETER, HALF_FIELD)
    assert len(left) >= 9  # a false point beside a true one may hide it
    nearest = np.linalg.norm(left[:, None] - points, axis=2).argmin(axis=1)
    true = alignment.project(points)[0][observations.tilt, nearest[observations.point]]
    wrong = np.linalg.norm(observations.position_ang_yx - true, axis=1) > 15
    assert wrong.mean() < 0.01
    assert len(wrong) > 150


def test_beads_that_hide_each_other_are_left_out_where_they_do(alignment):
    apart = np.array([[400.0, 0, 0], [-400.0, 0, 0], [0.0, 900, 0]])
    detections = spots(alignment, apart, false=0)
    observations, _ = observe(apart, detections, alignment, 30.0, DIAMETER, HALF_FIELD)
    flat = np.flatnonzero(np.abs(alignment.tilt_deg) < 8)
    assert set(observations.point[np.isin(observations.tilt, flat)]) == {2}
    assert set(observations.point) == {0, 1, 2}


def test_points_that_leave_the_field_are_judged_by_the_tilts_that_show_them(alignment):
    alignment = alignment.replace(shift_ang_yx=np.linspace([-3000.0, 0], [3000.0, 0], alignment.n_tilts))
    points = np.array([[0.0, 0, 0], [0.0, 500, 500]])
    observations, left = observe(points, spots(alignment, points), alignment, 30.0, DIAMETER, HALF_FIELD)
    assert len(left) == 2
    assert len(observations.tilt) < 2 * alignment.n_tilts - 8


def test_spots_that_agree_on_nothing_are_refused(alignment, points):
    detections = spots(alignment, points[:1] + 1e6, false=3)
    with pytest.raises(DataError, match="No bead is seen in enough tilts"):
        observe(points, detections, alignment, 30.0, DIAMETER, HALF_FIELD)
