"""The table of what polishing brings is made, on a size that takes no time."""

from benchmarks.bench_polish_gain import CASES, COLUMNS, MODES, half_ang, measure, places_of, table
from napari_tomoflow.core.stages.polish import PolishParams, polish
from truth.deformed_scene import SceneParams, make_scene

SMALL = {"count": 24, "pixel_ang": 10.0}
LITTLE = {"n_series": 1, "n_tilts": 7}


def test_every_case_and_mode_has_its_line():
    lines = list(table(**SMALL, cases=["bent"], **LITTLE))
    assert [line.count("|") for line in lines] == [len(COLUMNS) + 1] * 4
    assert [line.split(" | ")[1] for line in lines[2:]] == list(MODES)
    assert len(CASES) == 3


def test_places_of_single_images_are_those_the_result_holds():
    scene = make_scene(SceneParams(**SMALL, **LITTLE))
    alone = polish(scene.ensemble, params=PolishParams(mode="subtilt", rounds=1))
    name, alignment = next(iter(scene.ensemble.alignments.items()))
    moved = places_of(scene, alone)[name] - alignment.project(scene.ensemble.particles.centers_ang_zyx)[0]
    subtilts = alone.subtilts
    for number in (0, len(subtilts.tilt) // 2):
        here = moved[subtilts.tilt[number], subtilts.particle[number]]
        assert abs(here - subtilts.shift_ang_yx[number]).max() < 1e-9


def test_a_map_agrees_with_itself_to_the_end():
    scene = make_scene(SceneParams(**SMALL, **LITTLE))
    assert half_ang(scene.density, scene.density, 1.0, 10.0) == 20.0
    assert measure(scene, "bent", "regularised").before_ang >= 20.0
