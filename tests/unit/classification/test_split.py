"""Splits are named by size, lose classes that have next to nobody, and are compared whatever their names."""

import numpy as np
import pytest

from napari_tomoflow.core.classification.split import Split, largest_first, stability


def split_of(numbers, count):
    return Split(np.eye(count)[np.asarray(numbers)], 0.0)


def test_the_largest_class_is_the_first():
    named = largest_first(split_of([0, 1, 1, 1, 2, 2] * 4, 3), 4)
    assert named.counts.tolist() == [12, 8, 4]
    assert named.class_of[:6].tolist() == [2, 0, 0, 0, 1, 1]


def test_particles_of_a_class_that_is_too_small_go_where_they_fit_best():
    shares = np.array([[0.9, 0.1, 0.0]] * 5 + [[0.2, 0.8, 0.0]] * 4 + [[0.1, 0.2, 0.7], [0.2, 0.1, 0.7]])
    named = largest_first(Split(shares, 0.0), 4)
    assert named.counts.tolist() == [6, 5]
    assert named.class_of[-2:].tolist() == [1, 0]
    np.testing.assert_allclose(named.shares.sum(axis=1), 1.0)


def test_empty_classes_vanish_and_one_is_always_left():
    assert largest_first(split_of([1] * 9, 5), 4).counts.tolist() == [9]
    lonely = largest_first(split_of([0, 1, 2], 3), 4)
    assert lonely.counts.tolist() == [3]


def test_repeats_agree_whatever_their_classes_are_called():
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 3, 60)
    renamed = split_of(np.array([2, 0, 1])[numbers], 3)
    mixed = np.where(np.arange(60) < 6, (numbers + 1) % 3, numbers)
    found = stability(split_of(numbers, 3), [renamed, split_of(mixed, 3)])
    assert found.agreement == (1.0, 0.9)
    assert found.rand_index[0] == 1.0
    np.testing.assert_allclose(found.confusion.sum(axis=1), 1.0)
    assert np.diag(found.confusion).min() > 0.85


def test_repeats_that_found_fewer_classes_are_compared_too():
    found = stability(split_of([0, 0, 1, 1, 2, 2], 3), [split_of([0, 0, 1, 1, 1, 1], 2)])
    assert found.agreement == (pytest.approx(4 / 6),)
    assert found.confusion.shape == (3, 3)
