"""Searching everywhere and climbing, on particles of an invented map."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.averaging.aligning import AlignImages, PosePlan
from napari_tomoflow.core.averaging.cubes import CubeGrid
from napari_tomoflow.core.averaging.samples import Samples, places_within
from napari_tomoflow.core.averaging.search import Everywhere, Poses, Reference, climb, refined
from napari_tomoflow.core.ops.so3 import angular_distance_deg, rotation_grid
from napari_tomoflow.core.simulation.molecules import hook
from truth.particle_images import Imaging, MapImages, density_of, random_particles

BOX, PIXEL_ANG, COUNT = 24, 8.0, 12
OFF_PX = 1.5


@pytest.fixture(scope="module")
def source():
    """Hooks whose places are known to 1.5 px only."""
    truth = random_particles(COUNT, seed=4)
    off = np.random.default_rng(1).normal(size=(COUNT, 3))
    off *= OFF_PX * PIXEL_ANG / np.linalg.norm(off, axis=1, keepdims=True)
    imaging = Imaging(pixel_ang=PIXEL_ANG, snr=4.0, n_tilts=21)
    images = MapImages(density_of(hook(), BOX, PIXEL_ANG), truth, imaging)
    return images.at(truth.replace(centers_ang_zyx=truth.centers_ang_zyx + off))


@pytest.fixture(scope="module")
def samples(source):
    return Samples.of(source.images(np.arange(COUNT)), 8.0)


@pytest.fixture(scope="module")
def reference(source):
    return Reference.of(source.volume, 8.0)


def errors(source, poses):
    """How far the best poses are off: degrees and pixels."""
    turned = angular_distance_deg(poses.rotations[:, 0], source.truth.matrices)
    wanted = (source.truth.centers_ang_zyx - source.particles.centers_ang_zyx)[:, ::-1] / PIXEL_ANG
    return turned, np.linalg.norm(poses.shift_px_xyz[:, 0] - wanted, axis=1)


def test_places_are_half_a_disc_from_low_to_high():
    places = places_within(5.0)
    radius = np.hypot(*places.T)
    assert (np.diff(radius) >= 0).all()
    assert radius[0] == 1.0
    assert radius[-1] < 5.0
    both = {tuple(place) for place in places} | {tuple(-place) for place in places}
    assert len(both) == 2 * len(places)
    assert len(both) == sum(0 < np.hypot(u, v) < 5 for u in range(-5, 6) for v in range(-5, 6))


def test_searching_everywhere_and_climbing_finds_every_particle(source, samples, reference):
    step_deg = 18.0
    everywhere = Everywhere(rotation_grid(step_deg), step_deg, 6.0, 2.5)
    poses = refined(samples, reference, everywhere.candidates(samples, reference, 8), (6.0, 8.0), 3.0)
    turned_deg, off_px = errors(source, poses)
    assert np.median(turned_deg) < 4.0
    assert turned_deg.max() < 12.0
    assert np.median(off_px) < 0.4


def test_agreements_on_the_lattice_are_the_same_share_of_those_of_the_images(samples, reference):
    """The lattice fades what is far from the centre, of all particles alike."""
    everywhere = Everywhere(rotation_grid(30.0), 30.0, 6.0, 0.0)
    rough = everywhere.candidates(samples, reference, 1)
    exact = climb(samples, reference, rough, 6.0, 3.0, steps=0)
    ratio = rough.agreement[:, 0] / exact.agreement[:, 0]
    assert 0.7 < ratio.mean() < 1.0
    assert ratio.std() < 0.05


def test_candidates_are_apart_and_the_best_comes_first(samples, reference):
    everywhere = Everywhere(rotation_grid(30.0), 30.0, 6.0, 2.5)
    found = everywhere.candidates(samples, reference, 6)
    assert (np.diff(found.agreement, axis=1) <= 0).all()
    for rotations in found.rotations[:, :3]:
        between = angular_distance_deg(rotations[:, None], rotations)
        assert between[np.triu_indices(3, 1)].min() > 30.0


def test_a_pose_out_of_reach_is_none(source, samples, reference):
    known = Poses.at(source.truth.matrices)
    assert (climb(samples, reference, known, 8.0, 3.0).agreement > 0).all()
    assert (climb(samples, reference, known, 8.0, 0.5).agreement == -1).all()


def test_a_map_seen_with_the_wrong_sign_is_no_pose(source, samples):
    inverted = Reference.of(-source.volume, 8.0)
    truth = Poses(
        source.truth.matrices[:, None],
        ((source.truth.centers_ang_zyx - source.particles.centers_ang_zyx)[:, None, ::-1] / PIXEL_ANG),
        np.zeros((COUNT, 1)),
        np.zeros((COUNT, 1)),
    )
    assert (climb(samples, inverted, truth, 8.0, 3.0, steps=0).agreement == -1).all()


def test_the_strength_of_the_map_itself_is_one(source, samples):
    amplitude = source._amplitude(None)
    true_scale = Reference.of(source.volume * amplitude, 8.0)
    found = climb(samples, true_scale, Poses.at(source.truth.matrices), 8.0, 3.0)
    assert np.median(found.strength) == pytest.approx(1.0, abs=0.1)


def test_who_strays_keeps_the_pose_known_so_far_with_the_score_it_has_there(source, samples, reference):
    known = Poses.at(source.truth.matrices @ Rotation.from_euler("z", 3.0, degrees=True).as_matrix())
    alone = PosePlan((4.0, 8.0), 1e-9).find(samples, reference, known)
    there = climb(samples, reference, known, 8.0, 1e-9, steps=0)
    assert (there.agreement > 0).sum() > COUNT // 2
    np.testing.assert_array_equal(alone.rotations, known.rotations)
    np.testing.assert_array_equal(alone.shift_px_xyz, 0)
    np.testing.assert_array_equal(alone.agreement, there.agreement)


def test_one_who_strays_does_not_touch_the_others(source, samples, reference):
    off = np.linalg.norm(source.truth.centers_ang_zyx - source.particles.centers_ang_zyx, axis=1) / PIXEL_ANG
    known, plan = Poses.at(source.truth.matrices), PosePlan((4.0, 8.0), float(np.sort(off)[COUNT // 2]))
    free, found = replace(plan, reach_px=3.0).find(samples, reference, known), plan.find(samples, reference, known)
    strayed = np.linalg.norm(free.shift_px_xyz[:, 0], axis=1) > plan.reach_px
    assert 0 < strayed.sum() < COUNT
    np.testing.assert_array_equal(found.rotations[~strayed], free.rotations[~strayed])
    np.testing.assert_array_equal(found.rotations[strayed], known.rotations[strayed])


def test_who_sees_the_map_with_the_wrong_sign_where_it_is_known_to_be_does_not_count(source):
    inverted = Reference.of(-source.volume, 8.0)
    images = source.at(source.truth).images(np.arange(3))
    known = source.truth.matrices[:3]
    aligned = AlignImages(inverted, PosePlan((4.0, 8.0), 1e-9), CubeGrid(source.box_px))(images, known)
    np.testing.assert_array_equal(aligned.rotations, known)
    np.testing.assert_array_equal(aligned.score, 0)
    assert not aligned.cube.any()


def test_a_search_everywhere_also_climbs_from_what_is_known(source, samples, reference):
    nowhere = Everywhere(np.eye(3)[None], 10.0, 6.0, 3.0)
    plan = PosePlan((6.0, 8.0), 3.0, nowhere, keeps_known=True)
    turned_deg, off_px = errors(source, plan.find(samples, reference, Poses.at(source.truth.matrices)))
    assert np.median(turned_deg) < 4.0
    assert np.median(off_px) < 0.4
