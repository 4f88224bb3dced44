"""Placed averages in files: they come back as they were, and ChimeraX and ArtiaX find what they need."""

import re

import mrcfile
import numpy as np
import pytest
import starfile
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import MappedBack
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.core.stages.map_back import MapBackParams, map_back
from napari_tomoflow.io.placement_colours import colours_of, hex_of, legend_of, limits_of
from napari_tomoflow.io.plots.map_back import map_back_figures
from napari_tomoflow.io.results import load, save
from unit.mapping_back.placed import ORIGIN_ANG, SHAPE_ZYX, VOXEL_ANG, ensemble, tomogram


@pytest.fixture(scope="module")
def placed():
    return map_back(tomogram(), ensemble(9, ("hook", "proteasome")))


@pytest.fixture(scope="module")
def folder(placed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("placed") / "TS_1"
    assert save(placed, folder) == {"MappedBack": "painted.mrc"}
    return folder


def test_everything_placed_comes_back(placed, folder):
    again = load(MappedBack, folder)
    np.testing.assert_array_equal(again.painted[:], placed.painted)
    np.testing.assert_array_equal(again.labels[:], placed.labels)
    np.testing.assert_allclose(again.particles.centers_ang_zyx, placed.particles.centers_ang_zyx)
    assert again.species.tolist() == placed.species.tolist()
    assert (again.levels, again.origin_ang_zyx) == (placed.levels, placed.origin_ang_zyx)
    assert {name: one.symmetry for name, one in again.maps.items()} == {"hook": "C1", "proteasome": "D7"}
    for name, column in vars(placed.neighbours).items():
        np.testing.assert_allclose(getattr(again.neighbours, name), column, err_msg=name)


def test_one_alone_is_kept_without_neighbours(tmp_path):
    save(map_back(tomogram(), ensemble(1)), tmp_path)
    assert not (tmp_path / "neighbours.star").exists()
    assert len(load(MappedBack, tmp_path).neighbours.of) == 0


def test_damaged_record_is_named(folder, tmp_path):
    for file in folder.rglob("*"):
        if file.is_file():
            copy = tmp_path / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    (tmp_path / "map_back.json").write_text('{"name": ')
    with pytest.raises(DataError, match=r"map_back\.json is damaged"):
        load(MappedBack, tmp_path)


def test_chimerax_script_opens_what_is_there_and_colours_every_label(placed, folder):
    script = (folder / "map_back.cxc").read_text()
    for name in re.findall(r'open "([^"]+)"', script):
        assert (folder / name).is_file(), name
    palette = dict(entry.split(",") for entry in re.search(r"palette (\S+)", script)[1].split(":"))
    labels = placed.particles.features[LABEL]
    assert palette == dict(zip(map(str, labels), hex_of(colours_of(placed)), strict=True))
    for name in ("painted.mrc", "labels.mrc"):
        with mrcfile.open(folder / name, header_only=True) as file:
            origin = [float(file.header.origin[axis]) for axis in "zyx"]
        np.testing.assert_allclose(origin, ORIGIN_ANG - np.array(SHAPE_ZYX) // 2 * VOXEL_ANG)


def test_artiax_finds_lists_and_maps_and_puts_them_where_they_are_painted(placed, folder):
    script = (folder / "artiax.cxc").read_text()
    for name in re.findall(r'open (?:tomo )?"([^"]+)"', script):
        assert (folder / name).is_file(), name
    for number, name in enumerate(placed.maps, start=1):
        assert f"attach #{number + 1} toParticleList #1.2.{number}" in script
        assert f"#1.2.{number} originScaleFactor {VOXEL_ANG:g}" in script
        table = starfile.read(folder / f"artiax_{name}.star", always_dict=True)["particles"]
        voxels_xyz = table[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy()
        expected = placed.particles.centers_ang_zyx[placed.species == name][:, ::-1] - ORIGIN_ANG[::-1]
        np.testing.assert_allclose((voxels_xyz - np.array(SHAPE_ZYX[::-1]) // 2) * VOXEL_ANG, expected)
        assert "rlnTomoName" not in table  # ArtiaX takes names apart at an underscore
    # The centre of the hook is in its body, so the painted volume is dense where the list says.
    hooks = starfile.read(folder / "artiax_hook.star", always_dict=True)["particles"]
    places = hooks[[f"rlnCoordinate{axis}" for axis in "ZYX"]].to_numpy().T
    assert map_coordinates(placed.painted, places, order=1).min() > 0.5


def test_colours_tell_the_column_asked_for(placed):
    by_species = colours_of(placed, "species")
    assert len(np.unique(by_species, axis=0)) == 2
    assert set(legend_of(placed, "species")) == {"hook", "proteasome"}
    assert legend_of(placed, "score") == {}
    by_score = colours_of(placed, "score")
    low, high = limits_of(placed, "score")
    score = placed.particles.score
    assert low >= score.min()
    assert high <= score.max()
    assert not np.array_equal(by_score[np.argmin(score)], by_score[np.argmax(score)])
    unknown = placed.replace(particles=placed.particles.replace(score=np.full(9, np.nan)))
    assert np.ptp(colours_of(unknown, "score")) == 0
    with pytest.raises(DataError, match="cannot be coloured by 'taste'"):
        colours_of(placed, "taste")


def test_figures_show_the_particles_where_they_are_in_their_colours(placed):
    figures = map_back_figures(placed)
    assert set(figures) == {"placed", "neighbours"}
    above, side = (axes.get_images()[0].get_array() for axes in figures["placed"].axes[:2])
    assert above.shape[:2] == SHAPE_ZYX[1:]
    assert side.shape[:2] == (SHAPE_ZYX[0], SHAPE_ZYX[2])
    is_painted = np.any(np.asarray(placed.painted) >= 1, axis=0)
    np.testing.assert_array_equal(np.any(above < 1, axis=2), is_painted)
    highest = int(np.argmax(placed.particles.centers_ang_zyx[:, 0] * (placed.species == "hook")))
    place = (placed.particles.centers_ang_zyx[highest] - ORIGIN_ANG) / VOXEL_ANG + np.array(SHAPE_ZYX) // 2
    seen = above[tuple(np.round(place[1:]).astype(int))]
    colour = colours_of(placed)[highest]
    assert np.dot(seen, colour) > 0.99 * np.linalg.norm(seen) * np.linalg.norm(colour)


def test_map_back_of_a_scale_has_a_colour_bar():
    scored = map_back(tomogram(), ensemble(3), params=MapBackParams(colour_by="score"))
    assert len(map_back_figures(scored)["placed"].axes) == 3
