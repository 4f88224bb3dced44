"""The CTF stage against truth: other people's simulated images, and our own series."""

import json
import tempfile
from functools import cache
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from benchmarks.bench_ctf import measure, specimen, summary
from imaged_noise import DEFOCUS_ANG, HALF_ASTIGMATISM_ANG, noise_series
from napari_tomoflow.core.model import Alignment, Optics, TiltSeries
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.stages.ctf import CtfParams, ctf
from napari_tomoflow.core.stages.simulate import simulate


@cache
def small_series():
    """Simulate 11 tilts of half the field of the benchmark; without damage, as so few tiles see little gradient."""
    params = specimen("plain", 3, 512).replace(
        n_tilts=11, hand=-1, axis_deg=20.0, dose_per_tilt_e_ang2=6.0, damage="none"
    )
    return simulate(params)


def test_the_defocus_of_single_images_of_another_simulator_is_found(shared_data):
    with mrcfile.open(shared_data("sim_ctf/ctf_images.mrc")) as file:
        images = np.array(file.data)
    truth_ang = 1e4 * np.loadtxt(shared_data("sim_ctf/truth/defocus_um.txt"))[:, 1]
    found = []
    for image in images:
        series = TiltSeries(
            name="image", images=image[None], tilt_deg=np.zeros(1), pixel_ang=2.0, axis_deg=0.0, optics=Optics()
        )
        fitted = ctf(series)
        assert fitted.hand == 0
        found.append(fitted.defocus_ang[0])
    error_ang = np.abs(np.array(found) - truth_ang)
    assert np.median(error_ang) <= 300
    assert error_ang.max() <= 1000


def test_defocus_and_hand_of_a_small_series_are_found():
    made = small_series()
    found = ctf(made.series)
    error_ang = np.abs(found.defocus_ang - made.ctf.defocus_ang)
    assert np.median(error_ang[np.abs(made.series.tilt_deg) < 30]) <= 500
    assert np.median(error_ang) <= 700
    assert found.hand == found.quality["hand_from_images"] == -1
    assert found.quality["hand_confidence"] > 0.95


def test_half_a_turn_of_the_axis_turns_the_hand_and_is_told_from_what_was_declared():
    made = small_series()
    turned = made.series.replace(axis_deg=made.series.axis_deg - 180.0, defocus_hand=-1)
    blind = Alignment.nominal(turned).replace(quality={"hand": "not determined: the axis was found blind"})
    found = ctf(turned, blind)
    assert found.hand == 1
    assert any("declares -1" in warning for warning in found.quality["warnings"])
    assert any("found blind" in warning for warning in found.quality["warnings"])
    assert ctf(turned, blind, params=CtfParams(hand="declared")).hand == -1


def test_without_tilt_there_is_no_gradient_and_the_hand_stays_undecided():
    params = specimen("plain", 4, 512).replace(n_tilts=5, tilt_min_deg=-0.02, tilt_max_deg=0.02)
    made = simulate(params)
    found = ctf(made.series.replace(tilt_deg=np.zeros(5)))
    assert found.hand == 0
    assert found.quality["hand_confidence"] < 0.9
    assert any("undecided" in warning for warning in found.quality["warnings"])
    assert np.abs(found.defocus_ang - made.ctf.defocus_ang).max() <= 500


def test_a_series_whose_gradient_was_taken_away_leaves_the_hand_undecided():
    # Rings to 9 Å in every tilt, tilts to 40°: a gradient would be seen, but there is none.
    series = noise_series(512).replace(axis_deg=0.0, defocus_hand=1)
    found = ctf(series)
    assert np.abs(found.defocus_ang - DEFOCUS_ANG).max() <= 200
    assert found.quality["hand_from_images"] == 0
    assert found.quality["hand_gain_over_none"] < 0
    assert any("undecided" in warning and "declared one, +1" in warning for warning in found.quality["warnings"])


def test_astigmatism_is_found_where_there_is_some_and_none_is_made_of_noise():
    found = ctf(noise_series(512))
    apart_ang = found.defocus_u_ang - found.defocus_v_ang
    error_ang = found.quality["astigmatism_error_ang"]
    np.testing.assert_allclose(apart_ang, 2 * HALF_ASTIGMATISM_ANG, atol=max(100.0, 2 * error_ang))
    np.testing.assert_allclose(found.azimuth_deg, 30.0, atol=10.0)
    round_ang = [ctf(noise_series(256, 0.0, seed)).quality["astigmatism_ang"] for seed in range(4)]
    assert np.median(round_ang) <= 30.0


def test_without_a_tilt_axis_the_hand_is_undecided_and_the_way_out_is_told():
    found = ctf(small_series().series.replace(axis_deg=None))
    assert found.hand == found.quality["hand_from_images"] == 0
    assert any("axis is not known" in warning and "run align first" in warning for warning in found.quality["warnings"])


