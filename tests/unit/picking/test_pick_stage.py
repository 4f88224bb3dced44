"""The `pick` stage as a person meets it: what it takes, names, warns of and refuses."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError, ParamError
from napari_tomoflow.core.model import Labels, ParticleSet, Tomogram
from napari_tomoflow.core.ops.so3 import fibonacci
from napari_tomoflow.core.stages.pick import PickParams, pick

BALL = 300.0 * fibonacci(30)
BESIDE = BALL + np.array([0.0, 1000.0, 0.0])


def points(*clouds, **columns):
    """Make a set of points; a column has one value for each cloud."""
    counts = [len(cloud) for cloud in clouds]
    tomogram = np.repeat(columns.pop("tomogram", ["TS"] * len(clouds)), counts)
    features = {name: np.repeat(np.asarray(values), counts) for name, values in columns.items()}
    return ParticleSet(centers_ang_zyx=np.concatenate(clouds), tomogram=tomogram, features=features)


def segmentation(volume, names=None):
    return Labels(name="TS", volume=volume, voxel_ang=10.0, names=names or {})


def two_balls():
    z, y, x = np.mgrid[-20:20, -40:40, -40:40]
    first = z**2 + (y + 18) ** 2 + x**2 < 10**2
    second = z**2 + (y - 18) ** 2 + x**2 < 8**2
    return np.where(first, 1, np.where(second, 2, 0)).astype(np.int16)


def test_each_model_is_fitted_by_itself_and_named():
    given = points(BALL, BESIDE - 0.5 * BALL, species=["virus", "virus"], model=[4, 7])
    found = pick(given)
    assert set(found.features["model"]) == {4, 7}
    assert set(found.features["species"]) == {"virus"}
    assert [one["radius_ang"] for one in found.quality["models"]] == pytest.approx([300, 150], abs=0.1)
    assert found.quality["picks"] == len(found)
    assert set(found.tomogram) == {"TS"}


def test_the_contours_of_an_imod_model_are_models_of_their_own():
    found = pick(points(BALL, BESIDE, contour=[1, 2]))
    assert found.quality["shapes"] == 2


def test_species_and_tomograms_part_models_too():
    given = points(BALL, BESIDE, BALL, species=["a", "b", "a"], tomogram=["TS_1", "TS_1", "TS_2"])
    found = pick(given)
    assert found.quality["shapes"] == 3
    assert np.unique(found.tomogram).tolist() == ["TS_1", "TS_2"]


def test_only_points_of_the_tomogram_are_used_and_picks_beyond_it_go():
    volume = np.zeros((40, 100, 100), np.float32)
    given = points(BALL, BALL, tomogram=["TS_1", "TS_2"])
    found = pick(given, tomogram=Tomogram(name="TS_2", volume=volume, voxel_ang=10.0))
    assert set(found.tomogram) == {"TS_2"}
    assert found.quality["removed"]["outside the tomogram"] > 0
    assert np.abs(found.centers_ang_zyx[:, 0]).max() <= 200.0
    with pytest.raises(MissingError, match="No point lies in TS_9: the table names TS_1, TS_2; give points of TS_9"):
        pick(given, tomogram=Tomogram(name="TS_9", volume=volume, voxel_ang=10.0))


def test_points_of_no_tomogram_belong_to_the_one_there_is():
    tomogram = Tomogram(name="TS", volume=np.zeros((90, 90, 90), np.float32), voxel_ang=10.0)
    assert set(pick(points(BALL, tomogram=[""]), tomogram=tomogram).tomogram) == {"TS"}


def test_a_model_that_cannot_be_fitted_is_left_out_and_named():
    found = pick(points(BALL, BALL[:3], species=["virus", "virus"], model=[1, 2]))
    assert set(found.features["model"]) == {1}
    assert found.quality["warnings"] == [
        "virus 2 of TS is left out: A sphere needs at least 4 different points; got 3; click more."
    ]
    with pytest.raises(DataError, match="A sphere needs at least 4"):
        pick(points(BALL[:3]))


def test_a_misplaced_click_is_named():
    clicks = BALL + np.random.default_rng(0).normal(0, 5, BALL.shape)
    clicks[12] *= 1.4
    (warning,) = pick(points(clicks, species=["virus"])).quality["warnings"]
    assert warning.startswith("Point 13 of virus 1 lies 1")
    assert "off its sphere" in warning


def test_a_shape_of_another_kind_is_told():
    rod = fibonacci(60) * [900.0, 150.0, 150.0]
    warnings = pick(points(rod, model=[3]), params=PickParams(model="plane", spacing_nm=12)).quality["warnings"]
    assert any("points of 3 lie" in warning and "off its plane in the mean" in warning for warning in warnings)


@pytest.mark.parametrize("model", ["sphere", "ellipsoid", "closed", "plane", "membrane"])
def test_a_spacing_larger_than_the_shape_is_refused(model):
    with pytest.raises(
        ParamError, match=r"spacing of 200 nm is larger than the shape, whose area is .*; give a smaller"
    ):
        pick(points(BALL), params=PickParams(model=model, spacing_nm=200))


def test_the_spin_is_random_and_belongs_to_the_seed():
    first, again, other = (pick(points(BALL), params=PickParams(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.quaternions_xyzw, again.quaternions_xyzw)
    assert not np.allclose(first.quaternions_xyzw[:5], other.quaternions_xyzw[:5])
    told = pick(points(BALL), params=PickParams(seed=1, spin="shape"))
    np.testing.assert_allclose(told.matrices[:, :, 2], first.matrices[:, :, 2], atol=1e-9)
    relative = told.matrices.transpose(0, 2, 1) @ first.matrices
    spin_deg = np.rad2deg(np.arctan2(relative[:, 1, 0], relative[:, 0, 0]))
    assert np.histogram(spin_deg, 4, (-180, 180))[0].min() > 0.15 * len(told)


def test_a_helix_keeps_its_twist_and_orientation_may_be_left_out():
    line = np.column_stack([np.linspace(0, 1000, 6), np.zeros((6, 2))])
    helix = pick(points(line), params=PickParams(model="filament", spacing_nm=5, twist_deg=30))
    relative = helix.matrices[:-1].transpose(0, 2, 1) @ helix.matrices[1:]
    np.testing.assert_allclose(np.rad2deg(np.arctan2(relative[:, 1, 0], relative[:, 0, 0])), 30.0, atol=1e-6)
    plain = pick(points(line), params=PickParams(model="filament", spacing_nm=5, orientation="none"))
    np.testing.assert_allclose(plain.quaternions_xyzw, np.tile([0, 0, 0, 1], (len(plain), 1)))


def test_crossing_filaments_do_not_share_particles():
    line = np.column_stack([np.linspace(-500, 500, 6), np.zeros((6, 2))])
    found = pick(points(line, line[:, ::-1], model=[1, 2]), params=PickParams(model="filament", spacing_nm=10))
    assert found.quality["removed"]["too close to another"] == 1


def test_particles_are_cleaned_and_keep_all_their_columns():
    rng = np.random.default_rng(1)
    i, j = np.divmod(np.arange(36), 6)
    lattice = np.column_stack([0.0 * i, 80.0 * i, 80.0 * j])
    given = ParticleSet(
        centers_ang_zyx=np.vstack([lattice, lattice[:4] + 10, [[0.0, 2000, 0]]]),
        tomogram=np.array("TS"),
        score=np.concatenate([np.full(36, 0.8), np.full(4, 0.9), [0.9]]),
        features={"rlnFoo": rng.normal(size=41)},
    )
    found = pick(
        given,
        params=PickParams(model="points", min_distance_nm=4, min_neighbours=2, neighbour_distance_nm=8, species="S"),
    )
    assert found.quality["removed"] == {"too close to another": 4, "too few neighbours": 1}
    assert found.ids.tolist() == [*range(4, 40)]
    np.testing.assert_array_equal(found.features["rlnFoo"], given.features["rlnFoo"][4:40])
    assert set(found.features["species"]) == {"S"}
    assert len(pick(given, params=PickParams(model="points", min_score=0.85))) == 5


def test_points_alone_are_not_thinned_unless_asked():
    assert len(pick(points(BALL, BALL + 1.0), params=PickParams(model="points"))) == 60


def test_blobs_of_every_label_are_picked_and_named():
    found = pick(labels=segmentation(two_balls(), {1: "big"}), params=PickParams(model="segmented-blobs"))
    assert found.features["species"].tolist() == ["big", "label 2"]
    np.testing.assert_allclose(found.centers_ang_zyx, [[0, -180, 0], [0, 180, 0]], atol=1e-9)
    only = pick(
        labels=segmentation(two_balls()), params=PickParams(model="segmented-blobs", label="2", species="small")
    )
    assert only.features["species"].tolist() == ["small"]
    np.testing.assert_allclose(found.quaternions_xyzw, np.tile([0, 0, 0, 1], (2, 1)))


def test_particles_inside_segmented_membranes_stay_there():
    z, y, x = np.mgrid[-20:20, -40:40, -40:40]
    shell = (np.abs(np.sqrt(z**2 + y**2 + x**2) - 15) < 1.5).astype(np.uint8)
    given = points(np.array([[0.0, 0, 0], [0, 150, 0], [0, 300, 0]]))
    inside = pick(given, segmentation(shell), params=PickParams(model="points", membrane_side="inside"))
    assert inside.centers_ang_zyx.tolist() == [[0, 0, 0]]
    outside = pick(given, segmentation(shell), params=PickParams(model="points", membrane_side="outside"))
    assert outside.centers_ang_zyx.tolist() == [[0, 300, 0]]


def test_bodies_too_small_to_be_picked_on_are_left_out_and_counted():
    volume = two_balls()
    volume[2, 2, 2] = 1
    found = pick(labels=segmentation(volume), params=PickParams(model="segmented-surface", label="1", spacing_nm=4))
    assert len(found) > 20
    assert any("1 of 2 bodies have no picks" in warning for warning in found.quality["warnings"])


def test_what_has_no_object_of_the_size_is_told():
    settings = PickParams(model="segmented-blobs", min_size_nm=50)
    found = pick(labels=segmentation(two_balls()), params=settings)
    assert len(found) == 0
    assert "label 1 of TS has no object between min_size_nm and max_size_nm." in found.quality["warnings"]


@pytest.mark.parametrize(
    ("inputs", "settings", "words"),
    [
        ({}, {}, "no points to fit a sphere to; click some, or give --particles FILE"),
        ({"particles": points(BALL[:0])}, {}, "no points to fit a sphere to"),
        ({}, {"model": "segmented-membrane"}, "no segmentation for segmented-membrane; give --labels FILE"),
        ({"particles": points(BALL)}, {"membrane_side": "inside"}, "needs a segmentation of membranes"),
        ({"labels": segmentation(np.zeros((4, 4, 4), np.uint8))}, {"model": "segmented-blobs"}, "TS is empty"),
        (
            {"labels": segmentation(two_balls(), {1: "big"})},
            {"model": "segmented-blobs", "label": "vesicle"},
            r"TS has no label vesicle; choose from 1 \(big\), 2 \(label 2\)",
        ),
    ],
)
def test_what_is_missing_is_asked_for_by_name(inputs, settings, words):
    with pytest.raises(MissingError, match=words):
        pick(**inputs, params=PickParams(**settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "sphere", "side": "up"}, "A closed surface has no up side; choose outward or inward"),
        ({"min_size_nm": 5.0, "max_size_nm": 4.0}, "min_size_nm 5 is not below max_size_nm 4; swap them"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(settings, words):
    with pytest.raises(ParamError, match=words):
        PickParams(**settings)


def test_a_segmentation_from_a_file_is_of_the_tomogram_it_is_given_with():
    labels = Labels(name="membranes_v3", volume=two_balls(), voxel_ang=10.0)
    tomogram = Tomogram(name="TS_7", volume=np.zeros((40, 80, 80), np.float32), voxel_ang=10.0)
    assert set(pick(None, labels, tomogram, params=PickParams(model="segmented-blobs")).tomogram) == {"TS_7"}
