"""Paths of single particles, fitted to hand-drawn maps: found where there are some, and not where there are none."""

import numpy as np
import pytest

from napari_tomoflow.core.model.paths import path_weights
from napari_tomoflow.core.polishing.choice import choose
from napari_tomoflow.core.polishing.paths import Paths, Prior, judges
from unit.core.polishing.peaks import geometry, sight


def seen(known, paths_ang_zyx):
    """How paths move the images of particles: float64[T, 2, P]."""
    moved = np.einsum("nk,pka->npa", path_weights(known.series), paths_ang_zyx)
    places = (known.alignment.project(known.centers_ang_zyx, each)[0] for each in (moved, 0 * moved))
    after, before = (one[known.tilts] for one in places)
    return (after - before).transpose(0, 2, 1)


def drawn(known, prior, seed=5):
    """Paths as a prior expects them, and what they do to the images."""
    paths = Paths(known, np.ones(len(known.tilts)))
    block = paths.block(prior)
    values = np.random.default_rng(seed).normal(size=block.shape)
    return paths.nodes_ang_zyx(prior, values), block.offsets(values)


@pytest.mark.parametrize("alike_ang", [0.0, 800.0])
def test_paths_are_what_their_parameters_do_to_images(alike_ang):
    known = geometry(count=12)
    nodes_ang_zyx, offsets = drawn(known, Prior(4.0, alike_ang))
    assert np.abs(offsets).max() > 4.0
    np.testing.assert_allclose(seen(known, nodes_ang_zyx), offsets, atol=1e-9)
    # On average over the tilts they lie where their places have them.
    in_use = path_weights(known.series)[known.tilts] @ nodes_ang_zyx
    np.testing.assert_allclose(in_use.mean(axis=1), 0, atol=1e-9)


def test_paths_vary_as_much_as_expected_and_are_alike_between_neighbours():
    known = geometry(count=40)
    near = np.linalg.norm(known.centers_ang_zyx[:, None] - known.centers_ang_zyx, axis=-1)
    products = [np.zeros((40, 40)) for _ in range(2)]
    for which, alike_ang in enumerate((0.0, 800.0)):
        for seed in range(200):
            start = drawn(known, Prior(3.0, alike_ang), seed)[0][:, 0]
            products[which] += start @ start.T / 600
    alone, together = products
    np.testing.assert_allclose(np.diag(together).mean(), np.diag(alone).mean(), rtol=0.1)
    correlation = together / np.diag(together).mean()
    assert np.corrcoef(correlation.ravel(), np.exp(-near / 800.0).ravel())[0, 1] > 0.9
    assert np.abs(alone[near > 0]).mean() < 0.1 * np.diag(alone).mean()


@pytest.mark.parametrize("alike_ang", [0.0, 800.0])
def test_paths_that_are_there_are_accepted_and_found(alike_ang):
    known = geometry()
    _, offsets = drawn(known, Prior(4.0, alike_ang))
    chosen = choose(sight(offsets), known, 4, 1, paths=True)
    assert chosen.record["paths"]["accepted"]
    alignment, centers = known.refined(chosen.terms)
    shared = (alignment.project(centers)[0] - known.alignment.project(known.centers_ang_zyx)[0])[known.tilts]
    left = offsets - shared.transpose(0, 2, 1) - seen(known, chosen.paths_ang_zyx)
    assert np.mean(left**2) < 0.1 * np.mean(offsets**2)


@pytest.mark.parametrize("seed", range(3))
def test_no_path_is_accepted_where_nothing_moved(seed):
    known = geometry(seed=seed)
    chosen = choose(sight(np.zeros((len(known.tilts), 2, 60)), height=8.0, seed=seed), known, 4, seed, paths=True)
    assert not chosen.terms
    assert not chosen.record["paths"]["accepted"]
    assert not chosen.paths_ang_zyx.any()


def test_paths_are_not_looked_for_unasked():
    known = geometry(count=30)
    _, offsets = drawn(known, Prior(6.0, 0.0))
    chosen = choose(sight(offsets), known, 4, 1)
    assert "paths" not in chosen.record
    assert not chosen.paths_ang_zyx.any()


def test_neighbours_judge_where_there_are_many():
    known = geometry(count=600, n_tilts=3)
    centers, some = known.centers_ang_zyx, judges(known, 1)
    assert len(some) == len(set(some.tolist())) == 200
    assert np.array_equal(judges(geometry(count=30), 1), np.arange(30))
    among = np.ptp(centers[some], axis=0)[1:]
    assert np.all(among < 0.8 * np.ptp(centers, axis=0)[1:])