def test_a_blank_tilt_is_interpolated_and_said_so():
    made = small_series()
    images = np.array(made.series.images)
    images[4] = 0
    found = ctf(made.series.replace(images=images))
    assert found.quality["tilts_interpolated"] == [4]
    assert "4" in found.quality["tilts_doubtful"]
    assert np.isnan(found.score[4])
    assert abs(found.defocus_ang[4] - made.ctf.defocus_ang[4]) <= 2000


def test_images_without_rings_are_not_to_be_trusted():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (7, 384, 384)).astype(np.float32)
    series = TiltSeries(
        name="noise", images=images, tilt_deg=np.linspace(-45, 45, 7), pixel_ang=4.0, axis_deg=0.0, defocus_hand=0
    )
    found = ctf(series)
    assert found.hand == 0
    assert any("trust" in warning for warning in found.quality["warnings"])


@pytest.mark.parametrize("phase_deg", [40.0, 100.0])
def test_a_phase_shift_and_a_defocus_close_to_focus_are_told_apart(phase_deg):
    defocus_ang = np.array([10000.0, 10200.0, 9800.0, 10500.0, 9600.0])
    series = noise_series(512, 50.0, defocus_ang=defocus_ang, phase_deg=phase_deg)
    found = ctf(series, params=CtfParams(phase="fit"))
    np.testing.assert_allclose(found.phase_deg, phase_deg, atol=5.0)
    np.testing.assert_allclose(found.defocus_ang, defocus_ang, atol=500.0)
    assert found.quality["phase_error_deg"] < 8.0


def test_a_phase_shift_that_cannot_be_known_is_not_to_be_trusted():
    faint = noise_series(256, 0.0, defocus_ang=np.full(5, 10000.0), phase_deg=60.0)
    rng = np.random.default_rng(9)
    buried = faint.replace(images=faint.images + rng.normal(0, 12.0, faint.images.shape).astype(np.float32))
    found = ctf(buried, params=CtfParams(phase="fit"))
    assert any("phase shift" in warning and "do not trust it" in warning for warning in found.quality["warnings"])


def test_defocus_and_hand_of_a_series_of_another_simulator_with_gold_are_found(shared_data):
    # No tilt shows rings of its own; the defocus of the tilts scatters by 0.067 µm.
    truth = json.loads(shared_data("sim_fiducial_A/truth/truth.json").read_text())["tilts"]
    with mrcfile.open(shared_data("sim_fiducial_A/tilt_series.mrc")) as file:
        images = np.array(file.data)
    tilt_deg = np.array([one["true_tilt"] for one in truth])
    series = TiltSeries(name="gold", images=images, tilt_deg=tilt_deg, pixel_ang=5.0, axis_deg=-5.0)
    found = ctf(series)
    error_ang = found.defocus_ang - 1e4 * np.array([one["defocus_um"] for one in truth])
    assert np.median(np.abs(error_ang)) <= 600
    assert abs(error_ang.mean()) <= 600
    assert found.hand == 1
    assert found.quality["hand_by"] == "rings and gold"
    assert any("suit the sum of all" in warning for warning in found.quality["warnings"])


def test_a_series_without_rings_enough_is_not_to_be_trusted(shared_data):
    # 10 Å pixels, 5 µm: between 60 and 23 Å lies hardly more than one ring, and all tilts together do not show it.
    tilt_deg = np.loadtxt(shared_data("sim_cell_C/tilt_series.rawtlt"))
    with mrcfile.open(shared_data("sim_cell_C/tilt_series.mrc")) as file:
        images = np.array(file.data)
    found = ctf(TiltSeries(name="cell", images=images, tilt_deg=tilt_deg, pixel_ang=10.0, axis_deg=-87.0))
    assert found.hand == 0
    assert any(
        "No tilt shows rings" in warning and "not to be trusted" in warning for warning in found.quality["warnings"]
    )


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_benchmark_series_meet_their_targets_and_every_hand_is_right():
    reuse = Path(tempfile.gettempdir()) / "tomoflow_bench_series"
    reuse.mkdir(exist_ok=True)
    lines = [measure("plain", seed, 1024, reuse) for seed in range(1, 21)]
    (reuse / "ctf_plain.txt").write_text(summary(lines))
    assert np.median([one["low_ang"] for one in lines]) <= 500
    assert np.median([one["high_ang"] for one in lines]) <= 1000
    assert all(one["hand"][0] == one["hand"][1] for one in lines)


def test_every_seed_draws_another_series_and_the_same_one_again():
    drawn = [specimen(case, seed) for case in ("plain", "phase") for seed in range(1, 21)]
    assert len({params.model_dump_json() for params in drawn}) == len(drawn)
    assert isinstance(drawn[0], SimulateParams)
    assert specimen("plain", 3) == specimen("plain", 3)
