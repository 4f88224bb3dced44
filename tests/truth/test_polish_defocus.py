"""The CTF refined against averages made with a wrong one: defocus of every tilt, hand, and what the average gains."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.polishing.defocus import refine_ctf
from napari_tomoflow.core.stages.polish import PolishParams, polish
from truth.deformed_scene import FAST, make_scene


def with_hand(scene, hand):
    ctfs = {name: ctf.replace(hand=hand) for name, ctf in scene.ensemble.ctfs.items()}
    return scene.ensemble.replace(ctfs=ctfs)


def compared(scene, ensemble, **services):
    halves, fine_ang = scene.filtered_halves()
    return refine_ctf(scene.source(ensemble), halves, fine_ang, **services)


def error_ang(scene, ctfs):
    off = [ctfs[name].defocus_ang - true.defocus_ang for name, true in scene.truth.ctfs.items()]
    return np.sqrt(np.mean(np.square(off)))


@pytest.fixture(scope="module")
def lost():
    return make_scene(replace(FAST, bend_ang=0.0, defocus_sd_ang=800.0))


@pytest.fixture(scope="module")
def found(lost):
    return compared(lost, with_hand(lost, 0))


def test_the_defocus_of_most_tilts_is_found(lost, found):
    refined = {name: one.ctf for name, one in found.items()}
    assert error_ang(lost, refined) < 0.5 * error_ang(lost, lost.ensemble.ctfs)
    assert all(one.record["defocus_taken"] for one in found.values())


def test_a_hand_nobody_knew_is_found_and_one_that_was_known_stays(lost, found):
    for one in found.values():
        assert one.ctf.hand == lost.params.hand
        assert one.record["hand_evidence"] > 20


def test_the_average_comes_near_that_of_the_true_defocus(lost, found):
    # Not asked of the halves: a wrong CTF both have in common lends them agreement.
    refined = {name: one.ctf for name, one in found.items()}
    before, after, best = (lost.agrees_with_truth(ctfs) for ctfs in (lost.ensemble.ctfs, refined, lost.truth.ctfs))
    assert best > before
    assert (after - before) / (best - before) > 0.6


def test_a_right_defocus_is_left_alone():
    right = make_scene(replace(FAST, count=60, bend_ang=0.0))
    found = compared(right, right.ensemble)
    assert error_ang(right, {name: one.ctf for name, one in found.items()}) == 0
    wrong = compared(right, with_hand(right, -right.params.hand))
    for one in wrong.values():
        assert one.record["hand_seen"] == right.params.hand
        assert one.ctf.hand == -right.params.hand


@pytest.mark.slow
def test_the_stage_refines_the_ctf_before_anything_else(lost):
    params = PolishParams(mode="subtilt", rounds=1, ctf=True)
    made = polish(lost.ensemble, params=params)
    assert error_ang(lost, made.ctfs) < 0.5 * error_ang(lost, lost.ensemble.ctfs)
    assert set(made.quality["ctf"]) == set(lost.ensemble.series)
    defocus_ang = made.subtilts.defocus_u_ang[made.subtilts.tilt == 0].mean()
    refined = np.mean([ctf.defocus_u_ang[0] for ctf in made.ctfs.values()])
    assert defocus_ang == pytest.approx(refined, abs=400)
    assert refined != np.mean([ctf.defocus_u_ang[0] for ctf in lost.ensemble.ctfs.values()])
