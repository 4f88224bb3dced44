"""Images refined one by one in ice that bends: how much of the bending is found, and what the average gains."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from napari_tomoflow.core.averaging.fsc_curve import fsc_curve
from napari_tomoflow.core.averaging.recipe import Recipe, ball
from napari_tomoflow.core.averaging.sources import RawSources
from napari_tomoflow.core.polishing.averaged import Species
from napari_tomoflow.core.polishing.subtilt import SubtiltSettings, refine_subtilts
from truth.deformed_scene import FAST, SPECIES, SceneParams, make_scene

SETTINGS = SubtiltSettings(rounds=1, learned_from=12)


def recipe_of(scene):
    params = scene.params
    return Recipe(params.box_px, params.pixel_ang, params.diameter_ang, 40.0)


def refined(scene, settings=SETTINGS, **services):
    recipe = recipe_of(scene)
    source = RawSources(scene.ensemble, recipe.diameter_ang / 2, "grant-grigorieff")
    species = Species(recipe, ball(recipe), np.ones(len(scene.ensemble.particles)))
    return refine_subtilts(source, scene.ensemble.maps[SPECIES].halves, species, settings, **services)


def curve_of(halves, scene):
    recipe = recipe_of(scene)
    return fsc_curve(*halves, recipe.pixel_ang, ball(recipe))


def agreed(curve):
    """Shells up to which halves agree, counting parts."""
    return np.clip(curve.corrected[1:], 0, 1).sum()


def places_of(scene, subtilts):
    """Where images were found, series by series."""
    places = {}
    for name, alignment in scene.ensemble.alignments.items():
        here = scene.ensemble.particles.tomogram == name
        rigid, _ = alignment.project(scene.ensemble.particles.centers_ang_zyx[here])
        places[name] = rigid + subtilts.shift_ang_yx[here].transpose(1, 0, 2)
    return places


@pytest.fixture(scope="module")
def bent():
    return make_scene(replace(FAST, shift_sd_ang=1.0))


@pytest.fixture(scope="module")
def ended(bent):
    return refined(bent)


def test_most_of_the_bending_is_found_and_the_average_gains(bent, ended):
    assert bent.share_recovered(places_of(bent, ended.subtilts)) > 0.8
    before, best = (curve_of(each, bent) for each in (bent.ensemble.maps[SPECIES].halves, bent.true_average.halves))
    gained = (agreed(ended.curve) - agreed(before)) / (agreed(best) - agreed(before))
    assert gained > 0.75
    assert ended.curve.resolution_ang() < before.resolution_ang() / 1.15
    assert ended.history[-1]["taken"]


def test_without_bending_nothing_gets_worse():
    rigid = make_scene(replace(FAST, bend_ang=0.0, seed=2))
    before = agreed(curve_of(rigid.ensemble.maps[SPECIES].halves, rigid))
    ended = refined(rigid)
    assert agreed(ended.curve) >= before
    assert ended.history[0]["spread_ang"] < 1.0


@pytest.mark.slow
def test_two_processes_give_the_same_bits_as_one(bent, ended):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        spread = refined(bent, map_batches=pool.map)
    np.testing.assert_array_equal(spread.subtilts.shift_ang_yx, ended.subtilts.shift_ang_yx)
    np.testing.assert_array_equal(spread.average.volume, ended.average.volume)


@pytest.mark.slow
@pytest.mark.parametrize("errors", [{}, {"shift_sd_ang": 1.5, "turn_sd_deg": 0.2}])
def test_a_thousand_particles_come_near_the_true_geometry(errors):
    scene = make_scene(SceneParams(**errors))
    ended = refined(scene, SubtiltSettings())
    before = curve_of(scene.ensemble.maps[SPECIES].halves, scene).resolution_ang()
    best = curve_of(scene.true_average.halves, scene).resolution_ang()
    assert best / ended.curve.resolution_ang() > 0.9
    assert before / ended.curve.resolution_ang() > 1.2
    assert scene.share_recovered(places_of(scene, ended.subtilts)) > 0.8
