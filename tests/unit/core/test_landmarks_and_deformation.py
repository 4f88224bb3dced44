"""What an alignment may carry beside its angles and shifts."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Deformation, Landmarks
from napari_tomoflow.core.ops import geometry

N = 5
RNG = np.random.default_rng(2)
RIGID = Alignment(
    tilt_deg=np.linspace(-40, 40, N), axis_deg=12.0, xtilt_deg=1.0, shift_ang_yx=RNG.normal(0, 30, (N, 2))
)
POINTS = RNG.uniform(-300, 300, (4, 3))


def landmarks(**changes):
    tilt, point = (index.ravel() for index in np.indices((N, len(POINTS))))
    seen = RIGID.project(POINTS)[0][tilt, point]
    values = {"kind": "gold", "points_ang_zyx": POINTS, "tilt": tilt, "point": point, "position_ang_yx": seen}
    return Landmarks(**values | {"weight": np.array(1.0)} | changes)


def nodes(displacement):
    """Sample a function of (y, x) at 5 × 4 nodes of a field of 1000 × 800 Å, alike in all tilts."""
    y, x = np.meshgrid(np.linspace(-500, 500, 5), np.linspace(-400, 400, 4), indexing="ij")
    field = np.stack(displacement(y, x), axis=-1)
    return Deformation(nodes_ang_yx=np.tile(field, (N, 1, 1, 1)), field_ang_yx=(1000.0, 800.0))


def test_residuals_are_measured_minus_predicted():
    marks = landmarks()
    moved = marks.replace(position_ang_yx=marks.position_ang_yx + np.array([3.0, -1.0]))
    np.testing.assert_allclose(RIGID.replace(landmarks=marks).landmark_residuals(), 0, atol=1e-9)
    np.testing.assert_allclose(RIGID.replace(landmarks=moved).landmark_residuals(), [[3, -1]] * 20, atol=1e-9)


def test_landmarks_follow_when_the_specimen_is_levelled():
    turned = RIGID.replace(landmarks=landmarks()).levelled((4.0, -7.0), (50.0, -20.0, 90.0))
    assert not np.allclose(turned.landmarks.points_ang_zyx, POINTS)
    np.testing.assert_allclose(turned.landmark_residuals(), 0, atol=1e-9)


def test_levelling_keeps_the_axis_on_its_turn_of_the_circle():
    for axis_deg in (179.9, 200.0, -190.0):
        turned = RIGID.replace(axis_deg=np.full(N, axis_deg)).levelled((2.0, -1.0))
        np.testing.assert_allclose(turned.axis_deg, axis_deg, atol=3.0)


def test_measurements_of_dropped_points_and_without_weight_do_not_count():
    points = POINTS.copy()
    points[1] = np.nan
    weight = np.ones(20)
    weight[0] = 0.0
    believed = landmarks(points_ang_zyx=points, weight=weight).believed
    assert not believed[0]
    assert not believed[1::4].any()
    assert believed.sum() == 14


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "cheese"}, "the kind is 'cheese'"),
        ({"point": np.full(20, 4)}, "points 4 to 4, but there are 4"),
        ({"point": np.zeros(20, int)}, "measured 4 times in tilt 0"),
        ({"position_ang_yx": np.full((20, 2), np.nan)}, "not a number at index 0"),
    ],
)
def test_landmarks_refuse_what_cannot_be(changes, words):
    with pytest.raises(DataError, match=words):
        landmarks(**changes)


def test_an_alignment_refuses_landmarks_and_deformations_of_other_tilts():
    with pytest.raises(DataError, match="measured in tilt 7 of 5"):
        RIGID.replace(landmarks=landmarks(tilt=np.full(20, 7), point=np.arange(20), points_ang_zyx=np.zeros((20, 3))))
    with pytest.raises(DataError, match="deformation is of 3 tilts of 5"):
        RIGID.replace(deformation=Deformation(nodes_ang_yx=np.zeros((3, 2, 2, 2)), field_ang_yx=(1.0, 1.0)))


def test_the_spline_goes_through_its_nodes_and_stays_beyond_the_edge():
    bent = nodes(lambda y, x: (np.sin(y / 200), x * y / 1e5))
    at = np.array([[250.0, -400.0], [500.0, 400.0], [900.0, 700.0]])
    expected = np.stack([np.sin(at[:2, 0] / 200), at[:2, 0] * at[:2, 1] / 1e5], axis=1)
    found = bent.displacement(2, at)
    np.testing.assert_allclose(found[:2], expected, atol=1e-9)
    np.testing.assert_allclose(found[2], expected[1], atol=1e-9)


def test_points_of_a_bent_specimen_are_seen_displaced():
    bent = RIGID.replace(deformation=nodes(lambda y, x: (0 * y + 2.0, 0 * x - 5.0)))
    np.testing.assert_allclose(
        bent.project(POINTS)[0] - RIGID.project(POINTS)[0], np.broadcast_to([-2.0, 5.0], (5, 4, 2))
    )


def test_a_deformation_needs_nodes_and_numbers():
    with pytest.raises(DataError, match="shape \\(5, 1, 2, 2\\)"):
        Deformation(nodes_ang_yx=np.zeros((N, 1, 2, 2)), field_ang_yx=(1.0, 1.0))
    with pytest.raises(DataError, match="not a number"):
        Deformation(nodes_ang_yx=np.full((N, 2, 2, 2), np.nan), field_ang_yx=(1.0, 1.0))


def leaning():
    """A field that is the more like another one the higher things lie, flat at the edges, as its spline is."""
    y, x = np.meshgrid(np.linspace(-500, 500, 9), np.linspace(-400, 400, 9), indexing="ij")
    grown = np.arange(N)[:, None, None, None]
    return Deformation(
        nodes_ang_yx=np.stack([3 * np.cos(np.pi * x / 400), 2 * np.cos(np.pi * y / 500)], axis=-1) * grown,
        slopes_yx=0.01 * np.stack([np.cos(np.pi * y / 500), np.cos(np.pi * x / 400)], axis=-1) * grown,
        field_ang_yx=(1000.0, 800.0),
    )


def test_the_displacement_changes_with_the_height():
    bent = RIGID.replace(deformation=leaning())
    flat = bent.replace(deformation=Deformation(nodes_ang_yx=leaning().nodes_ang_yx, field_ang_yx=(1000.0, 800.0)))
    rigid_ang_yx, _ = RIGID.project(POINTS)
    grown = np.arange(N)[:, None]
    y, x = rigid_ang_yx[..., 0], rigid_ang_yx[..., 1]
    expected = 0.01 * POINTS[:, 0] * grown * np.stack([np.cos(np.pi * y / 500), np.cos(np.pi * x / 400)])
    np.testing.assert_allclose(
        np.moveaxis(flat.project(POINTS)[0] - bent.project(POINTS)[0], -1, 0), expected, atol=0.02
    )


def test_a_leaning_deformation_stays_with_the_specimen_when_it_is_levelled():
    bent = RIGID.replace(deformation=leaning())
    level_deg_yx, centre = (4.0, -7.0), np.array([50.0, -20.0, 90.0])
    turned = bent.levelled(level_deg_yx, tuple(centre))
    level = geometry.rotation_y(level_deg_yx[0]) @ geometry.rotation_x(level_deg_yx[1])
    points = ((POINTS - centre)[:, ::-1] @ level)[:, ::-1]
    np.testing.assert_allclose(turned.project(points)[0], bent.project(POINTS)[0], atol=0.05)
    # Without the turn of the field points are off by more than that.
    untold = turned.replace(deformation=bent.deformation)
    assert np.abs(untold.project(points)[0] - bent.project(POINTS)[0]).max() > 0.5


def test_a_deformation_refuses_slopes_of_another_shape():
    with pytest.raises(DataError, match="slopes have the shape"):
        Deformation(nodes_ang_yx=np.zeros((N, 3, 3, 2)), slopes_yx=np.zeros((N, 2, 3, 2)), field_ang_yx=(9.0, 9.0))
