"""Microscopes that stretch their images along one direction: by how much, and what the average gains by knowing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from napari_tomoflow.core.averaging.recipe import Recipe
from napari_tomoflow.core.averaging.reconstruct import reconstruct_at_poses
from napari_tomoflow.core.model import Optics
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.polishing.averaged import Species
from napari_tomoflow.core.polishing.defocus_course import refine_ctfs
from napari_tomoflow.core.polishing.defocus_sums import Band
from napari_tomoflow.core.polishing.magnification import refine_magnification
from truth.deformed_scene import FAST, make_scene

RIGID = replace(FAST, bend_ang=0.0, tilt_weakens=True, count=40)
_TELLING_FSC = 0.3


def stretched(percent, azimuth_deg):
    """A microscope whose images are longer along a direction than across it, and as large as they should be."""
    twice, half = np.deg2rad(2 * azimuth_deg), np.log(1 + percent / 100) / 2
    matrix = expm(half * np.array([[np.cos(twice), np.sin(twice)], [np.sin(twice), -np.cos(twice)]]))
    return Optics(magnification=tuple(map(tuple, matrix.tolist())))


def off_percent(found, true):
    """How far a magnification is off: the largest error of any length, in percent."""
    return 100 * (np.linalg.norm(np.linalg.inv(true.magnification) @ found.magnification, 2) - 1)


def share_gained(scene, ctfs):
    """How much of what the true magnification gains in agreement with the truth some other gains.

    Only shells count in which the average at the true magnification tells anything.
    """
    curves = []
    for one in (scene.ensemble.ctfs, ctfs, scene.truth.ctfs):
        made = reconstruct_at_poses(scene.source(scene.ensemble.replace(ctfs=one)))
        curves.append(shell_sums(made.volume * scene.mask, scene.density * scene.mask).fsc[1:])
    before, after, best = (curve[curves[-1] > _TELLING_FSC].sum() for curve in curves)
    return (after - before) / (best - before)


def test_a_stretch_is_found_at_once_and_none_where_there_is_none():
    true = stretched(2.0, 30.0)
    for optics, expected in ((true, 0.25), (Optics(), 1e-9)):
        scene = make_scene(replace(RIGID, optics=optics, known_optics=Optics()))
        halves, fine_ang = scene.filtered_halves()
        ctfs, record = refine_magnification(scene.source(), halves, Band(30.0, fine_ang))
        assert [(one["series"], one["accepted"]) for one in record] == [(["TS_01", "TS_02"], optics is true)]
        for name, ctf in ctfs.items():
            assert off_percent(ctf.optics, optics) < expected
            shown = ctf.magnified()
            np.testing.assert_allclose(shown.defocus_u_ang, scene.ensemble.ctfs[name].defocus_u_ang, atol=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_two_percent_come_back_within_a_tenth_and_the_average_gains_what_it_can():
    true = stretched(2.0, 30.0)
    params = replace(RIGID, count=120, pixel_ang=4.0, optics=true, known_optics=Optics())
    scene = make_scene(params)
    recipe = Recipe(params.box_px, params.pixel_ang, params.diameter_ang, 40.0)
    found = refine_ctfs(scene.ensemble, Species(recipe, scene.mask, np.ones(params.count)), "grant-grigorieff")
    assert found.optics[0][0]["magnification"]["accepted"]
    for name, ctf in found.ctfs.items():
        assert ctf.optics.aberrations == Optics().aberrations
        assert off_percent(ctf.optics, true) < 0.1
        # Fringes that are not round are those of a round lens, once images are known to be stretched.
        before, after = (
            np.abs(one.defocus_u_ang - one.defocus_v_ang).mean() for one in (scene.ensemble.ctfs[name], ctf)
        )
        assert after < 0.15 * before
    assert share_gained(scene, found.ctfs) > 0.9
