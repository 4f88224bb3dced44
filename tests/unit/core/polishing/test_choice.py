"""Fits of hand-drawn maps: what was put in comes out, and nothing that was not."""

import numpy as np
import pytest

from napari_tomoflow.core.polishing.choice import choose
from napari_tomoflow.core.polishing.fit import _Packing, fitted
from unit.core.polishing.peaks import geometry, sight


def truth(known, *parts, seed=7):
    """Offsets of some parts with random parameters of some strength: float64[T, 2, P]."""
    rng = np.random.default_rng(seed)
    blocks = [known.block(part, strength) for part, strength in parts]
    return sum(block.offsets(rng.normal(size=block.shape)) for block in blocks)


def share_found(known, offsets, found):
    return 1.0 - np.mean((offsets - found) ** 2) / np.mean(offsets**2)


def test_slopes_of_the_posterior_are_those_of_its_values():
    known = geometry(count=6, n_tilts=5)
    seen = sight(truth(known, ("bending", 3.0)))
    blocks = [known.block("particles", 2.0), known.block("shifts", 2.0), known.block("bending", 4.0)]
    packing = _Packing(seen, blocks, np.ones((4, 6)), np.zeros((4, 2, 6)))
    rng = np.random.default_rng(1)
    at = rng.normal(size=packing.ends[-1])
    for way in rng.normal(size=(5, len(at))):
        step = 0.02 * way / np.linalg.norm(way)
        difference = packing.loss(at + step)[0] - packing.loss(at - step)[0]
        assert difference == pytest.approx(2 * packing.loss(at)[1] @ step, rel=0.02, abs=1e-3)


def test_a_fit_finds_what_moved_the_images():
    known = geometry()
    parts = (("particles", 2.0), ("shifts", 4.0), ("bending", 4.0))
    offsets = truth(known, *parts)
    found = fitted(sight(offsets), [known.block(*one) for one in parts])
    assert share_found(known, offsets, found.offsets_ang) > 0.98


def test_images_that_do_not_count_do_not_matter():
    known = geometry(count=30)
    offsets = truth(known, ("shifts", 4.0))
    wrong = offsets.copy()
    wrong[:, :, 20:] = 15.0
    counted = np.ones((len(known.tilts), 30))
    counted[:, 20:] = 0.0
    found = fitted(sight(wrong), [known.block("shifts", 4.0)], counted)
    assert share_found(known, offsets, found.offsets_ang) > 0.98


@pytest.mark.parametrize("part", ["shifts", "bending"])
def test_a_part_that_was_there_is_accepted_and_found(part):
    known = geometry()
    offsets = truth(known, (part, 4.0))
    chosen = choose(sight(offsets), known, 4, 1)
    assert chosen.record[part]["accepted"]
    alignment, centers = known.refined(chosen.terms)
    before, after = (
        one.project(places)[0][known.tilts].transpose(0, 2, 1)
        for one, places in ((known.alignment, known.centers_ang_zyx), (alignment, centers))
    )
    assert share_found(known, offsets, after - before) > 0.9


def test_all_particles_of_a_small_series_judge_and_enough_of_a_large_one():
    known = geometry(count=30, n_tilts=5)
    chosen = choose(sight(np.zeros((len(known.tilts), 2, 30))), known, 1, 1)
    assert chosen.record["shifts"]["held_out"] == 30
    many = geometry(count=600, n_tilts=3)
    chosen = choose(sight(np.zeros((len(many.tilts), 2, 600))), many, 1, 1)
    assert chosen.record["shifts"]["held_out"] == 180


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_accepted_where_nothing_moved(seed):
    known = geometry(seed=seed)
    chosen = choose(sight(np.zeros((len(known.tilts), 2, 60)), height=8.0, seed=seed), known, 4, seed)
    assert not chosen.terms
    assert not any(one["accepted"] for one in chosen.record.values())
    assert all(one["gain"] < 3 * one["error"] for one in chosen.record.values())


def test_particles_that_lie_elsewhere_are_found_by_tilts_they_were_not_fitted_to():
    known = geometry()
    offsets = truth(known, ("particles", 3.0))
    chosen = choose(sight(offsets), known, 4, 1)
    assert chosen.record["particles"]["accepted"]
    assert chosen.terms[0].part == "particles"


def test_few_particles_are_not_believed():
    known = geometry(count=8)
    chosen = choose(sight(truth(known, ("shifts", 8.0)), height=40.0), known, 10, 1)
    assert not chosen.terms
