"""Laws of picking on shapes: picks turn with their points, keep their distance, and are even."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.spacing import spaced
from napari_tomoflow.core.picking.cleaning import apart
from napari_tomoflow.core.stages.pick import PickParams, pick

SEEDS = st.integers(0, 2**16)
MODELS = ("sphere", "ellipsoid", "closed", "plane", "membrane", "filament", "lattice", "dipole")
CLOSED = MODELS[:3]


def points_of(model, rng):
    """Click a shape of some 60 nm 40 times, 5 Å off; in order along a filament."""
    ways = rng.normal(size=(40, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    along = np.sort(rng.uniform(-1, 1, 40))
    a, b = rng.uniform(-400, 400, (2, 40))
    row, column = np.divmod(np.arange(40), 8)
    shapes = {
        "sphere": 300.0 * ways,
        "ellipsoid": ways * [450.0, 320.0, 230.0],
        "closed": ways * (300.0 + 60.0 * ways[:, :1]),
        "plane": np.column_stack([0.0 * a, a, b]),
        "membrane": np.column_stack([3e-4 * (a**2 + b**2), a, b]),
        "filament": np.column_stack([800.0 * along, 200.0 * along**2, 100.0 * np.sin(3 * along)]),
        "lattice": np.column_stack([0.0 * row, 120.0 * row - 60.0 * column, 104.0 * column]),
        "dipole": 500.0 * ways,
    }
    return shapes[model] + rng.normal(0, 5, (40, 3))


def picked(model, points, spacing_nm=12.0, **more):
    return pick(ParticleSet(centers_ang_zyx=points, **more), params=PickParams(model=model, spacing_nm=spacing_nm))


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=3)
@given(SEEDS)
def test_picks_of_a_turned_and_moved_shape_are_the_turned_and_moved_picks(model, seed):
    rng = np.random.default_rng(seed)
    turn_xyz = Rotation.random(random_state=seed).as_matrix()
    turn_zyx, move = turn_xyz[::-1, ::-1], rng.uniform(-3000, 3000, 3)
    # Of what is flat the outside is up, which does not turn; a place said to lie outside does.
    points = np.vstack([points_of(model, rng), [2000.0, 100.0, -50.0]])
    columns = {"features": {"role": np.array([""] * 40 + ["outside"])}}
    before = picked(model, points, **columns)
    after = picked(model, points @ turn_zyx.T + move, **columns)
    assert len(before) == len(after)
    np.testing.assert_allclose(after.centers_ang_zyx, before.centers_ang_zyx @ turn_zyx.T + move, atol=0.01)
    # Nothing but the volume tells which way the x-axis of a dipole points.
    known = slice(2, 3) if model == "dipole" else slice(3)
    np.testing.assert_allclose(after.matrices[..., known], (turn_xyz @ before.matrices)[..., known], atol=1e-3)


@pytest.mark.parametrize("model", MODELS[:6])
@settings(deadline=None, max_examples=3)
@given(SEEDS, st.floats(6.0, 18.0))
def test_picks_are_even_and_keep_their_distance(model, seed, spacing_nm):
    found = picked(model, points_of(model, np.random.default_rng(seed)), spacing_nm)
    assert pdist(found.centers_ang_zyx).min() >= 7.5 * spacing_nm
    assert found.quality["neighbour_variation"] <= 0.1
    assert found.quality["neighbour_ang"] == pytest.approx(10.0 * spacing_nm, rel=0.06)


@pytest.mark.parametrize("model", CLOSED)
@settings(deadline=None, max_examples=3)
@given(SEEDS)
def test_z_axes_of_a_closed_surface_point_away_from_its_middle(model, seed):
    points = points_of(model, np.random.default_rng(seed))
    found = picked(model, points)
    z_axes_zyx = found.matrices[:, ::-1, 2]
    assert np.all(np.sum((found.centers_ang_zyx - points.mean(axis=0)) * z_axes_zyx, axis=1) > 0)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 60), st.floats(0.05, 1.5))
def test_spaced_points_are_apart_and_leave_no_room_for_another(seed, count, distance):
    points = np.random.default_rng(seed).uniform(size=(count, 3))
    taken = spaced(points, distance, range(count))
    between = np.linalg.norm(points[:, None] - points[taken], axis=2)
    assert np.all(between[taken][~np.eye(len(taken), dtype=bool)] >= distance)
    assert np.all(between.min(axis=1) < distance)


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1, 60), st.floats(0.05, 1.0))
def test_whoever_goes_has_a_better_one_beside_it(seed, count, distance):
    rng = np.random.default_rng(seed)
    points, score = rng.uniform(size=(count, 3)), rng.permutation(count).astype(float)
    score[rng.random(count) < 0.2] = np.nan
    kept = apart(points, distance, score)
    for gone in np.flatnonzero(~kept):
        near = kept & (np.linalg.norm(points - points[gone], axis=1) < distance)
        assert np.nanmax(np.where(near, score, np.nan), initial=-1) > score[gone] or np.isnan(score[gone])
