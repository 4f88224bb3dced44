"""Trajectories say of every particle what its path and the bent alignment say of it."""

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment, Deformation, ParticleSet, TiltSeries
from napari_tomoflow.core.model.paths import PATH_NODES, path_weights
from napari_tomoflow.io.relion_motion import PARTICLE_NAME, trajectories, with_names, write_trajectories
from napari_tomoflow.io.star import read_star

RNG = np.random.default_rng(2)
N = 7
BENT = Alignment(
    tilt_deg=np.linspace(-60, 60, N),
    axis_deg=85.0,
    shift_ang_yx=RNG.normal(0, 20, (N, 2)),
    kept=np.arange(N) != 2,
    deformation=Deformation(nodes_ang_yx=RNG.normal(0, 8, (N, 3, 3, 2)), field_ang_yx=(4000.0, 4000.0)),
)
PARTICLES = ParticleSet(
    centers_ang_zyx=RNG.uniform(-1, 1, (5, 3)) * [300, 1500, 1500], tomogram=np.array(["A", "B", "A", "B", "B"])
)
SERIES = TiltSeries(
    name="A",
    images=np.zeros((N, 8, 8), np.float32),
    tilt_deg=BENT.tilt_deg,
    pixel_ang=500.0,
    dose_before_e_ang2=3.0 * np.array([5, 3, 1, 0, 2, 4, 6]),
)
MOVING = PARTICLES.along(RNG.normal(0, 6, (5, PATH_NODES, 3)))


@pytest.mark.parametrize("particles", [PARTICLES, MOVING], ids=["still", "moving"])
def test_a_particle_that_takes_its_step_is_seen_by_a_rigid_alignment_where_the_bent_one_sees_it(particles):
    steps = trajectories(BENT, SERIES, particles)
    rigid = BENT.replace(deformation=None)
    moved = np.einsum("nk,pka->npa", path_weights(SERIES), particles.known_paths_ang_zyx)
    bent_yx, _ = BENT.project(particles.centers_ang_zyx, moved)
    assert np.abs(steps).max() > 4.0
    for tilt in range(N):
        stepped = PARTICLES.centers_ang_zyx + steps[:, tilt, ::-1]
        np.testing.assert_allclose(rigid.project(stepped)[0][tilt], bent_yx[tilt], atol=1e-6)


def test_the_table_has_a_block_for_each_particle_and_a_row_for_each_tilt_in_use(tmp_path):
    named = with_names(PARTICLES)
    assert named.features[PARTICLE_NAME].tolist() == ["A/1", "B/1", "A/2", "B/2", "B/3"]
    rigid = BENT.replace(deformation=None)
    write_trajectories(tmp_path / "motion.star", named, {"A": (BENT, SERIES), "B": (rigid, SERIES)})
    blocks = read_star(tmp_path / "motion.star")
    assert list(blocks) == ["general", *named.features[PARTICLE_NAME]]
    assert int(blocks["general"]["rlnParticleNumber"]) == 5
    expected = trajectories(BENT, SERIES, PARTICLES[[2]])[0, BENT.kept]
    np.testing.assert_allclose(np.array(blocks["A/2"], float), expected, atol=1e-4)
    assert not np.array(blocks["B/3"], float).any()


def test_a_path_in_a_rigid_specimen_is_written_as_it_is():
    steps = trajectories(BENT.replace(deformation=None), SERIES, MOVING)
    # The fourth tilt is the first to be exposed, the seventh the last.
    np.testing.assert_allclose(steps[:, [3, 6]], MOVING.paths_ang_zyx[:, [0, -1], ::-1])


@pytest.mark.parametrize("names", [["x/1", "x/2", "x/3", "x/4", "x/5"], ["same"] * 5])
def test_names_that_tell_particles_apart_are_kept(names):
    given = PARTICLES.replace(features={PARTICLE_NAME: np.array(names)})
    kept = with_names(given).features[PARTICLE_NAME].tolist()
    assert (kept == names) == (len(set(names)) == 5)
    assert len(set(kept)) == 5
