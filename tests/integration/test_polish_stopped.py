"""Polishing stopped between two rounds: the same call goes on from the last finished one, and ends at the same bits."""

from functools import cache

import numpy as np
import pytest

from napari_tomoflow.core.errors import Cancelled
from napari_tomoflow.core.stages.polish import PolishParams, polish
from napari_tomoflow.project.services import FolderSteps
from truth.deformed_scene import SPECIES, SceneParams, make_scene

PARAMS = {
    "regularised": PolishParams(rounds=2, folds=10, poses=True),
    "subtilt": PolishParams(mode="subtilt", rounds=2),
}


@cache
def ensemble():
    """Two series, little seen of each, whose tilts are off, which are bent and whose particles move by themselves."""
    scene = SceneParams(count=40, n_series=2, pixel_ang=8.0, n_tilts=9, bend_ang=8.0, shift_sd_ang=6.0, drift_ang=8.0)
    return make_scene(scene).ensemble


class StopsAfter(FolderSteps):
    """Is cancelled when so many steps were kept."""

    def __init__(self, folder, count):
        super().__init__(folder)
        self.left = count

    def save(self, name, arrays):
        super().save(name, arrays)
        self.left -= 1
        if not self.left:
            raise Cancelled("stopped")


def said(params, steps):
    """Polish, and tell what was done on the way."""
    doing = []
    made = polish(ensemble(), params=params, steps=steps, report=lambda done, total, words: doing.append(words))
    return made, doing


def assert_same(one, other):
    ours, theirs = one.averages[SPECIES], other.averages[SPECIES]
    np.testing.assert_array_equal(ours.map.volume, theirs.map.volume)
    np.testing.assert_array_equal(ours.map.halves, theirs.map.halves)
    np.testing.assert_array_equal(ours.particles.centers_ang_zyx, theirs.particles.centers_ang_zyx)
    np.testing.assert_array_equal(ours.particles.quaternions_xyzw, theirs.particles.quaternions_xyzw)
    np.testing.assert_array_equal(ours.particles.known_paths_ang_zyx, theirs.particles.known_paths_ang_zyx)
    points = np.array([[100.0, 300.0, -200.0], [0.0, -500.0, 400.0]])
    for name, alignment in one.alignments.items():
        np.testing.assert_array_equal(alignment.project(points)[0], other.alignments[name].project(points)[0])
    if one.subtilts is not None:
        for name in ("shift_ang_yx", "quaternions_xyzw", "weight", "score"):
            np.testing.assert_array_equal(getattr(one.subtilts, name), getattr(other.subtilts, name), err_msg=name)


@pytest.mark.parametrize(("mode", "kept"), [("regularised", 2), ("subtilt", 1)])
def test_what_was_stopped_after_a_round_goes_on_and_ends_at_the_same_bits(tmp_path, mode, kept):
    straight, everything = said(PARAMS[mode], FolderSteps(tmp_path / "straight"))
    with pytest.raises(Cancelled):
        said(PARAMS[mode], StopsAfter(tmp_path / "stopped", kept))
    resumed, rest = said(PARAMS[mode], FolderSteps(tmp_path / "stopped"))
    assert_same(straight, resumed)
    assert straight.averages[SPECIES].particles.known_paths_ang_zyx.any() == (mode == "regularised")
    assert straight.quality["species"] == resumed.quality["species"]
    assert len(rest) < 0.7 * len(everything), "the first round is not done again"
