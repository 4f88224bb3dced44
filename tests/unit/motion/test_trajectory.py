"""Paths of frames: spikes, smoothing, and going from groups to frames."""

import numpy as np
import pytest

from napari_tomoflow.core.motion.trajectory import smoothed, to_frames, without_spikes

TIME = np.arange(12.0)
PATH = np.stack([6 * (1 - np.exp(-TIME / 3)), -3 * (1 - np.exp(-TIME / 5))], axis=1)


def test_a_frame_that_leaps_is_put_between_its_neighbours_and_no_other_is_touched():
    for place in (0, 4, 11):
        leaping = PATH.copy()
        leaping[place] += (30.0, -20.0)
        mended, spikes = without_spikes(leaping, 1.0)
        assert list(np.flatnonzero(spikes)) == [place]
        assert np.abs(mended[place] - PATH[place]).max() < 1.0
        np.testing.assert_array_equal(np.delete(mended, place, 0), np.delete(PATH, place, 0))


def test_a_fast_start_is_no_leap():
    assert not without_spikes(PATH, 1.0)[1].any()


def test_smoothing_comes_nearer_to_the_truth_and_leaves_a_path_without_noise():
    rng = np.random.default_rng(0)
    before, after = [], []
    for _ in range(40):
        noisy = PATH + rng.normal(0, 0.4, PATH.shape)
        before.append(np.sqrt(np.mean((noisy - PATH) ** 2)))
        after.append(np.sqrt(np.mean((smoothed(noisy) - PATH) ** 2)))
    assert np.mean(after) < 0.85 * np.mean(before)
    assert np.abs(smoothed(PATH) - PATH).max() < 0.1


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_short_paths_are_left_alone(n):
    np.testing.assert_array_equal(smoothed(PATH[:n]), PATH[:n])
    np.testing.assert_array_equal(without_spikes(PATH[:n], 0.01)[0], PATH[:n])


def test_frames_of_a_steady_motion_lie_on_its_line_beyond_the_middles_of_the_groups_too():
    line = np.stack([2.0 * np.arange(11), -np.arange(11.0)], axis=1)
    groups = np.stack([line[k : k + 4].mean(axis=0) for k in (0, 4, 8)])
    np.testing.assert_allclose(to_frames(groups, 4, 11), line, atol=1e-9)
    np.testing.assert_array_equal(to_frames(line, 1, 11), line)
    np.testing.assert_array_equal(to_frames(line[:1], 5, 3), np.zeros((3, 2)))
