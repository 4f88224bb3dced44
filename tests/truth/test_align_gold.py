"""Alignment by gold against truth, started from an alignment that is right to two pixels."""

import numpy as np
import pytest

from napari_tomoflow.core.alignment.fiducial import align_with_gold
from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.model import Alignment
from napari_tomoflow.core.report import Gauge, silent
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from truth.rigid_motion import error_after_rigid_motion
from truth.test_align_simulated import third_party_series


def rough_start(series, truth, axis_deg):
    """Return what is known without gold: nominal tilts, one axis, shifts wrong by 1.5 px."""
    wrong = np.random.default_rng(0).normal(0, 1.5 * series.pixel_ang, (series.n_tilts, 2))
    return Alignment(tilt_deg=series.tilt_deg, axis_deg=np.array(axis_deg), shift_ang_yx=truth.shift_ang_yx + wrong)


def rms_px(alignment, truth, series, thickness_ang):
    """Measure over the volume of the specimen, not at the beads."""
    field = np.array(series.shape_yx) * series.pixel_ang
    points = np.random.default_rng(1).uniform(-0.45, 0.45, (60, 3)) * [thickness_ang, *field]
    found = error_after_rigid_motion(alignment, truth, points, series.pixel_ang, series.shape_yx, may_mirror=False)
    return found.rms_px


def test_third_party_gold_is_aligned_to_a_fifth_of_a_pixel(shared_data):
    series, truth = third_party_series(shared_data("sim_fiducial_A"), 85.0)
    start = rough_start(series, truth, -4.6)
    found = align_with_gold(series, start, None, None, silent)
    assert found.size_ang == 100.0
    assert rms_px(start, truth, series, 1000.0) > 1.5
    assert rms_px(found.alignment, truth, series, 1000.0) < 0.2
    assert abs(found.alignment.axis_deg.mean() - truth.axis_deg.mean()) < 0.1


@pytest.fixture(scope="module")
def own():
    return simulate(
        SimulateParams(
            seed=4,
            size_px=256,
            pixel_ang=10.0,
            n_tilts=25,
            n_ribosomes=10,
            n_proteasomes=4,
            n_vesicles=0,
            shift_px=20.0,
            tilt_error_deg=0.3,
            axis_jitter_deg=0.2,
            axis_deg=-12.0,
        )
    )


def test_own_gold_is_aligned_to_a_fifth_of_a_pixel(own):
    found = align_with_gold(own.series, rough_start(own.series, own.alignment, -11.5), None, None, silent)
    error_px = rms_px(found.alignment, own.alignment, own.series, 1500.0)
    assert error_px < 0.2
    assert 0.3 * error_px < found.bundle.expected_error_ang / own.series.pixel_ang < 3 * error_px


def test_the_half_turn_of_the_start_is_kept(own):
    turned = own.alignment.replace(axis_deg=own.alignment.axis_deg + 180.0)
    found = align_with_gold(own.series, rough_start(own.series, turned, 168.5), 100.0, None, silent)
    assert abs(found.alignment.axis_deg.mean() - 168.0) < 0.2


def test_cancel_comes_through(own):
    gauge = Gauge()
    gauge.cancel()
    with pytest.raises(Cancelled):
        align_with_gold(own.series, own.alignment, 100.0, None, gauge)


@pytest.mark.slow
def test_progress_grows_and_ends_at_one(own):
    steps = []
    align_with_gold(own.series, own.alignment, 100.0, None, lambda done, total, doing: steps.append(done / total))
    assert steps == sorted(steps)
    assert steps[-1] == 1


def test_a_series_without_gold_is_left_alone(shared_data):
    series, truth = third_party_series(shared_data("sim_cell_C"), 3.0)
    assert align_with_gold(series, rough_start(series, truth, -87.0), None, None, silent) is None
