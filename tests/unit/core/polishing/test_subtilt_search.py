"""Single images are found where they are, whoever else is looked at, and stay where they were if they show nothing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.images import ParticleImages, shift_phases
from napari_tomoflow.core.averaging.search import Reference
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops.geometry import tilt_rotations
from napari_tomoflow.core.ops.so3 import angular_distance_deg
from napari_tomoflow.core.polishing.subtilt_search import Spread, SubtiltPlan, search_subtilts
from napari_tomoflow.core.simulation.molecules import ribosome
from truth.particle_images import density_of, random_particles

BOX_PX, PIXEL_ANG, TILTS = 32, 10.0, 3
PLAN = SubtiltPlan(radii=(8.0, 14.0), spread=Spread(2.0, 4.0), tries=4, seed=3)


@pytest.fixture(scope="module")
def reference():
    return Reference.of(density_of(ribosome(), BOX_PX, PIXEL_ANG), 14.0)


@pytest.fixture(scope="module")
def particles():
    return random_particles(4, seed=5)


def imaged(reference, particles, turns, shift_ang_yx, told=1e6, noise=0.0):
    """Images of particles as rotations R turned by `turns` see them, shifted; `told` is Σ P |M|² of each."""
    rotations = np.tile(tilt_rotations(80.0, np.array([-40.0, 0.0, 40.0])), (len(particles), 1, 1, 1))
    axes = np.ascontiguousarray((turns @ rotations @ particles.matrices[:, None])[:, :, :2], np.float32)
    images_rft = reference.grid.extract(reference.cube_rft, axes) * shift_phases(BOX_PX, shift_ang_yx / PIXEL_ANG)
    strength = np.sqrt(told / np.mean(np.sum(np.abs(images_rft) ** 2, axis=(-2, -1))))
    rng = np.random.default_rng(1)
    waves = rng.normal(size=(2, *images_rft.shape)) * noise
    power = np.full(images_rft.shape, strength**2, np.float32)
    return ParticleImages(
        images_rft=(strength**2 * images_rft + strength * (waves[0] + 1j * waves[1])).astype(np.complex64),
        power=power,
        rotations=rotations,
        visible=np.ones(rotations.shape[:2], bool),
        pixel_ang=PIXEL_ANG,
    )


def off(count, turn_deg=2.0, shift_ang=5.0):
    rng = np.random.default_rng(2)
    turns = Rotation.from_rotvec(np.deg2rad(turn_deg) * rng.normal(size=(count * TILTS, 3))).as_matrix()
    return turns.reshape(count, TILTS, 3, 3), shift_ang * rng.normal(size=(count, TILTS, 2))


def test_turned_and_shifted_images_are_found(reference, particles):
    turns, shift_ang_yx = off(4)
    images = imaged(reference, particles, turns, shift_ang_yx)
    found = search_subtilts(images, particles.matrices, particles.ids, reference, PLAN)
    np.testing.assert_allclose(found.shift_ang_yx, shift_ang_yx, atol=0.1)
    true = (turns @ images.rotations).reshape(-1, 3, 3)
    assert angular_distance_deg(found.rotations.reshape(-1, 3, 3), true).max() < 0.3
    np.testing.assert_allclose(found.agreement / found.power, 1.0, atol=0.02)
    assert found.shown.all()


def test_images_that_are_stretched_are_found_turned_like_others(reference, particles):
    stretch = Optics(magnification=((1.015, 0.0), (0.0, 0.985))).stretch
    turns, shift_ang_yx = off(4)
    images = imaged(reference, particles, stretch @ turns, shift_ang_yx)
    true = (turns @ images.rotations).reshape(-1, 3, 3)
    images = replace(images, rotations=stretch @ images.rotations)
    found = search_subtilts(images, particles.matrices, particles.ids, reference, PLAN)
    upright = (np.linalg.inv(stretch) @ found.rotations).reshape(-1, 3, 3)
    np.testing.assert_allclose(found.shift_ang_yx, shift_ang_yx, atol=0.1)
    np.testing.assert_allclose(
        upright @ np.swapaxes(upright, 1, 2), np.tile(np.eye(3), (len(upright), 1, 1)), atol=1e-9
    )
    assert angular_distance_deg(upright, true).max() < 0.3


def test_who_else_is_in_the_batch_does_not_matter(reference, particles):
    images = imaged(reference, particles, *off(4), noise=0.7)
    together = search_subtilts(images, particles.matrices, particles.ids, reference, PLAN)
    arrays = {name: getattr(images, name)[2:3] for name in ("images_rft", "power", "rotations", "visible")}
    one = particles[np.array([2])]
    alone = search_subtilts(replace(images, **arrays), one.matrices, one.ids, reference, PLAN)
    np.testing.assert_array_equal(alone.rotations[0], together.rotations[2])
    np.testing.assert_array_equal(alone.shift_ang_yx[0], together.shift_ang_yx[2])


def test_images_that_show_nothing_stay_where_they_were(reference, particles):
    images = imaged(reference, particles, *off(4))
    visible = images.visible.copy()
    visible[1, 2] = False
    found = search_subtilts(replace(images, visible=visible), particles.matrices, particles.ids, reference, PLAN)
    assert not found.shown[1, 2]
    np.testing.assert_array_equal(found.rotations[1, 2], images.rotations[1, 2])
    assert found.power[1, 2] == 0
    assert not found.shift_ang_yx[1, 2].any()


def test_the_spread_is_learned_from_what_was_found_and_what_noise_leaves_open(reference):
    many = random_particles(40, seed=8)
    turns, shift_ang_yx = off(40, turn_deg=1e-6, shift_ang=3.0)
    images = imaged(reference, many, turns, shift_ang_yx, told=150.0, noise=0.5**0.5)
    spread = Spread(0.5, 6.0)
    for _ in range(6):
        found = search_subtilts(images, many.matrices, many.ids, reference, replace(PLAN, spread=spread))
        spread = Spread(0.5, float(np.sqrt(found.moved[1] / found.shown.sum())))
    # Noise alone would have let them stray further, the images drawn to their places less far.
    assert spread.shift_ang == pytest.approx(3.0, rel=0.15)
    assert np.sqrt(np.mean(found.shift_ang_yx**2)) < 0.97 * spread.shift_ang
