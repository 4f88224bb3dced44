"""Kernels of projection matching against their slow twins."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tomoflow.core.kernels import plane, rows, slab
from reference import slab as slow

SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 13))
SEEDS = st.integers(0, 2**16)


def images_like(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(SHAPES, SEEDS, st.floats(0.3, 3), st.floats(0, 30))
def test_slab_view_equals_its_reference_and_adds_to_what_is_there(shape, seed, stretch, width):
    images, masks = images_like((3, *shape), seed), np.abs(images_like((3, *shape), seed + 1))
    start = images_like((2, *shape), seed + 2)
    got, expected = start.copy(), start.astype(np.float64)
    others = np.array([2, 0]), np.array([stretch, 0.9]), np.array([width, 2.5]), np.array([0.7, 1.3])
    slab.add_slab_views(got[0], got[1], images, masks, *others)
    slow.add_slab_views(expected[0], expected[1], images, masks, *others)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(SEEDS, st.floats(-1.2, 1.2), st.floats(-1.2, 1.2), st.floats(4, 40))
def test_slab_view_is_back_projection_and_reprojection_of_a_slab(seed, tilt_from, tilt_to, thickness):
    image = images_like((1, 33), seed)
    view, cover = np.zeros((2, 1, 33), np.float32)
    stretch_from, stretch_to, apart = np.cos(tilt_from), np.cos(tilt_to), tilt_from - tilt_to
    width = thickness * abs(np.sin(apart)) / stretch_to
    if width < 1:  # narrower boxes are widened to one pixel, where they interpolate
        return
    only = np.array([0]), np.array([stretch_from / stretch_to]), np.array([width]), np.ones(1)
    slab.add_slab_views(view, cover, image[None], np.ones((1, 1, 33), np.float32), *only)
    samples = 20000
    expected = slow.slab_by_volume(image[0], stretch_from, stretch_to, apart, thickness, samples)
    # Each of the at most width + 2 pixel borders on a ray is met to one of the samples.
    np.testing.assert_allclose(view[0], expected, atol=(width + 2) * 8 / samples)


@settings(deadline=None, max_examples=40)
@given(SHAPES, SHAPES, SEEDS, st.floats(-7, 7), st.floats(-5, 5), st.floats(-5, 5))
def test_turned_image_equals_its_reference(shape, out_shape, seed, angle, shift_y, shift_x):
    image = images_like(shape, seed)
    got, expected = np.empty(out_shape, np.float32), np.empty(out_shape)
    plane.turn_images(got[None], image[None], np.array([angle]), np.array([[shift_y, shift_x]]))
    slow.turn_image(expected, image, angle, shift_y, shift_x)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@settings(deadline=None, max_examples=15)
@given(SHAPES, SEEDS, st.floats(0.5, 8))
def test_lines_equal_their_reference(shape, seed, half_width):
    images = images_like((2, *shape), seed)
    angles, shifts = np.array([-1.1, 0.0, 2.0]), np.array([[0.3, -1.0], [0.0, 0.5]])
    half_widths = np.array([half_width, 1.7])
    got, expected = np.full((3, 2, 7), np.nan), np.empty((3, 2, 7))
    plane.sum_onto_lines(got, images, angles, shifts, half_widths)
    slow.sum_onto_lines(expected, images, angles, shifts, half_widths)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def tilted_rows(shape, seed):
    """Images of four tilts and their directions."""
    angle = np.random.default_rng(seed).uniform(-1.6, 1.6, 4)
    return images_like((4, *shape), seed), np.cos(angle), np.sin(angle)


# A ray within a thousandth of a pixel of the zeros beside a row counts as outside: with five images of
# a few units, projected over 13 × 6 voxels, that and single precision stay below this.
NEAR = {"rtol": 1e-3, "atol": 0.02}


@settings(deadline=None, max_examples=25)
@given(SHAPES, SEEDS, st.integers(1, 6), st.floats(0, 2))
def test_reprojected_rows_equal_their_reference(shape, seed, n_depths, threshold):
    images, cosines, sines = tilted_rows(shape, seed)
    chosen = np.array([True, False, True, False])
    got, expected = np.zeros((4, *shape), np.float32), np.zeros((4, *shape))
    rows.reproject_rows(got, images, cosines, sines, chosen, n_depths, threshold)
    slow.reproject_rows(expected, images, cosines, sines, chosen, n_depths, threshold)
    np.testing.assert_allclose(got, expected, **NEAR)
    assert not got[chosen].any()


@settings(deadline=None, max_examples=25)
@given(SHAPES, SEEDS, st.integers(1, 6))
def test_products_of_halves_equal_their_reference(shape, seed, n_depths):
    images, cosines, sines = tilted_rows(shape, seed)
    first = np.array([True, False, True, False])
    got, expected = (
        np.full((shape[0], n_depths, shape[1]), np.nan, np.float32),
        np.zeros((shape[0], n_depths, shape[1])),
    )
    rows.multiply_halves(got, images, cosines, sines, first)
    slow.multiply_halves(expected, images, cosines, sines, first)
    np.testing.assert_allclose(got, expected, **NEAR)


def test_views_at_right_angles_and_half_turns_equal_their_reference():
    images = images_like((4, 2, 9), 0)
    angle = np.deg2rad([90.0, -90.0, 180.0, 0.0])
    got, expected = np.zeros((4, 2, 9), np.float32), np.zeros((4, 2, 9))
    chosen = np.array([True, True, False, False])
    rows.reproject_rows(got, images, np.cos(angle), np.sin(angle), chosen, 5, 0.0)
    slow.reproject_rows(expected, images, np.cos(angle), np.sin(angle), chosen, 5, 0.0)
    np.testing.assert_allclose(got, expected, **NEAR)
