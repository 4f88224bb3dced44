"""The pieces a match is made of."""

import threading

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import erfc

from napari_tomoflow.core.errors import Cancelled, DataError, ParamError
from napari_tomoflow.core.matching.course import compare_hands
from napari_tomoflow.core.matching.exclusion import gold_in, inside_slab, widened
from napari_tomoflow.core.matching.null import Null
from napari_tomoflow.core.matching.params import MatchParams
from napari_tomoflow.core.matching.peaks import highest_peaks, parabola_top
from napari_tomoflow.core.matching.preparation import filtered, whitening_filter
from napari_tomoflow.core.matching.sampling import Sampling, Wedge, sampling_of
from napari_tomoflow.core.matching.scene import crowther_step_deg
from napari_tomoflow.core.matching.search import Hits
from napari_tomoflow.core.matching.template import ball, phases_randomised, prepare_template
from napari_tomoflow.core.matching.threads import each_in_threads
from napari_tomoflow.core.model import Alignment, CtfSeries, DensityMap, Optics, TiltSeries
from napari_tomoflow.core.ops.geometry import tilt_rotations
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.report import Gauge, silent


def ball_map(radius_ang=60.0, voxel_ang=4.0, **changes):
    volume = ball(48, radius_ang / voxel_ang, 1.0)
    return DensityMap(**{"name": "ball", "volume": volume, "voxel_ang": voxel_ang} | changes)


def test_a_template_is_measured_and_binned():
    template = prepare_template(ball_map(), 10.0)
    assert template.voxel_ang == 8.0
    assert template.diameter_ang == pytest.approx(120.0, abs=10.0)
    assert template.volume_zyx[12, 12, 12] == pytest.approx(1.0, abs=0.1)


def test_a_dark_map_becomes_bright_and_its_surroundings_0():
    bright = prepare_template(ball_map(), 8.0).volume_zyx
    dark = prepare_template(ball_map(volume=3.0 - ball(48, 15.0, 1.0), contrast="dark"), 8.0).volume_zyx
    np.testing.assert_allclose(dark, bright, atol=1e-5)


def test_a_map_of_any_shape_keeps_its_centre():
    volume = np.zeros((20, 25, 30), np.float32)
    volume[10, 12, 15] = 1.0
    template = prepare_template(DensityMap(name="point", volume=volume, voxel_ang=1.0), 1.0, diameter_ang=10.0)
    assert np.unravel_index(template.volume_zyx.argmax(), template.volume_zyx.shape) == (15, 15, 15)


@pytest.mark.parametrize(
    ("density", "voxel_ang", "words"),
    [
        (ball_map(volume=np.zeros((8, 8, 8), np.float32)), 4.0, "empty or holds NaN"),
        (ball_map(volume=np.full((8, 8, 8), np.nan, np.float32)), 4.0, "empty or holds NaN"),
        (ball_map(), 40.0, "finer voxels"),
        (ball_map(mask=np.zeros((48, 48, 48), np.float32)), 4.0, "mask is empty"),
    ],
)
def test_a_useless_template_is_refused(density, voxel_ang, words):
    with pytest.raises(DataError, match=words):
        prepare_template(density, voxel_ang)


def test_the_null_template_has_the_power_of_the_template_and_nothing_else_of_it():
    rng = np.random.default_rng(0)
    density = ball_map(volume=ball(48, 14.0) * gaussian_filter(rng.normal(size=(48, 48, 48)), 2).astype(np.float32))
    template = prepare_template(density, 4.0, 120.0)
    null = phases_randomised(template, 1)
    shown, nothing = (each.volume_zyx * each.mask_zyx for each in (template, null))
    powers = [np.abs(np.fft.rfftn(each)).ravel() for each in (shown, nothing)]
    assert np.corrcoef(*powers)[0, 1] > 0.95
    assert abs(np.corrcoef(shown.ravel(), nothing.ravel())[0, 1]) < 0.3
    assert (phases_randomised(template, 2).volume_zyx != null.volume_zyx).any()


