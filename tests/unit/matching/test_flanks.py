"""The flank of a strong particle is told from a particle beside it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.matching.flanks import own_scores
from napari_tomoflow.core.matching.level import Level
from napari_tomoflow.core.matching.refine import Refined
from napari_tomoflow.core.matching.sampling import Wedge
from napari_tomoflow.core.matching.template import Template
from napari_tomoflow.core.ops.so3 import rotation_grid
from napari_tomoflow.core.report import silent

VOXEL_ANG, DIAMETER_VOX = 20.0, 12.0
STRONG, FLANK, BESIDE = np.array([[16, 20, 16], [16, 20, 23], [16, 20, 30]])


def lumps(place_zyx, rotation, shape):
    """Show a particle of five lumps, no two of its poses alike."""
    offsets_xyz = np.array([[4, 0, 0], [-3, 3, 0], [0, -4, 2], [-1, 1, -4], [2, 2, 3]]) @ rotation.T
    grid = np.stack(np.indices(shape), axis=-1)
    centres = place_zyx + offsets_xyz[:, ::-1]
    return sum(np.exp(-np.sum((grid - centre) ** 2, axis=-1) / (2 * 1.5**2)) for centre in centres).astype(np.float32)


@pytest.fixture(scope="module")
def scored():
    """Return (level, template, hits): a particle, the best its flank gives, and a particle beside it."""
    rng = np.random.default_rng(3)
    poses = Rotation.random(2, random_state=rng).as_matrix()
    shape = (32, 40, 48)
    volume = lumps(STRONG, poses[0], shape) + lumps(BESIDE, poses[1], shape)
    volume += rng.normal(0, 0.02, shape).astype(np.float32)
    level = Level.of(volume - volume.mean(), VOXEL_ANG, DIAMETER_VOX * VOXEL_ANG, 50.0, True, Wedge(-90, 90))
    template = Template(
        lumps(np.full(3, 10), np.eye(3), (20,) * 3), np.ones((20,) * 3, np.float32), VOXEL_ANG, 240.0, "C1"
    )
    stencils = level.stencils(template)
    tried = [(STRONG, poses[:1]), (BESIDE, poses[1:]), (FLANK, rotation_grid(30.0))]
    bests = [level.cutouts.best(stencils, rotations, place, 0) for place, rotations in tried]
    hits = Refined(
        places_zyx=np.array([place for place, _ in tried], np.float64),
        rotations=np.stack([rotations[best.rotation] for (_, rotations), best in zip(tried, bests, strict=True)]),
        scores=np.array([best.score for best in bests]),
        stand_out=np.ones(3),
    )
    return level, template, hits


def test_a_flank_scores_little_of_itself_and_particles_what_they_scored(scored):
    level, template, hits = scored
    assert (hits.scores[:2] > 0.8).all()
    assert hits.scores[2] > 0.2
    own = own_scores(level, template, hits, 0.25, silent)
    np.testing.assert_allclose(own[:2], hits.scores[:2], atol=0.1)
    assert -0.1 < own[2] < 0.1


def test_only_what_is_believed_makes_anything_of_the_scores_of_others(scored):
    level, template, hits = scored
    own = own_scores(level, template, hits, 1.0, silent)
    np.testing.assert_array_equal(own, hits.scores)


def test_one_hit_or_none_is_left_as_it_is(scored):
    level, template, hits = scored
    assert own_scores(level, template, hits[np.arange(1)], 0.3, silent) == hits.scores[:1]
    assert len(own_scores(level, template, hits[np.arange(0)], 0.3, silent)) == 0
