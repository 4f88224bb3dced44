"""Microscopes that are not what they were thought to be: aberrations, and series weaker than others."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tomoflow.core.averaging.recipe import Recipe
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Aberrations, Optics
from napari_tomoflow.core.ops.aberrations import even_phase_rad, odd_phase_rad
from napari_tomoflow.core.ops.ctf import gamma_per_defocus
from napari_tomoflow.core.polishing.aberrations import refine_optics
from napari_tomoflow.core.polishing.averaged import Species
from napari_tomoflow.core.polishing.defocus_course import refine_ctfs
from napari_tomoflow.core.polishing.defocus_sums import Band
from truth.deformed_scene import FAST, make_scene

RIGID = replace(FAST, bend_ang=0.0, tilt_weakens=True)
COMA = Optics(aberrations=Aberrations(beam_tilt_mrad=(40.0, -20.0), odd_zernike=(0.0, 0.0, 0.0, 0.0, 0.0, 2000.0)))
"""Half a radian of trefoil at 16 Å, and more of coma."""

BAD_LENS = Optics(
    aberrations=Aberrations(
        beam_tilt_mrad=(40.0, -20.0),
        even_zernike=tuple(16.0**4 * np.array([1 / 3, 0.0, 1 / 2, 0.3, 0.0, 0.0, 1 / 6, 0.1, 0.0])),
    )
)
"""A radian of spherical aberration at 16 Å, and nearly half as much that is not round."""


def refined(scene):
    params = scene.params
    recipe = Recipe(params.box_px, params.pixel_ang, params.diameter_ang, 40.0)
    species = Species(recipe, scene.mask, np.ones(params.count))
    return refine_ctfs(scene.ensemble, species, "grant-grigorieff")


def rms_phase_error(scene, ctfs):
    """How far the phases of transfer functions are off from 30 to 16 Å, RMS over the plane: odd and even, rad.

    Shifts of all images are left out of the odd ones, as nobody can tell them from those of particles; defocus is
    counted with the even ones, as either makes up for the other.
    """
    axis = np.linspace(-1 / 16, 1 / 16, 31)
    ky, kx = (one.ravel() for one in np.meshgrid(axis, axis, indexing="ij"))
    inside = (np.hypot(ky, kx) > 1 / 30) & (np.hypot(ky, kx) < 1 / 16)
    k, slope = (ky[inside], kx[inside]), gamma_per_defocus(np.hypot(ky, kx)[inside], Optics())
    shifts, squares = np.stack(k, axis=1), []
    for name, ctf in ctfs.items():
        true = scene.truth.ctfs[name]
        odd = odd_phase_rad(k, ctf.optics) - odd_phase_rad(k, true.optics)
        odd -= shifts @ np.linalg.lstsq(shifts, odd, rcond=None)[0]
        even = even_phase_rad(k, ctf.optics) - even_phase_rad(k, true.optics)
        even -= slope * np.mean(ctf.defocus_ang - true.defocus_ang)
        squares.append([np.mean(odd**2), np.mean(even**2)])
    return np.sqrt(np.mean(squares, axis=0))


def share_gained(scene, ctfs):
    """How much of what the true CTF would gain in agreement with the truth some CTF gains."""
    before, after, best = (scene.agrees_with_truth(one) for one in (scene.ensemble.ctfs, ctfs, scene.truth.ctfs))
    return (after - before) / (best - before)


def test_coma_and_trefoil_are_found_at_once():
    scene = make_scene(replace(RIGID, count=60, optics=COMA, known_optics=Optics()))
    halves, fine_ang = scene.filtered_halves()
    optics, record = refine_optics(scene.source(), halves, Band(30.0, fine_ang))
    assert [(one["series"], one["even"]["accepted"]) for one in record] == [(["TS_01", "TS_02"], False)]
    ctfs = {name: ctf.replace(optics=optics[name]) for name, ctf in scene.ensemble.ctfs.items()}
    before, after = (rms_phase_error(scene, one)[0] for one in (scene.ensemble.ctfs, ctfs))
    assert before > 0.2
    assert after < 0.25 * before
    assert share_gained(scene, ctfs) > 0.7


@pytest.mark.slow
def test_a_bad_lens_is_set_right_in_turns():
    scene = make_scene(replace(RIGID, count=100, pixel_ang=5.0, optics=BAD_LENS, known_optics=Optics()))
    found = refined(scene)
    before, after = (rms_phase_error(scene, one) for one in (scene.ensemble.ctfs, found.ctfs))
    assert (after < 0.2 * before).all()
    assert share_gained(scene, found.ctfs) > 0.85


def test_an_average_too_coarse_for_its_ctf_is_said_to_be():
    scene = make_scene(replace(RIGID, count=8, n_series=1, off_sd_deg=6.0))
    with pytest.raises(DataError, match=r"good to \S+ Å, and only detail finer than 25 Å tells of the CTF"):
        refined(scene)


@pytest.fixture(scope="module")
def weak():
    scene = make_scene(replace(RIGID, count=60, weak_scale=0.5, weak_b_ang2=150.0))
    return scene, refined(scene)


def test_a_weak_series_counts_less_and_its_phases_stay(weak):
    scene, found = weak
    k_inv_ang = 1 / 26
    shown = [
        ctf.scale.mean() * np.exp(-0.25 * ctf.b_ang2.mean() * k_inv_ang**2)
        for ctf in (found.ctfs["TS_02"], found.ctfs["TS_01"])
    ]
    assert shown[0] / shown[1] == pytest.approx(0.5 * np.exp(-0.25 * 150 * k_inv_ang**2), rel=0.1)
    for name, ctf in found.ctfs.items():
        assert ctf.optics == scene.params.optics
        np.testing.assert_array_equal(ctf.defocus_u_ang, scene.ensemble.ctfs[name].defocus_u_ang)
        assert np.ptp(ctf.scale) == 0


def test_the_average_gains_by_the_weights(weak):
    scene, found = weak
    assert share_gained(scene, found.ctfs) > 0.8
