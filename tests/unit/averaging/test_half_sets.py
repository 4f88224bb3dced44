"""Halves: even, kept where given, and never parted among neighbours."""

import numpy as np

from napari_tomoflow.core.averaging.half_sets import half_sets
from napari_tomoflow.core.model import ParticleSet


def scattered(count, seed=0):
    return np.random.default_rng(seed).uniform(-5000, 5000, (count, 3))


def test_halves_that_particles_have_are_kept():
    given = np.array([2, 1, 1, 2])
    assert half_sets(ParticleSet(centers_ang_zyx=scattered(4), half=given), 100.0).tolist() == given.tolist()


def test_particles_far_apart_are_dealt_out_in_turn():
    centers = np.arange(10)[:, None] * [0.0, 0.0, 1000.0]
    assert half_sets(ParticleSet(centers_ang_zyx=centers), 300.0).tolist() == [1, 2] * 5


def test_neighbours_share_a_half_across_chains_but_not_across_tomograms():
    pairs = np.repeat(scattered(20), 2, axis=0) + np.tile([[0.0, 0, 0], [0, 0, 150.0]], (20, 1))
    half = half_sets(ParticleSet(centers_ang_zyx=pairs), 200.0)
    assert (half[::2] == half[1::2]).all()
    assert sorted(np.bincount(half)[1:]) == [20, 20]
    apart = np.array(["a", "b"] * 20)
    assert (half_sets(ParticleSet(centers_ang_zyx=pairs, tomogram=apart), 200.0) != half).any()


def test_a_crowd_is_cut_where_its_neighbours_are_furthest():
    """A row of pairs: chains join all, so that only pairs stay together."""
    centers = np.array([[0.0, 0.0, 400.0 * pair + 100.0 * one] for pair in range(12) for one in range(2)])
    half = half_sets(ParticleSet(centers_ang_zyx=centers), 350.0)
    assert (half[::2] == half[1::2]).all()
    assert np.bincount(half)[1:].tolist() == [12, 12]
