"""Particles that move along paths of their own while the beam is on."""

import numpy as np
import pytest

from napari_tomoflow.core.averaging.sampling import Sampling
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import Alignment, Dataset, ParticleSet, TiltSeries
from napari_tomoflow.core.model.paths import PATH_NODES, path_weights
from napari_tomoflow.io.results import load, save

RNG = np.random.default_rng(6)
N, P = 5, 3
PATHS = RNG.normal(0, 20, (P, PATH_NODES, 3))
STILL = ParticleSet(centers_ang_zyx=RNG.uniform(-200, 200, (P, 3)), tomogram=np.array("A"))
MOVING = STILL.along(PATHS)
SERIES = TiltSeries(
    name="A",
    images=RNG.normal(100, 5, (N, 250, 250)).astype(np.float32),
    tilt_deg=np.linspace(-40, 40, N),
    pixel_ang=4.0,
    axis_deg=85.0,
    dose_before_e_ang2=3.0 * np.array([4, 1, 0, 2, 3]),
    dose_of_tilt_e_ang2=3.0,
)
ALIGNMENT = Alignment(tilt_deg=SERIES.tilt_deg, axis_deg=85.0, shift_ang_yx=RNG.normal(0, 30, (N, 2)))


def test_a_path_runs_through_its_nodes_early_steps_first():
    weights = path_weights(SERIES)
    np.testing.assert_allclose(SERIES.exposure_share, [1.0, 0.25, 0.0, 0.5, 0.75])
    np.testing.assert_allclose(weights[[2, 0]], np.eye(PATH_NODES)[[0, -1]], atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    # A quarter of the exposure is half of its root: midway between the second node and the third.
    assert weights[1, 1] == pytest.approx(weights[1, 2])


def test_particles_keep_their_paths_among_others_and_in_files(tmp_path):
    np.testing.assert_array_equal(MOVING[[2, 0]].paths_ang_zyx, PATHS[[2, 0]])
    joined = ParticleSet.joined([MOVING, STILL])
    np.testing.assert_array_equal(joined.paths_ang_zyx, np.concatenate([PATHS, np.zeros_like(PATHS)]))
    save(MOVING, tmp_path)
    np.testing.assert_allclose(load(ParticleSet, tmp_path).paths_ang_zyx, PATHS, atol=1e-9)


def test_particles_whose_paths_are_zero_lie_still():
    assert STILL.paths_ang_zyx is None
    assert not STILL.known_paths_ang_zyx.any()
    assert MOVING.along(np.zeros_like(PATHS)).paths_ang_zyx is None


def test_a_moved_point_is_seen_where_a_point_is_that_lies_there():
    moved = RNG.normal(0, 20, (N, P, 3))
    image_ang_yx, depth_ang = ALIGNMENT.project(STILL.centers_ang_zyx, moved)
    for tilt in range(N):
        there = ALIGNMENT.project(STILL.centers_ang_zyx + moved[tilt])
        np.testing.assert_allclose(image_ang_yx[tilt], there[0][tilt], atol=1e-9)
        np.testing.assert_allclose(depth_ang[tilt], there[1][tilt], atol=1e-9)


def test_images_are_cut_out_where_the_path_has_the_particle():
    sampling = Sampling(24, 4.0, 40.0, dose_weighting="none")

    def images(particles):
        data = Dataset(particles=particles, series={"A": SERIES}, alignments={"A": ALIGNMENT}, ctfs={})
        return DatasetImages(data, sampling).images(np.arange(P)).images_rft

    found = images(MOVING)
    assert not np.allclose(found, images(STILL), atol=1e-3)
    for tilt, nodes in enumerate(path_weights(SERIES)):
        there = images(STILL.replace(centers_ang_zyx=STILL.centers_ang_zyx + nodes @ PATHS))
        np.testing.assert_allclose(found[:, tilt], there[:, tilt], atol=1e-4)
