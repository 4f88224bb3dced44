"""Which kind of landmarks an alignment rests on, judged by the errors they expect and by how far they lie apart."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.alignment.bundle import solve_bundle
from napari_tomoflow.core.alignment.bundle_model import Observations
from napari_tomoflow.core.alignment.expected import difference_ang
from napari_tomoflow.core.alignment.landmark_course import LandmarkChoice
from napari_tomoflow.core.alignment.tracked import tracked
from napari_tomoflow.core.alignment.trial import Trial
from unit.alignment.beads import bead_alignment, bead_points

SIZE_ANG = (300.0, 1500.0, 1500.0)


def images_alone():
    truth = bead_alignment()
    wrong = np.random.default_rng(3).normal(0, 40.0, (truth.n_tilts, 2))
    return truth.replace(shift_ang_yx=truth.shift_ang_yx + wrong, residual_ang=np.array(20.0))


def followed(kind, n_points, noise_ang, seed=0, bias_ang=0.0):
    """Landmarks measured with some noise, and off by as much more as all of them share."""
    truth, rng = bead_alignment(), np.random.default_rng(seed)
    tilt, point = (index.ravel() for index in np.indices((truth.n_tilts, n_points)))
    seen = truth.project(bead_points(n_beads=n_points))[0][tilt, point] + rng.normal(0, noise_ang, (len(tilt), 2))
    seen += rng.normal(0, bias_ang, (truth.n_tilts, 2))[tilt]
    observations = Observations(tilt, point, seen)
    return tracked(kind, observations, solve_bundle(observations, images_alone()), images_alone(), 100.0)


def trial():
    return Trial(images_alone(), 0.5, SIZE_ANG)


@pytest.mark.parametrize(
    ("kind", "n_points", "enough"), [("gold", 8, True), ("feature", 40, True), ("feature", 12, False)]
)
def test_few_features_are_not_enough(kind, n_points, enough):
    heard = trial()
    heard.hear(kind, followed(kind, n_points, 5.0))
    assert heard.has_enough == enough


def test_of_few_features_and_patches_the_one_with_the_smaller_error_is_taken():
    heard = trial()
    heard.hear("features", followed("feature", 12, 12.0, seed=1))
    heard.hear("patches", followed("patch", 12, 4.0, seed=2))
    best, declined = heard.verdict()
    assert best.name == "patches"
    assert list(declined) == ["features"]
    assert f"with patches {best.error_ang:.1f} Å" in declined["features"]


def test_two_alignments_that_contradict_each_other_expect_more_and_patches_are_believed():
    features, patches = followed("feature", 12, 4.0, seed=1), followed("patch", 12, 6.0, seed=2, bias_ang=15.0)
    alone = trial()
    alone.hear("features", features)
    expected_alone_ang = alone.verdict()[0].error_ang
    both = trial()
    both.hear("features", features)
    both.hear("patches", patches)
    best, declined = both.verdict()
    apart_ang = difference_ang(features.alignment, patches.alignment, SIZE_ANG)
    assert best.name == "patches"
    assert "contradict" in declined["features"]
    assert best.error_ang > 2.0 * expected_alone_ang
    assert 0.5 * apart_ang < best.error_ang <= apart_ang


def test_landmarks_whose_last_step_was_as_long_as_images_are_wrong_are_declined():
    found = followed("patch", 12, 4.0)
    astray = found.alignment.replace(shift_ang_yx=found.alignment.shift_ang_yx[::-1])
    heard = trial()
    heard.hear("patches", replace(found, before=astray))
    heard.hear("features", None)
    best, declined = heard.verdict()
    assert best is None
    assert "without them" in declined["patches"]
    assert "not enough" in declined["features"]


@pytest.mark.parametrize(("n_points", "declined", "warned"), [(12, True, True), (12, False, False), (40, True, False)])
def test_few_features_that_no_patches_confirm_are_warned_of(n_points, declined, warned):
    features = followed("feature", n_points, 4.0)
    heard = trial()
    heard.hear("features", features)
    heard.hear("patches", None if declined else followed("patch", 12, 12.0, seed=2))
    best, others = heard.verdict()
    choice = LandmarkChoice(best.found.alignment, best.found, others, best.error_ang, 0.1)
    assert best.name == "features"
    assert any("no patches show" in sentence for sentence in choice.warnings(10.0)) == warned
