"""Maps are brought into the frame of another, onto their axes, or into their other hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.new_frame import keeps_axes, mirrored, particles_in_frame
from napari_tomoflow.core.averaging.resizing import fitted
from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.errors import DataError, ParamError
from napari_tomoflow.core.model import AlignedMap, DensityMap, ParticleSet
from napari_tomoflow.core.ops.poses import quaternions_from_matrices
from napari_tomoflow.core.ops.so3 import angular_distance_deg, rotation_z, symmetry_operators
from napari_tomoflow.core.stages.align_map import AlignMapParams, align_map
from napari_tomoflow.io.plots import figures_of

VOXEL_ANG = 4.0


def molecule(n=32, count=60, operators=None):
    """Draw blobs 3 voxels wide without any symmetry, or with that of some operators: float32[n, n, n]."""
    rng = np.random.default_rng(8)
    centres = rng.normal(size=(count, 3)) * [0.17 * n, 0.1 * n, 0.06 * n] + [0, 0.06 * n, 0.05 * n]
    if operators is not None:
        centres = np.concatenate([centres @ operator.T for operator in operators])
    offset = np.arange(n) - n // 2
    shells = [np.exp(-((offset - centres[:, [axis]]) ** 2) / (2 * 1.5**2)) for axis in (2, 1, 0)]
    return np.einsum("cz,cy,cx->zyx", *shells).astype(np.float32)


def lying(volume, seed):
    """Turn and move a map at random: the map, and the frame that brings it back."""
    rotation = Rotation.random(random_state=seed).as_matrix()
    shift = np.random.default_rng(seed).uniform(-3, 3, 3)
    return Frame(rotation.T, -rotation.T @ shift).seen(volume), Frame(rotation, shift)


def noisy(volume, share, seed):
    noise = np.random.default_rng(seed).standard_normal(volume.shape, np.float32)
    return volume + share * volume[volume > 0.2 * volume.max()].std() * noise


def density(volume, **more):
    return DensityMap(**({"name": "made", "volume": volume, "voxel_ang": VOXEL_ANG} | more))


def frame_of(aligned):
    quality = aligned.quality
    return Frame(np.array(quality["rotation_matrix"]), np.array(quality["shift_ang_xyz"]) / aligned.voxel_ang)


@pytest.mark.parametrize("seed", range(3))
def test_a_noisy_map_is_aligned_within_half_a_degree_and_a_fifth_of_a_voxel(seed):
    volume = molecule(n=48)
    moved, true = lying(volume, seed)
    given, target = density(noisy(moved, 0.5, 2 * seed)), density(noisy(volume, 0.5, 2 * seed + 1))
    aligned = align_map(given, target=target)
    found = frame_of(aligned)
    assert angular_distance_deg(found.rotation, true.rotation) <= 0.5
    assert np.linalg.norm(found.shift_px_xyz - true.shift_px_xyz) <= 0.2
    quality = aligned.quality
    assert quality["correlation_after"] > 0.8 > quality["correlation_before"]
    assert quality["hand"]["score"] > 0.1
    assert quality["warnings"] == []
    assert np.corrcoef(aligned.volume.ravel(), volume.ravel())[0, 1] > 0.6


def test_the_target_may_lie_on_another_grid_and_have_the_other_contrast():
    volume = molecule()
    moved, true = lying(volume, 5)
    target = DensityMap(name="t", volume=-fitted(density(volume), 30, 5.5) * 1e3 + 7, voxel_ang=5.5, contrast="dark")
    aligned = align_map(density(moved), target=target)
    assert angular_distance_deg(frame_of(aligned).rotation, true.rotation) <= 0.5
    assert np.linalg.norm(frame_of(aligned).shift_px_xyz - true.shift_px_xyz) <= 0.2
    assert (aligned.volume.shape, aligned.voxel_ang) == (moved.shape, VOXEL_ANG)


def test_a_map_of_the_other_hand_is_told_and_mirrored_only_when_asked():
    volume = molecule()
    moved, _ = lying(mirrored(volume), 3)
    target = density(volume)
    as_given = align_map(density(moved), target=target)
    assert as_given.quality["hand"]["score"] < -0.05
    assert "The mirrored map is more like the target" in as_given.quality["warnings"][0]
    flipped = align_map(density(moved), target=target, params=AlignMapParams(flip=True))
    assert flipped.quality["warnings"] == []
    assert np.corrcoef(flipped.volume.ravel(), volume.ravel())[0, 1] > 0.98
    assert align_map(density(moved), target=target, params=AlignMapParams(both_hands=False)).quality["hand"] is None


@pytest.mark.parametrize("n", [8, 9])
def test_mirroring_keeps_the_centre_and_undoes_itself(n):
    volume = np.random.default_rng(0).normal(size=(n, n, n)).astype(np.float32)
    other = mirrored(volume)
    middle = n // 2
    np.testing.assert_array_equal(other[middle], volume[middle])
    np.testing.assert_array_equal(other[middle + 1], volume[middle - 1])
    np.testing.assert_array_equal(mirrored(other), volume)


def test_a_map_is_only_mirrored_when_nothing_else_is_asked():
    volume = molecule()
    params = AlignMapParams(flip=True, name="other")
    flipped = align_map(density(volume, symmetry="C3", halves=(volume, 2 * volume)), params=params)
    np.testing.assert_allclose(flipped.volume, mirrored(volume), atol=1e-4)
    np.testing.assert_allclose(flipped.halves[1], 2 * flipped.volume, atol=1e-4)
    assert (flipped.symmetry, flipped.name, flipped.quality["rotation_deg"]) == ("C3", "other", 0.0)


@pytest.mark.parametrize("symmetry", ["C3", "D3"])
def test_a_map_is_turned_onto_its_axes(symmetry):
    operators = symmetry_operators(symmetry)
    moved, _ = lying(molecule(count=20, operators=operators), 6)
    aligned = align_map(density(noisy(moved, 0.3, 1)), params=AlignMapParams(symmetry=symmetry, resolution_ang=16.0))
    assert aligned.symmetry == symmetry
    assert aligned.quality["correlation_after"] > 0.9 > aligned.quality["correlation_before"]
    clean = frame_of(aligned).seen(moved)
    for operator in operators[1:]:
        again = Frame(operator, np.zeros(3)).seen(clean)
        assert np.corrcoef(clean.ravel(), again.ravel())[0, 1] > 0.97


def test_halves_and_mask_turn_along_and_the_mask_stays_one():
    volume = molecule()
    moved, _ = lying(volume, 4)
    mask = (moved > 0.05).astype(np.float32)
    given = density(moved, halves=(moved, 3 * moved), mask=mask)
    aligned = align_map(given, target=density(volume), params=AlignMapParams(both_hands=False))
    np.testing.assert_allclose(aligned.halves[0], aligned.volume)
    np.testing.assert_allclose(aligned.halves[1], 3 * aligned.volume, atol=1e-4)
    assert aligned.mask.min() >= 0.0
    assert aligned.mask.max() <= 1.0
    assert np.corrcoef(aligned.mask.ravel(), (volume > 0.05).ravel())[0, 1] > 0.95


def test_a_symmetry_is_kept_only_where_its_axes_stay():
    turned = Frame(rotation_z(360 / 14) @ symmetry_operators("D7")[3], np.zeros(3))
    assert keeps_axes("D7", turned)
    assert keeps_axes("C7", Frame(rotation_z(33.0), np.zeros(3)))
    assert not keeps_axes("D7", Frame(rotation_z(10.0), np.zeros(3)))
    moved, _ = lying(molecule(), 4)
    aligned = align_map(density(moved, symmetry="C2"), target=density(molecule()))
    assert aligned.symmetry == "C1"


def test_poses_of_particles_show_the_same_points_of_the_tomogram_as_before():
    rng = np.random.default_rng(1)
    rotations = Rotation.random(5, random_state=2).as_matrix()
    centres_xyz = rng.normal(0, 500, (5, 3))
    particles = ParticleSet(
        centers_ang_zyx=centres_xyz[:, ::-1], quaternions_xyzw=quaternions_from_matrices(rotations), half=np.array(2)
    )
    frame = Frame(Rotation.random(random_state=3).as_matrix(), np.array([2.0, -1.0, 0.5]))
    there = particles_in_frame(particles, frame, 4.0)
    point = np.array([30.0, -20.0, 50.0])  # Å in the new frame
    before = frame.rotation @ point + 4.0 * frame.shift_px_xyz
    np.testing.assert_allclose(
        there.matrices @ point + there.centers_ang_zyx[:, ::-1], rotations @ before + centres_xyz, atol=1e-9
    )
    assert (there.half == 2).all()


def test_particles_follow_the_map_but_stay_behind_when_it_is_mirrored():
    volume = molecule()
    moved, _ = lying(volume, 7)
    particles = ParticleSet(centers_ang_zyx=np.zeros((3, 3)))
    aligned = align_map(density(moved), particles, target=density(volume))
    assert isinstance(aligned, AlignedMap)
    found = frame_of(aligned)
    np.testing.assert_allclose(aligned.particles.matrices, np.broadcast_to(found.rotation, (3, 3, 3)), atol=1e-9)
    flipped = align_map(density(moved), particles, target=density(volume), params=AlignMapParams(flip=True))
    assert not isinstance(flipped, AlignedMap)
    assert "stay behind" in flipped.quality["warnings"][-1]


def test_what_cannot_be_aligned_is_said():
    volume = molecule(n=24, count=10)
    with pytest.raises(DataError, match="nothing to align made with; give --target FILE, --symmetry, or --flip"):
        align_map(density(volume))
    with pytest.raises(DataError, match="The map hollow is empty"):
        align_map(density(np.zeros((24, 24, 24)), name="hollow"), target=density(volume))
    with pytest.raises(ParamError, match="target and symmetry are both given"):
        AlignMapParams(target="a.mrc", symmetry="C2")
    with pytest.raises(ParamError, match="no point group 'X2'"):
        AlignMapParams(symmetry="X2")


def test_maps_that_have_nothing_in_common_are_doubted():
    noise = [np.random.default_rng(seed).standard_normal((32, 32, 32), np.float32) for seed in (0, 1)]
    aligned = align_map(density(noise[0]), target=density(noise[1]))
    assert "little in common" in " ".join(aligned.quality["warnings"])


def test_an_aligned_map_is_drawn_and_any_other_is_not():
    volume = molecule()
    aligned = align_map(density(lying(volume, 7)[0]), target=density(volume))
    assert set(figures_of(aligned)) == {"slices", "likeness"}
    assert figures_of(density(volume)) == {}
