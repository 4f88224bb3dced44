"""The pose of one image: what is climbed is the reference's likelihood and prior, and its top is a top."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.samples import places_within
from napari_tomoflow.core.kernels.subtilts import polish_subtilts
from napari_tomoflow.core.ops.geometry import tilt_rotations
from reference import poses as slow

SPREADS = np.array([0.05, 0.01])


def a_case(seed, strength=30.0):
    """One image of a smooth cube, seen turned and shifted a little, with noise; and two poses to begin from."""
    rng = np.random.default_rng(seed)
    places = places_within(3.5)
    z, y, x = np.meshgrid(np.arange(-7, 8), np.arange(-7, 8), np.arange(8), indexing="ij")
    cube = strength * (np.exp(-(x**2 + y**2 + z**2) / 40) * np.exp(0.3j * (x + 2 * y - z) * (1 + 0.1 * y)))
    cube = cube.astype(np.complex64)
    axes = tilt_rotations(*rng.uniform(-180, 180, 3))[None, None, :2] * 1.5
    true = pose(rng.normal(size=3) * 0.03, rng.normal(size=3) * 0.006)
    power = rng.uniform(0.2, 1, (1, 1, len(places))).astype(np.float32)
    seen = np.array([u * axes[0, 0, 0] + v * axes[0, 0, 1] for u, v in places])
    clean = np.array([slow.at(cube, true[:, :3].T @ one) * np.exp(-2j * np.pi * one @ true[:, 3]) for one in seen])
    noise = rng.normal(size=(2, len(places))) / np.sqrt(2)
    values = np.sqrt(power[0, 0]) * (np.sqrt(power[0, 0]) * clean + noise[0] + 1j * noise[1])
    starts = np.stack([pose(np.zeros(3), np.zeros(3)), pose(rng.normal(size=3) * 0.05, rng.normal(size=3) * 0.01)])
    return starts[None], (cube, values[None, None].astype(np.complex64), power, axes.astype(np.float32), places)


def pose(turn_rad, shift):
    return np.concatenate([Rotation.from_rotvec(turn_rad).as_matrix(), shift[:, None]], axis=1)


def gain_at(where, cube, values, power, axes, places):
    agreement, total = slow.measured(where, cube, values[0], power[0], axes[0], places)
    turn, shift = Rotation.from_matrix(where[:, :3]).magnitude() / SPREADS[0], where[:, 3] / SPREADS[1]
    return agreement * abs(agreement) / total - 0.5 * (turn**2 + shift @ shift)


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_gain_is_that_of_the_reference_and_no_less_than_at_the_start(seed):
    poses, case = a_case(seed)
    before = [gain_at(one, *case) for one in poses[0]]
    found = np.empty((1, 2, 5))
    polish_subtilts(poses, found, *case, SPREADS)
    after = [gain_at(one, *case) for one in poses[0]]
    np.testing.assert_allclose(found[0, :, 0], after, rtol=1e-4, atol=1e-2)
    assert (np.array(after) >= np.array(before) - 1e-2).all()


def test_no_small_step_leads_higher():
    poses, case = a_case(4)
    polish_subtilts(poses, np.empty((1, 2, 5)), *case, SPREADS)
    top = gain_at(poses[0, 0], *case)
    for number in range(6):
        for sign in (-1, 1):
            step = np.zeros(6)
            step[number] = sign * (0.01 if number < 3 else 0.002)
            moved = poses[0, 0].copy()
            moved[:, :3] = moved[:, :3] @ Rotation.from_rotvec(step[:3]).as_matrix()
            moved[:, 3] += step[3:]
            assert gain_at(moved, *case) < top


def test_what_remains_open_is_less_than_the_spread_and_all_of_it_in_an_empty_image():
    poses, case = a_case(7)
    found = np.empty((1, 2, 5))
    polish_subtilts(poses, found, *case, SPREADS)
    assert 0 < found[0, 0, 3] < SPREADS[0] ** 2
    assert 0 < found[0, 0, 4] < 0.5 * SPREADS[1] ** 2
    cube, values, power, *rest = case
    polish_subtilts(poses, found, cube, 0 * values, 0 * power, *rest, SPREADS)
    np.testing.assert_allclose(found[0, :, 3:], np.tile(SPREADS**2, (2, 1)) * [1.0, 1.0], rtol=1e-9)
    np.testing.assert_allclose(poses[0], np.tile(pose(np.zeros(3), np.zeros(3)), (2, 1, 1)), atol=1e-6)