def test_a_mirrored_template_is_its_own_mirror_image_twice():
    rng = np.random.default_rng(1)
    template = prepare_template(ball_map(volume=rng.normal(size=(48, 48, 48)).astype(np.float32)), 4.0, 100.0)
    mirrored = template.mirrored()
    np.testing.assert_array_equal(mirrored.mirrored().volume_zyx[:, 1:], template.volume_zyx[:, 1:])
    np.testing.assert_array_equal(mirrored.volume_zyx[:, 24], template.volume_zyx[:, 24])


def test_a_wedge_keeps_what_tilts_see_and_nothing_else():
    kept = Wedge(-60.0, 60.0).transfer(32, 10.0)
    assert kept[0, 0, 12] == pytest.approx(1.0), "kx: every tilt's plane holds y, the untilted one x"
    assert kept[12, 0, 0] == 0.0, "kz: along the beam"
    assert kept[0, 12, 0] == pytest.approx(1.0)
    assert kept[12, 0, 10] == pytest.approx(1.0), "50° from x: within the tilts"
    assert kept[12, 0, 5] == 0.0, "67° from x: beyond them"


def one_tilt(**changes):
    return Sampling(tilt_rotations(0.0, [0.0]), np.array([0.0]), **changes)


@pytest.mark.parametrize(("corrected", "power"), [("none", 1), ("flip", None), ("multiply", 2)])
def test_the_ctf_is_kept_as_the_images_were_corrected(corrected, power):
    optics = Optics(300.0, 2.7, 0.07)
    ctf = CtfSeries(optics=optics, defocus_u_ang=np.array([3e4]), defocus_v_ang=np.array([3e4]))
    from napari_tomoflow.core.ops.ctf import ctf_1d

    values = ctf_1d(np.arange(1, 17) / 320.0, 3e4, optics)
    assert (values < 0).any()
    expected = np.abs(values) if power is None else values**power
    got = one_tilt(ctf=ctf, corrected=corrected).transfer(32, 10.0)[0, 0, 1:]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_exposure_fades_fine_detail_and_a_filter_does_so_again():
    exposed = Sampling(tilt_rotations(0.0, [0.0]), np.array([30.0])).transfer(32, 4.0)[0, 0]
    filtered_too = Sampling(tilt_rotations(0.0, [0.0]), np.array([30.0]), dose_filtered="grant-grigorieff")
    assert exposed[14] < 0.5 * exposed[4]
    np.testing.assert_allclose(filtered_too.transfer(32, 4.0)[0, 0], exposed**2, rtol=1e-4)


def test_tilts_left_out_leave_a_gap_and_counts_must_agree():
    tilt_deg = np.linspace(-60, 60, 41)
    series = TiltSeries(
        name="TS", images=np.zeros((41, 8, 8), np.int8), tilt_deg=tilt_deg, pixel_ang=10.0, axis_deg=0.0
    )
    whole = Alignment(tilt_deg=tilt_deg, axis_deg=0.0)
    few = whole.replace(kept=np.abs(tilt_deg) < 20)
    assert sampling_of(series, whole, None).transfer(32, 10.0)[10, 0, 10] > 0.5
    assert sampling_of(series, few, None).transfer(32, 10.0)[10, 0, 10] == 0.0
    with pytest.raises(DataError, match="alignment is for 40 tilts"):
        sampling_of(series, Alignment(tilt_deg=tilt_deg[:40], axis_deg=0.0), None)


def test_whitening_brings_every_frequency_to_one_power():
    noise = gaussian_filter(np.random.default_rng(2).normal(size=(40, 80, 80)), 0.7).astype(np.float32)
    white = filtered(noise, whitening_filter(noise), 0.4)
    before, after = (np.abs(np.fft.rfftn(each)) ** 2 for each in (noise, white))
    low, high = (slice(0, 6), slice(6, 12), slice(6, 12)), (slice(0, 6), slice(14, 20), slice(14, 20))
    assert before[low].mean() > 2 * before[high].mean()
    assert after[low].mean() == pytest.approx(after[high].mean(), rel=0.25)


