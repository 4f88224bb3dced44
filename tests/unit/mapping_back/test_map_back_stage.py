"""Averages lie where their particles are, turned as these are, and statistics know what is next to what."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import DensityMap
from napari_tomoflow.core.model.placement import LABEL
from napari_tomoflow.core.simulation.molecules import hook, ribosome
from napari_tomoflow.core.stages.map_back import MapBackParams, map_back

from .placed import ORIGIN_ANG, SHAPE_ZYX, VOXEL_ANG, average, draw, ensemble, tomogram


def drawn(particles, inverted=False):
    """Draw the molecules of particles straight from their scatterers, blurred as painted averages are."""
    volume = np.zeros(SHAPE_ZYX, np.float32)
    for centre, pose in zip(particles.centers_ang_zyx, particles.matrices, strict=True):
        place = (centre - ORIGIN_ANG) / VOXEL_ANG + np.array(SHAPE_ZYX) // 2
        draw(volume, hook(), place, pose.T if inverted else pose, VOXEL_ANG)
    return gaussian_filter(volume, 0.4)


def likeness(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


def test_painted_averages_are_the_molecules_at_their_poses():
    given = ensemble()
    painted = map_back(tomogram(), given).painted
    assert likeness(painted, drawn(given.particles)) > 0.97
    assert likeness(painted, drawn(given.particles, inverted=True)) < 0.7
    assert likeness(painted[:, :, ::-1], drawn(given.particles)) < 0.5


@pytest.mark.parametrize("contrast", ["bright", "dark"])
@pytest.mark.parametrize("voxel_ang", [5.0, 8.0, 13.0])
def test_surface_holds_the_volume_of_the_molecule_whatever_the_voxel_and_the_contrast(voxel_ang, contrast):
    density = average(ribosome(), voxel_ang=voxel_ang, box_px=2 * round(160 / voxel_ang))
    if contrast == "dark":
        density = density.replace(volume=-density.volume, contrast="dark")
    placed = map_back(tomogram(), ensemble(1).replace(maps={"hook": density}))
    assert (placed.levels["hook"] > 0) == (contrast == "bright")
    molecule_nm3 = len(ribosome().points_ang_xyz) * 0.343  # a scatterer stands for a cell of 7 Å
    assert placed.quality["placed"]["hook"]["volume_nm3"] == pytest.approx(molecule_nm3, rel=0.35)
    inside_nm3 = np.count_nonzero(placed.painted >= 1) * (VOXEL_ANG / 10) ** 3
    assert inside_nm3 == pytest.approx(placed.quality["placed"]["hook"]["volume_nm3"], rel=0.2)


def test_noise_around_an_average_is_not_placed():
    noisy = average(noise=0.08)
    clean, placed = (map_back(tomogram(), ensemble(3).replace(maps={"hook": one})) for one in (average(), noisy))
    assert np.count_nonzero(placed.labels) == pytest.approx(np.count_nonzero(clean.labels), rel=0.15)
    assert likeness(placed.painted, clean.painted) > 0.97


def test_surface_asked_for_is_where_it_is_said_to_be():
    tight, wide = (map_back(tomogram(), ensemble(2), params=MapBackParams(level_sd=sd)) for sd in (6.0, 2.0))
    volume = np.asarray(average().volume)
    assert wide.levels["hook"] == pytest.approx(np.median(volume) + 2.0 * volume.std())
    assert wide.quality["placed"]["hook"]["volume_nm3"] > 1.5 * tight.quality["placed"]["hook"]["volume_nm3"]


def test_every_face_of_the_painted_surface_lies_between_voxels_of_one_label():
    placed = map_back(tomogram(), ensemble(5))
    inside = placed.painted >= 1
    for axis in range(3):
        faces = np.moveaxis(inside, axis, 0)
        labels = np.moveaxis(np.asarray(placed.labels), axis, 0)
        crossed = faces[1:] != faces[:-1]
        assert np.all(labels[1:][crossed] > 0)
        assert np.all(labels[:-1][crossed] > 0)


@pytest.mark.parametrize(("label_by", "highest"), [("particle", 6), ("class", 2), ("species", 2)])
def test_labels_count_what_is_asked_for(label_by, highest):
    given = ensemble(6, ("hook", "proteasome", "proteasome"))
    placed = map_back(tomogram(), given, params=MapBackParams(label_by=label_by))
    labels = placed.particles.features[LABEL]
    assert set(np.unique(placed.labels)) == {0, *range(1, highest + 1)}
    centres = (
        np.round((given.particles.centers_ang_zyx - ORIGIN_ANG) / VOXEL_ANG).astype(int) + np.array(SHAPE_ZYX) // 2
    )
    hooks = given.particles.features["species"] == "hook"  # barrels are hollow
    np.testing.assert_array_equal(placed.labels[tuple(centres[hooks].T)], labels[hooks])


def test_overlapping_averages_add_up_or_the_denser_one_counts():
    given = ensemble(2)
    together = given.particles.replace(
        centers_ang_zyx=np.repeat(given.particles.centers_ang_zyx[:1], 2, axis=0),
        quaternions_xyzw=np.repeat(given.particles.quaternions_xyzw[:1], 2, axis=0),
    )
    highest, added = (
        map_back(tomogram(), given.replace(particles=together), params=MapBackParams(paint=paint)).painted
        for paint in ("max", "add")
    )
    assert highest.max() > 1
    np.testing.assert_allclose(added, 2 * highest, rtol=1e-5)


def test_only_what_is_asked_for_is_placed():
    given = ensemble(12, ("hook", "proteasome"), ("TS_1", "TS_1", "TS_2"))
    here = given.particles.tomogram == "TS_1"
    assert map_back(tomogram(), given).quality["n_placed"] == here.sum()
    barrels = map_back(tomogram(), given, params=MapBackParams(species="proteasome"))
    assert set(barrels.species) == {"proteasome"}
    good = map_back(tomogram(), given, params=MapBackParams(score_min=0.5))
    np.testing.assert_array_equal(good.particles.ids, given.particles.ids[here & (given.particles.score >= 0.5)])
    judged = given.particles.replace(features={**given.particles.features, "counted": np.arange(12) % 4 > 0})
    counted, everyone = (
        map_back(tomogram(), given.replace(particles=judged), params=MapBackParams(uncounted=uncounted))
        for uncounted in (False, True)
    )
    np.testing.assert_array_equal(counted.particles.ids, judged.ids[here & (np.arange(12) % 4 > 0)])
    assert (counted.quality["n_left_out"], everyone.quality["n_left_out"]) == (2, 0)
    with pytest.raises(MissingError, match="no average of vault; choose from hook, proteasome"):
        map_back(tomogram(), given, params=MapBackParams(species="hook, vault"))
    with pytest.raises(MissingError, match="TS_1: none of 12 averaged particles is left"):
        map_back(tomogram(), given, params=MapBackParams(score_min=2.0))


def test_particles_outside_and_averages_that_are_cut_are_pointed_out():
    given = ensemble(4)
    centres = given.particles.centers_ang_zyx.copy()
    centres[0, 0] += 1000.0
    placed = map_back(tomogram(), given.replace(particles=given.particles.replace(centers_ang_zyx=centres)))
    assert placed.quality["n_outside"] == 1
    assert "1 of 4 particles lie outside" in placed.quality["warnings"][0]
    cut = average(box_px=14)
    assert "reaches the border" in map_back(tomogram(), ensemble().replace(maps={"hook": cut})).quality["warnings"][0]


def test_average_of_nothing_is_refused():
    empty = DensityMap(name="nothing", volume=np.zeros((16, 16, 16), np.float32), voxel_ang=5.0)
    with pytest.raises(DataError, match="nothing has no body"):
        map_back(tomogram(), ensemble().replace(maps={"hook": empty}))


def test_slabs_make_no_difference(monkeypatch):
    from napari_tomoflow.core.mapping_back import painting

    whole = map_back(tomogram(), ensemble())
    monkeypatch.setattr(painting, "_VOXELS_AT_ONCE", 5 * SHAPE_ZYX[1] * SHAPE_ZYX[2])
    slabs = map_back(tomogram(), ensemble())
    np.testing.assert_array_equal(whole.painted, slabs.painted)
    np.testing.assert_array_equal(whole.labels, slabs.labels)
