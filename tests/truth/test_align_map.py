"""Maps of molecules whose frames are known are brought together, and onto their axes."""

import time

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.resizing import fitted
from napari_tomoflow.core.averaging.symmetry_axis import Frame
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.ops.so3 import angular_distance_deg, symmetry_operators
from napari_tomoflow.core.stages.align_map import AlignMapParams, align_map
from napari_tomoflow.io.maps import open_map

BOX_PX, VOXEL_ANG = 64, 5.0


def noisy(volume, rng):
    """Add as much noise to each voxel as the molecule varies itself."""
    inside = volume[soft_sphere(BOX_PX, 25.0) > 0.5]
    return volume + inside.std() * rng.standard_normal(volume.shape, np.float32)


def lying(volume, seed):
    """Turn and move a map at random: the map, and the frame that brings it back."""
    rotation = Rotation.random(random_state=seed).as_matrix()
    shift = np.random.default_rng(seed).uniform(-4, 4, 3)
    return Frame(rotation.T, -rotation.T @ shift).seen(volume), Frame(rotation, shift)


@pytest.mark.parametrize("seed", range(3))
def test_a_noisy_ribosome_is_brought_back_within_half_a_degree_and_a_fifth_of_a_voxel(shared_data, seed):
    volume = fitted(open_map(shared_data("templates/4v4r.mrc")), BOX_PX, VOXEL_ANG)
    moved, true = lying(volume, seed)
    rng = np.random.default_rng(seed)
    given, target = (
        DensityMap(name="ribosome", volume=noisy(one, rng), voxel_ang=VOXEL_ANG) for one in (moved, volume)
    )
    begun = time.process_time()
    aligned = align_map(given, target=target)
    assert time.process_time() - begun <= 60.0
    quality = aligned.quality
    assert angular_distance_deg(np.array(quality["rotation_matrix"]), true.rotation) <= 0.5
    assert np.linalg.norm(np.array(quality["shift_ang_xyz"]) / VOXEL_ANG - true.shift_px_xyz) <= 0.2
    assert quality["hand"]["as_given"] > 3 * quality["hand"]["mirrored"]
    assert quality["warnings"] == []


def test_a_noisy_proteasome_is_turned_onto_its_axes(shared_data):
    volume = fitted(open_map(shared_data("templates/3j9i.mrc")), BOX_PX, VOXEL_ANG)
    moved, _ = lying(volume, 4)
    given = DensityMap(name="20S", volume=noisy(moved, np.random.default_rng(1)), voxel_ang=VOXEL_ANG)
    aligned = align_map(given, params=AlignMapParams(symmetry="D7"))
    quality = aligned.quality
    assert quality["correlation_after"] > quality["correlation_before"] + 0.2
    clean = Frame(np.array(quality["rotation_matrix"]), np.array(quality["shift_ang_xyz"]) / VOXEL_ANG).seen(moved)
    for operator in symmetry_operators("D7")[1:]:
        again = Frame(operator, np.zeros(3)).seen(clean)
        assert np.corrcoef(clean.ravel(), again.ravel())[0, 1] > 0.97


def test_a_map_is_aligned_with_an_atomic_model(shared_data):
    density = open_map(shared_data("templates/3j9i.mrc"))
    moved, _ = lying(np.asarray(density.volume, np.float32), 2)
    model = open_map(shared_data("templates/3j9i_20S_proteasome.pdb.gz"))
    aligned = align_map(density.replace(volume=moved), target=model)
    assert aligned.quality["correlation_after"] > 0.8
    assert aligned.quality["hand"]["score"] > 0.02
