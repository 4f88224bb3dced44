"""Scores are freed of what is no merit of the particle, and cut where they fall into two."""

import numpy as np
import pytest

from contracts.samples import inputs_of
from napari_tomoflow.core.classification.scores import conditions_of, corrected_scores, split_by_score
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.stages.classify import CLASSIFY


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def two_kinds(rng, count=400, bad_share=0.3):
    """Scores of good and bad particles that rise with defocus and fall with height by more than they differ."""
    bad = rng.random(count) < bad_share
    conditions = {"defocus_um": rng.uniform(2, 5, count), "height_ang": rng.normal(0, 300, count)}
    own = np.where(bad, 0.10, 0.16) + rng.normal(0, 0.01, count)
    return own + 0.05 * conditions["defocus_um"] - 1e-4 * conditions["height_ang"], conditions, bad


def test_conditions_are_taken_off_scores(rng):
    score, conditions, bad = two_kinds(rng)
    corrected, slopes = corrected_scores(score, conditions)
    for column in conditions.values():
        assert abs(np.corrcoef(corrected[~bad], column[~bad])[0, 1]) < 0.15
    assert slopes["defocus_um"] == pytest.approx(0.05 * conditions["defocus_um"].std(), rel=0.1)


def test_bad_particles_are_cut_off_in_the_valley_between_two_peaks(rng):
    score, conditions, bad = two_kinds(rng)
    split = split_by_score(score, conditions, None, 1)
    assert split.record["bimodal"]
    assert split.record["threshold_by"] == "two peaks"
    found = split.class_of == 1
    assert (found[bad].mean() + (~found[~bad]).mean()) / 2 > 0.97
    uncorrected = split_by_score(score, {}, None, 1).class_of == 1
    assert (uncorrected[bad].mean() + (~uncorrected[~bad]).mean()) / 2 < 0.9


def test_scores_with_one_peak_lose_their_lowest_only(rng):
    score = rng.normal(0.15, 0.02, 500)
    split = split_by_score(score, {}, None, 1)
    assert not split.record["bimodal"]
    assert split.counts.tolist() == [475, 25]
    assert score[split.class_of == 1].max() < score[split.class_of == 0].min()
    assert split_by_score(score, {}, 0.8, 1).counts.tolist() == [400, 100]


def test_particles_without_scores_are_refused():
    with pytest.raises(DataError, match="3 of 5 particles have no score"):
        split_by_score(np.array([0.1, 0.2, np.nan, np.nan, np.nan]), {}, None, 1)
    with pytest.raises(DataError, match="the same score"):
        split_by_score(np.full(5, 0.1), {}, None, 1)


def test_conditions_are_read_from_the_data():
    dataset = inputs_of(CLASSIFY)["dataset"]
    conditions = conditions_of(dataset)
    z = dataset.particles.centers_ang_zyx[:, 0]
    np.testing.assert_allclose(conditions["height_ang"], z)
    np.testing.assert_allclose(conditions["defocus_um"], (3.0e4 - z) / 1e4)
    assert set(conditions["n_tilts"]) <= set(range(22))
    assert "in TS" not in conditions
