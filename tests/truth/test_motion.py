"""The motion stage against movies whose motion, gain and defects are known."""

import numpy as np
import pytest

from napari_tomoflow.core.motion import spectra
from napari_tomoflow.core.motion.gain import ORIENTATIONS
from napari_tomoflow.core.motion.local import LocalMotion
from napari_tomoflow.core.stages.motion import MotionParams, motion
from napari_tomoflow.io.mrc import open_mrc
from truth.movies import bending_movie, drift, moved, movie, movies, off_px, specimen

BACK = {
    "as-is": "as-is", "turned-90": "turned-270", "turned-180": "turned-180", "turned-270": "turned-90",
    "flipped-x": "flipped-x", "flipped-y": "flipped-y", "transposed": "transposed",
    "antitransposed": "antitransposed",
}  # fmt: skip
"""Which orientation undoes which."""


@pytest.fixture(scope="module")
def recorded(shared_data):
    """Open the simulated movie and its path, px (y, x)."""
    folder = shared_data("sim_movie")
    path = np.loadtxt(folder / "truth" / "frame_shifts_px.txt")[:, [2, 1]]
    return open_mrc(folder / "movie_images.mrc"), path


def uneven_gain(rng, shape_yx, sd=0.1):
    """Draw a gain of single pixels and of blocks, as the chips of a detector have it."""
    gain = rng.normal(1.0, sd, shape_yx)
    gain[: shape_yx[0] // 2] *= 1.05
    return np.clip(gain, 0.3, 2.0).astype(np.float32)


def with_marks(frames, gain, rng, n_hot=60):
    """Record frames through a detector: divided by its gain, with hot and dead pixels."""
    marked = frames / gain
    hot = rng.permutation(gain.size)[:n_hot]
    rows, columns = np.unravel_index(hot, gain.shape)
    marked[:, rows, columns] = 40 * frames.mean()
    marked[:, rows[::3], columns[::3]] = 0
    return marked.astype(np.float32)


def test_the_drift_of_a_simulated_movie_is_found_to_a_third_of_a_pixel(recorded):
    frames, path = recorded
    assert off_px(motion(movies(frames, dose_of_tilt_e_ang2=24.0)), 0, path) <= 0.2


@pytest.mark.parametrize("turned", ORIENTATIONS)
def test_gain_error_and_hot_pixels_change_nothing_however_the_gain_is_turned(recorded, turned):
    frames, path = recorded
    rng = np.random.default_rng(7)
    gain = uneven_gain(rng, frames.shape[1:])
    marked = with_marks(np.asarray(frames[:], np.float32), gain, rng)
    given = ORIENTATIONS[turned](gain)
    series = motion(movies(marked, gain=given, dose_of_tilt_e_ang2=24.0))
    assert series.quality["gain"]["orientation"] == BACK[turned]
    assert series.quality["gain"]["use"] == "multiplied"
    assert off_px(series, 0, path) <= 0.2
    assert np.abs(series.images[0] / series.images[0].mean() - 1).max() < 1.5, "a hot pixel was left"


def test_a_gain_the_wrong_way_round_spoils_the_path(recorded):
    frames, path = recorded
    rng = np.random.default_rng(7)
    gain = uneven_gain(rng, frames.shape[1:], sd=0.3)
    marked = with_marks(np.asarray(frames[:], np.float32), gain, rng, n_hot=2000)
    params = MotionParams(gain_orientation="flipped-x", hot_pixel_sd=0)
    assert off_px(motion(movies(marked, gain=gain, dose_of_tilt_e_ang2=24.0), params), 0, path) > 1.0


def test_a_pattern_that_no_gain_takes_away_is_warned_of_and_one_that_is_taken_away_is_not():
    rng = np.random.default_rng(12)
    gain = uneven_gain(rng, (256, 288))
    stacks = [movie(rng)[0] / gain for _ in range(4)]
    left, taken = motion(movies(*stacks)), motion(movies(*stacks, gain=gain))
    assert left.quality["fixed_pattern"] == pytest.approx(0.1, rel=0.15)
    assert "share a fixed pattern of 10%" in " ".join(left.quality["warnings"])
    assert taken.quality["fixed_pattern"] < 0.02
    assert taken.quality["warnings"] == []


@pytest.mark.parametrize("seed", range(4))
def test_paths_of_faint_tilts_are_found(seed):
    rng = np.random.default_rng(seed)
    frames, path = movie(rng, counts=1.0)
    assert off_px(motion(movies(frames)), 0, path) <= 0.3


def test_tilts_with_different_numbers_of_frames_go_together():
    rng = np.random.default_rng(3)
    made = [movie(rng, n_frames=n, counts=2.0) for n in (6, 9, 1, 2)]
    series = motion(movies(*(frames for frames, _ in made)), MotionParams(hot_pixel_sd=0))
    assert [row["frames"] for row in series.quality["tilts"]] == [6, 9, 1, 2]
    for tilt in (0, 1, 3):
        assert off_px(series, tilt, made[tilt][1]) <= 0.35
    np.testing.assert_allclose(series.images[2], made[2][0][0], atol=1e-3)
    assert not series.halves[1][2].any()


def test_the_noise_of_odd_and_even_sums_is_independent():
    rng = np.random.default_rng(5)
    shape = (384, 384)
    frames, _ = movie(rng, shape, counts=2.0, contrast=0.0)
    gain = uneven_gain(rng, shape)
    series = motion(movies(with_marks(frames, gain, rng), gain=gain))
    odd, even = (half[0] - half[0].mean() for half in series.halves)
    assert abs(np.mean(odd * even) / (odd.std() * even.std())) <= 0.02


def test_the_halves_add_up_to_the_sum_and_the_sum_is_sharper_than_the_frames_as_they_came():
    rng = np.random.default_rng(6)
    path = drift(rng, 8, first_px=8.0)
    image = specimen(rng, (256, 256))
    frames = np.stack([rng.poisson(2.0 * np.maximum(moved(image, step), 0)) for step in path]).astype(np.float32)
    series = motion(movies(frames))
    np.testing.assert_allclose(series.halves[0][0] + series.halves[1][0], series.images[0], atol=1e-3)
    still = moved(image, path.mean(axis=0))

    def likeness(sum_yx):
        return np.corrcoef(sum_yx.ravel(), still.ravel())[0, 1]

    best = likeness(sum(moved(frame, path.mean(axis=0) - step) for frame, step in zip(frames, path, strict=True)))
    assert likeness(series.images[0]) > 0.99 * best
    assert likeness(frames.sum(axis=0)) < 0.9 * best


SHOWN = np.stack(np.meshgrid(*[(np.arange(5) + 0.5) / 5 - 0.5] * 2, indexing="ij"), axis=-1)


def locally_off_px(series, moves_px):
    """Return by how much the motion found is off at each of 5 × 5 places and each frame, px."""
    row = series.quality["tilts"][0]
    local = LocalMotion(np.array(row["local"]["terms_ang"]))
    n, *size_yx = moves_px.shape[:3]
    y, x = np.moveaxis(((SHOWN + 0.5) * size_yx).astype(int), -1, 0)
    found = np.stack([local.at_ang(SHOWN, frame, n) for frame in range(n)])
    off = (found + np.array(row["shift_ang_yx"])[:, None, None]) / series.pixel_ang - moves_px[:, y, x]
    return np.linalg.norm(off - off.mean(axis=0), axis=-1)


@pytest.mark.parametrize("seed", range(3))
def test_motion_that_bends_the_specimen_is_found_and_taken_out(seed):
    frames, moves = bending_movie(np.random.default_rng(seed))
    whole, bent = (motion(movies(frames), MotionParams(patches=patches)) for patches in (1, 4))
    assert bent.quality["tilts"][0]["local"]["kept"]
    assert bent.quality["local_tilts"] == 1
    off = locally_off_px(bent, moves)
    assert np.sqrt((off**2).mean()) <= 0.25
    assert off.max() <= 0.5
    straight, curved = (np.corrcoef(*(np.ravel(half[0]) for half in one.halves))[0, 1] for one in (whole, bent))
    assert curved > straight
    assert bent.images[0].mean() == pytest.approx(frames.sum(axis=0).mean(), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_motion_of_whole_frames_alone_is_not_taken_for_bending(seed):
    frames, _ = bending_movie(np.random.default_rng(seed), bend_px=0.0)
    whole, looked_at = (motion(movies(frames), MotionParams(patches=patches)) for patches in (1, 4))
    local = looked_at.quality["tilts"][0]["local"]
    assert not local["kept"]
    assert local["motion_ang"] == 0.0
    np.testing.assert_array_equal(looked_at.images[0], whole.images[0])


def test_bending_is_not_looked_for_where_too_few_frames_could_judge_it():
    frames, _ = bending_movie(np.random.default_rng(0), n_frames=3)
    assert motion(movies(frames), MotionParams(patches=4)).quality["tilts"][0]["local"] is None


def test_movies_whose_transforms_do_not_fit_are_summed_alike(monkeypatch):
    rng = np.random.default_rng(10)
    series = movies(movie(rng)[0], gain=uneven_gain(rng, (256, 288)))
    kept = motion(series)
    monkeypatch.setattr(spectra, "_KEPT_BYTES", 0)
    again = motion(series)
    np.testing.assert_allclose(again.images[0], kept.images[0], rtol=1e-4, atol=1e-3)
    paths = [one.quality["tilts"][0]["shift_ang_yx"] for one in (kept, again)]
    np.testing.assert_allclose(*paths, atol=1e-2)


def test_grouped_frames_follow_a_path_between_the_groups():
    rng = np.random.default_rng(8)
    frames, path = movie(rng, n_frames=40, counts=0.2, path=drift(rng, 40, first_px=0.6, jitter_px=0.0) * 2)
    series = motion(movies(frames))
    assert off_px(series, 0, path) <= 0.5
    assert off_px(motion(movies(frames), MotionParams(group=5)), 0, path) <= 0.5


def test_dose_weights_keep_the_noise_and_favour_early_frames_at_fine_detail():
    rng = np.random.default_rng(9)
    frames = rng.normal(10.0, 1.0, (8, 256, 256)).astype(np.float32)
    frames[-1] += 3 * (-1.0) ** np.add.outer(np.arange(256), np.arange(256))  # the finest checkerboard, late
    series = movies(frames, dose_of_tilt_e_ang2=40.0, kept=np.array([False]))
    plain, weighted = (motion(series, MotionParams(weighting=how)) for how in ("none", "dose"))
    board = (-1.0) ** np.add.outer(np.arange(256), np.arange(256))
    assert np.mean(weighted.images[0] * board) < 0.4 * np.mean(plain.images[0] * board)
    calm = frames - np.array([0] * 7 + [1])[:, None, None] * 3 * board
    weighted = motion(movies(calm, dose_of_tilt_e_ang2=40.0, kept=np.array([False])), MotionParams(weighting="dose"))
    assert weighted.images[0].std() == pytest.approx(8**0.5, rel=0.03)
