"""Alignment by features of the specimen against truth: no gold, and starts as projection matching leaves them."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.balls import align_with_balls
from napari_tomoflow.core.alignment.recipes import FEATURES
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stages.align import align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from truth.rigid_motion import error_after_rigid_motion
from truth.test_align_simulated import third_party_series


def wrong_start(series, truth, axis_error_deg, shift_error_px):
    """Return nominal tilts, one axis that is off, and shifts that are off."""
    wrong = np.random.default_rng(0).normal(0, shift_error_px * series.pixel_ang, (series.n_tilts, 2))
    axis_deg = np.array(truth.axis_deg.mean() + axis_error_deg)
    return Alignment(tilt_deg=series.tilt_deg, axis_deg=axis_deg, shift_ang_yx=truth.shift_ang_yx + wrong)


def rms_px(alignment, truth, series, thickness_ang):
    """Measure over the volume of the specimen, not at the features."""
    field = np.array(series.shape_yx) * series.pixel_ang
    points = np.random.default_rng(1).uniform(-0.45, 0.45, (60, 3)) * [thickness_ang, *field]
    found = error_after_rigid_motion(alignment, truth, points, series.pixel_ang, series.shape_yx, may_mirror=False)
    return found.rms_px


@pytest.fixture(scope="module")
def own():
    return simulate(
        SimulateParams(
            seed=3,
            size_px=320,
            pixel_ang=10.0,
            n_tilts=27,
            n_gold=0,
            n_ribosomes=50,
            n_proteasomes=20,
            n_vesicles=2,
            n_contaminants=2,
            shift_px=20.0,
            tilt_error_deg=0.3,
            axis_jitter_deg=0.2,
            axis_deg=-12.0,
        )
    )


@pytest.mark.parametrize(
    ("axis_error_deg", "shift_error_px"), [(1.5, 1.0), pytest.param(0.0, 1.5, marks=pytest.mark.slow)]
)
def test_molecules_and_membranes_are_aligned_to_a_third_of_a_pixel(own, axis_error_deg, shift_error_px):
    start = wrong_start(own.series, own.alignment, axis_error_deg, shift_error_px)
    found = align_with_balls(own.series, start, None, FEATURES, silent)
    error_px = rms_px(found.alignment, own.alignment, own.series, 1500.0)
    assert rms_px(start, own.alignment, own.series, 1500.0) > 1.2
    assert error_px < 0.3
    assert abs((found.alignment.axis_deg - own.alignment.axis_deg).mean()) < 0.1
    assert error_px < 3 * found.bundle.expected_error_ang / own.series.pixel_ang


@pytest.mark.slow
@pytest.mark.parametrize(("axis_error_deg", "shift_error_px"), [(0.0, 0.0), (1.5, 1.0), (0.0, 1.5)])
def test_third_party_cell_is_aligned_below_a_pixel(shared_data, axis_error_deg, shift_error_px):
    series, truth = third_party_series(shared_data("sim_cell_C"), 3.0)
    start = wrong_start(series, truth, axis_error_deg, shift_error_px)
    found = align_with_balls(series, start, None, FEATURES, silent)
    assert rms_px(found.alignment, truth, series, 800.0) < 1.0
    assert abs((found.alignment.axis_deg - truth.axis_deg).mean()) < 0.5


@pytest.mark.slow
def test_third_party_cell_is_aligned_by_features_from_nothing_but_its_nominal_axis(shared_data):
    series, truth = third_party_series(shared_data("sim_cell_C"), 3.0, axis_deg=-85.0)
    alignment = align(series)
    assert alignment.landmarks.kind == "feature"
    assert rms_px(alignment, truth, series, 800.0) < 1.0
    assert abs(alignment.quality["axis_deg"] - -87.0) < 0.5
