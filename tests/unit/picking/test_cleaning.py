"""Which particles stay."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.picking.cleaning import apart, count_neighbours, good_enough, inside_volume, on_side

ROW = np.column_stack([np.zeros((6, 2)), [0.0, 4.0, 10.0, 14.0, 20.0, 50.0]])


def test_the_best_of_those_too_close_stays():
    score = np.array([0.1, 0.9, 0.5, np.nan, 0.3, np.nan])
    assert apart(ROW, 5.0, score).tolist() == [False, True, True, False, True, True]


def test_without_scores_the_first_stays():
    assert apart(ROW, 5.0, np.full(6, np.nan)).tolist() == [True, False, True, False, True, True]


def test_exactly_the_distance_apart_is_far_enough():
    assert apart(ROW[[0, 2, 4]], 10.0, np.zeros(3)).all()


def test_a_hexagonal_lattice_has_six_neighbours_inside():
    i, j = np.divmod(np.arange(49), 7)
    centers = 80.0 * np.column_stack([0.0 * i, np.sqrt(0.75) * i, j + 0.5 * (i % 2)])
    up = np.tile([1.0, 0, 0], (49, 1))
    inside = (i > 0) & (i < 6) & (j > 0) & (j < 6)
    assert np.all(count_neighbours(centers, up, 80.0)[inside] == 6)
    # Those at the second distance, 139 Å, do not count, nor do those that look elsewhere.
    assert np.all(count_neighbours(centers, up, 30.0) == 0)
    up[i == 3] = [0.0, 0.0, 1.0]
    alone = count_neighbours(centers, up, 80.0, angle_deg=20.0)
    assert np.all(alone[inside & (i == 3)] == 2)
    assert np.all(alone[inside & (i == 2)] == 4)


def test_a_weak_score_goes_and_an_unknown_one_too():
    assert good_enough(np.array([0.2, np.nan, 0.5]), 0.3).tolist() == [False, False, True]
    with pytest.raises(DataError, match=r"None of 2 particles has a score to compare with 0\.3; leave min_score out"):
        good_enough(np.array([np.nan, np.nan]), 0.3)


def ring():
    """Mark a tube around z: its caps are missing, as the wedge hides them."""
    _, y, x = np.mgrid[:9, -12:12, -12:12]
    return np.abs(np.hypot(y, x) - 8.0) < 1.0


def test_inside_is_what_a_membrane_surrounds_in_its_own_section():
    centers = 10.0 * np.array([[0.0, 0, 0], [0, 0, 8], [0, 0, 11], [3, 2, 2], [0, 0, 500]])
    assert on_side(centers, ring(), 10.0, "inside").tolist() == [True, False, False, True, False]
    assert on_side(centers, ring(), 10.0, "outside").tolist() == [False, False, True, False, True]


def test_an_open_membrane_has_no_inside():
    sheet = np.zeros((5, 8, 8), bool)
    sheet[:, 4] = True
    with pytest.raises(DataError, match="surround nothing in any section; close their outlines"):
        on_side(np.zeros((1, 3)), sheet, 10.0, "inside")


def test_particles_beyond_the_volume_or_in_its_margin_go():
    centers = np.array([[0.0, 0, 0], [0, 0, 40], [0, 0, 45], [0, 0, -50], [0, 0, 60]])
    assert inside_volume(centers, (10, 10, 10), 10.0, 0.0).tolist() == [True, True, False, True, False]
    assert inside_volume(centers, (10, 10, 10), 10.0, 10.0).tolist() == [True, False, False, False, False]


def test_nothing_in_nothing_out():
    empty = np.zeros((0, 3))
    assert len(apart(empty, 5.0, np.zeros(0))) == 0
    assert len(count_neighbours(empty, empty, 5.0)) == 0