def test_peaks_are_the_best_of_their_surroundings_and_flanks_of_forbidden_ones_are_none():
    score = np.zeros((5, 20, 20), np.float32)
    for place, height in (((2, 5, 5), 1.0), ((2, 5, 7), 0.9), ((2, 14, 14), 0.8), ((2, 2, 15), 0.7)):
        score[place] = height
    score[2, 2, 16] = 0.6
    allowed = np.ones(score.shape, bool)
    allowed[2, 2, 15] = False
    np.testing.assert_array_equal(highest_peaks(score, allowed, 4.0, 10), [[2, 5, 5], [2, 14, 14]])
    np.testing.assert_array_equal(highest_peaks(score, allowed, 2.0, 2), [[2, 5, 5], [2, 5, 7]])
    assert len(highest_peaks(score, np.zeros(score.shape, bool), 2.0, 2)) == 0


def test_places_are_kept_apart_from_better_ones_only():
    places = np.array([[0.0, 0, 0], [0, 0, 1.5], [0, 0, 3.0]])
    np.testing.assert_array_equal(spaced(places, 2.0, range(3)), [0, 2])


def test_a_parabola_finds_its_top():
    z, y, x = np.mgrid[-1:2, -1:2, -1:2].astype(float)
    values = 5 - (z - 0.3) ** 2 - 2 * (y + 0.4) ** 2 - 0.5 * (x - 0.1) ** 2
    np.testing.assert_allclose(parabola_top(values), [0.3, -0.4, 0.1])


def test_gold_is_found_by_its_density_and_molecules_are_not():
    rng = np.random.default_rng(3)
    volume = rng.normal(size=(30, 60, 60)).astype(np.float32)
    z, y, x = np.mgrid[:30, :60, :60]
    bead = (z - 15) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 5**2
    molecule = (z - 15) ** 2 + (y - 45) ** 2 + (x - 45) ** 2 < 7**2
    volume[bead] += 5.0
    volume[molecule] += 0.5
    gold = gold_in(volume, 10.0, 15.0)
    assert gold[bead].mean() > 0.6
    assert not gold[molecule].any()
    assert not gold[~widened(bead, 3)].any()
    assert not gold_in(volume * ~bead, 10.0, 15.0).any()


def test_what_is_near_any_mark_is_marked_and_nothing_else():
    rng = np.random.default_rng(5)
    marks = rng.random((11, 40, 35)) < 3e-4
    marks[0, 0, 0] = marks[5, 20:24, 20] = True
    apart = np.linalg.norm(np.argwhere(marks)[:, None] - np.argwhere(np.ones_like(marks)), axis=2).min(axis=0)
    np.testing.assert_array_equal(widened(marks, 4.3), (apart <= 4.3).reshape(marks.shape))
    assert not widened(np.zeros_like(marks), 4.3).any()


def test_the_slab_leaves_a_margin_across_but_none_along_the_beam():
    inside = inside_slab((9, 20, 30), 4.0, None)
    assert inside[0, 4, 4]
    assert inside.sum() == 9 * 12 * 22
    assert inside_slab((9, 20, 30), 4.0, 4.0).any(axis=(1, 2)).tolist() == [False] * 2 + [True] * 5 + [False] * 2


def test_the_threshold_of_normal_noise_is_where_it_expects_so_many():
    # Peaks that exceed each z as often as the tail of exp(-z² / 2) does.
    ranks = np.arange(1, 2001)
    z = np.sqrt(2 * np.log(5000 / ranks))
    null = Null.of_peaks(0.03 * z, 0.03)
    assert null.decay == pytest.approx(1.0, abs=0.05)
    for expected in (0.1, 1.0, 10.0):
        threshold = null.threshold(expected)
        assert threshold == pytest.approx(np.sqrt(2 * np.log(5000 / expected)), abs=0.06)
        assert null.expected_above(threshold) == pytest.approx(expected)
    assert null.threshold(0.1) > null.threshold(10.0)


