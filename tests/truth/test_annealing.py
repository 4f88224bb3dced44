"""A first map of few particles, each summed in all poses as likely as they are."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.annealing import Annealing, annealed_map
from napari_tomoflow.core.averaging.initial import Descent
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.ops.masks import soft_sphere
from napari_tomoflow.core.simulation.molecules import ribosome
from napari_tomoflow.core.stages.initial_model import InitialModelParams, initial_model
from napari_tomoflow.core.stages.refine import RefineParams, refine
from truth.docking import frame_of, fsc_with
from truth.particle_images import Imaging, density_of
from truth.test_average_fiducials import BOX_PX, PIXEL_ANG, average, data_of, template
from truth.test_average_fiducials_unaligned import half_ang
from truth.test_initial_model import aligned_with, fsc_at
from truth.test_refine import Kept, unaligned

ANNEALING = Annealing(diameter_ang=260.0, resolution_ang=60.0, iterations=16, starts=2)
THE_SAME = Descent(diameter_ang=260.0, resolution_ang=60.0)


@pytest.fixture(scope="module")
def few():
    return unaligned(density_of(ribosome(), 24, 20.0), Imaging(pixel_ang=20.0, snr=10.0, n_tilts=21), 24)


@pytest.fixture(scope="module")
def annealed(few):
    return annealed_map(few, ANNEALING)


def test_a_molecule_appears_from_few_particles(few, annealed):
    refined = aligned_with(annealed.volume, few, THE_SAME)
    assert fsc_at(60.0, few, refined, THE_SAME) > 0.5
    _, off_deg, left_px = frame_of(refined.particles, few.truth, few.pixel_ang)
    assert np.median(off_deg) < 10.0
    assert np.median(left_px) < 0.7


def test_the_best_start_wins_and_its_scores_rise(annealed):
    scores = annealed.quality["score"]
    assert len(scores) == ANNEALING.iterations
    assert scores[-1] == max(annealed.quality["score_of_starts"]) > 1.1 * scores[0]


def test_stopped_after_a_start_it_goes_on_to_the_same_map(few):
    short, kept = replace(ANNEALING, iterations=3), Kept(stop_after=1)
    with pytest.raises(KeyboardInterrupt):
        annealed_map(few, short, steps=kept)
    kept.stop_after = None
    resumed, straight = (annealed_map(few, short, steps=steps) for steps in (kept, Kept()))
    np.testing.assert_array_equal(resumed.volume, straight.volume)
    assert resumed.quality == straight.quality


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_subunits_among_gold_reach_what_their_true_poses_allow(shared_data):
    """All that lie in the field as a whole: fifty-three, of which lots of twelve never made a map."""
    folder = shared_data("sim_fiducial_A")
    dataset = data_of(folder, "R30S", within_ang=1100.0)
    truth = dataset.particles
    off = np.random.default_rng(1).normal(size=(len(truth), 3)) * 5.0 / 3**0.5
    lost = truth.replace(centers_ang_zyx=truth.centers_ang_zyx + off, quaternions_xyzw=np.array([0.0, 0.0, 0.0, 1.0]))
    first = initial_model(dataset.replace(particles=lost), params=InitialModelParams(diameter_ang=200.0))
    refined = refine(
        dataset.replace(particles=first.particles), first.map, params=RefineParams(diameter_ang=200.0, box_px=BOX_PX)
    )
    frame, off_deg, _ = frame_of(refined.particles, truth, PIXEL_ANG)
    assert np.median(off_deg) < 5.0
    true, mask = template(folder, "R30S"), soft_sphere(BOX_PX, 29, 6)
    best = average(dataset, 200.0, "C1").volume
    found_ang = half_ang(fsc_with(true, refined.map.volume, frame, mask))
    assert found_ang < 1.15 * half_ang(shell_sums(best * mask, true * mask).fsc)