def test_peaks_of_a_part_stand_for_as_many_more_in_the_whole():
    scores = 0.03 * np.sqrt(2 * np.log(5000 / np.arange(1, 2001)))
    whole, half = Null.of_peaks(scores, 0.03), Null.of_peaks(scores, 0.03, share=0.5)
    assert half.decay == whole.decay
    assert half.expected_above(4.0) == pytest.approx(2 * whole.expected_above(4.0))
    assert half.threshold(2.0) == pytest.approx(whole.threshold(1.0))


def test_where_nothing_can_be_measured_as_many_are_expected_as_independent_trials_give():
    null = Null.of_normal_noise(0.1, 1e6)
    assert null.threshold(1.0) == pytest.approx(np.sqrt(2 * np.log(1e6)))
    assert null.expected_above(null.threshold(7.0)) == pytest.approx(7.0)
    # The tail of the normal distribution lies below.
    assert 1e6 * 0.5 * erfc(5.0 / np.sqrt(2)) < null.expected_above(5.0)


def test_the_angular_step_moves_the_rim_by_the_resolution():
    assert crowther_step_deg(20.0, 300.0) == pytest.approx(3.82, abs=0.01)
    assert crowther_step_deg(1.0, 1000.0) == 2.0


def hits_at(places, scores):
    return Hits(np.asarray(places), np.broadcast_to(np.eye(3), (len(scores), 3, 3)), np.asarray(scores, np.float64))


@pytest.mark.parametrize(("gain", "says"), [(0.02, "as the template"), (-0.02, "mirrored"), (0.0, "undecided")])
def test_the_hand_is_believed_when_one_mirror_image_fits_better_everywhere(gain, says):
    rng = np.random.default_rng(4)
    places = rng.integers(0, 500, (30, 3))
    own = rng.normal(0.3, 0.02, 30)
    null = Null(sd=0.03, level=10.0, decay=1.0, beyond=50)
    mirrored = hits_at(places[::-1], (own - gain + rng.normal(0, 0.01, 30))[::-1])
    hand = compare_hands(hits_at(places, own), mirrored, null, 4.0)
    assert hand["says"] == says
    assert hand["particles"] == 30


def test_the_hand_of_nothing_is_undecided():
    null = Null(sd=0.03, level=10.0, decay=1.0, beyond=50)
    nothing, one = hits_at(np.zeros((0, 3), np.int64), []), hits_at([[0, 0, 0], [90, 90, 90]], [0.3, 0.3])
    assert compare_hands(nothing, one, null, 4.0)["says"] == "undecided"
    assert compare_hands(one, nothing, null, 4.0)["says"] == "undecided"
    assert compare_hands(one, hits_at([[40, 40, 40]], [0.3]), null, 4.0)["says"] == "undecided"


def test_parameters_that_contradict_are_refused():
    with pytest.raises(ParamError, match="point group"):
        MatchParams(symmetry="Q7")
    with pytest.raises(ParamError, match="wedge_deg"):
        MatchParams(wedge_deg=(60.0, -60.0))


def test_a_cancel_stops_threads_and_what_a_task_raises_comes_out():
    gauge, done = Gauge(), []

    def task(index, stop):
        done.append(index)
        if index == 5:
            gauge.cancel()
        stop.wait(0.01)

    with pytest.raises(Cancelled):
        each_in_threads(task, 10_000, gauge, "Working", threads=2)
    assert len(done) < 200
    assert threading.active_count() < 20

    def broken(index, stop):
        raise DataError("no such thing")

    with pytest.raises(DataError, match="no such thing"):
        each_in_threads(broken, 3, silent, "Working", threads=2)
