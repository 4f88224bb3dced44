"""Proteasomes and ribosomal subunits of a third-party simulation are found in what we reconstruct from its images."""

import json

import mrcfile
import numpy as np
import pytest

from napari_tomoflow.core.model import DensityMap, Optics, TiltSeries
from napari_tomoflow.core.ops import geometry
from napari_tomoflow.core.ops.so3 import angular_distance_deg
from napari_tomoflow.core.stages.align import align
from napari_tomoflow.core.stages.ctf import ctf
from napari_tomoflow.core.stages.match import MatchParams, match
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
PIXEL_ANG = 5.0


@pytest.fixture(scope="module")
def reconstructed(shared_data):
    return reconstruct_fiducials(shared_data("sim_fiducial_A"))


def reconstruct_fiducials(folder):
    """Take the series from its raw images to a tomogram: (folder, series, alignment, CTF, tomogram)."""
    with mrcfile.mmap(folder / "tilt_series.mrc") as mrc:
        images = np.array(mrc.data)
    tilt_deg = np.loadtxt(folder / "tilt_series.rawtlt")
    series = TiltSeries(
        name="A", images=images, tilt_deg=tilt_deg, pixel_ang=PIXEL_ANG, axis_deg=-5.0, optics=Optics(300.0, 2.7, 0.07)
    )
    alignment = align(series)
    params = ReconstructParams(voxel_ang=10.0, weighting="ramp", thickness_ang=800.0)
    tomogram = reconstruct(series, alignment, params=params)
    return folder, series, alignment, ctf(series, alignment), tomogram


def truth_of(reconstructed, species):
    """Places (Å, zyx) and poses in our frame: what their geometry projects, ours must see at the same pixels."""
    folder, _, alignment, _, _ = reconstructed
    tilts = json.loads((folder / "truth" / "truth.json").read_text())["tilts"]
    rotations = np.array([tilt["sample_to_microscope"] for tilt in tilts])
    shifts = np.array([[tilt["shift_x_nm"], tilt["shift_y_nm"]] for tilt in tilts]) * 10 - PIXEL_ANG / 2
    table = np.loadtxt(folder / "truth" / f"coords_{species}.txt", skiprows=2)
    points = 10 * table[:, :3]
    seen = np.einsum("nij,pj->npi", rotations, points)[..., :2] + shifts[:, None]
    ours = alignment.image_from_sample()
    rhs = (seen - ours[:, None, :2, 3]).transpose(0, 2, 1).reshape(-1, len(points))
    places = np.linalg.lstsq(ours[:, :2, :3].reshape(-1, 3), rhs, rcond=None)[0].T
    left, _, right = np.linalg.svd((places - places.mean(0)).T @ (points - points.mean(0)))
    phi, theta, psi = table[:, 3:6].T
    own = geometry.rotation_z(psi) @ geometry.rotation_x(theta) @ geometry.rotation_z(phi)
    return places[:, ::-1], (left @ right) @ own


def template_of(reconstructed, species):
    """Read the map a species was simulated with."""
    with mrcfile.open(reconstructed[0] / "truth" / f"template_{species}_2A.mrc") as mrc:
        return DensityMap(name=species, volume=np.asarray(mrc.data, np.float32), voxel_ang=2.0)


def found_in(reconstructed, species, rivals=(), **params):
    _, series, alignment, found_ctf, tomogram = reconstructed
    seen = {"series": series, "alignment": alignment, "ctf": found_ctf}
    template = template_of(reconstructed, species)
    return match(tomogram, template, rivals=rivals, **seen, params=MatchParams(**params))


def f1(picks, places, tomogram, among=None):
    """Score picks against the particles whose whole lies in the field."""
    limit_ang = picks.quality["diameter_ang"] / 3
    half = np.array(tomogram.volume.shape) * tomogram.voxel_ang / 2
    whole = np.all(np.abs(places[:, 1:]) < half[1:] - picks.quality["diameter_ang"] / 2, axis=1)
    away = np.linalg.norm(picks.centers_ang_zyx[:, None] - places, axis=2)
    precision, recall = (away.min(axis=1) < limit_ang).mean(), (away[:, whole].min(axis=0) < limit_ang).mean()
    return 2 * precision * recall / (precision + recall), away


def test_proteasomes_are_found_turned_right_and_none_on_gold(reconstructed):
    places, poses = truth_of(reconstructed, "P20S")
    picks = found_in(reconstructed, "P20S", angular_step_deg=12.0)
    score, away = f1(picks, places, reconstructed[-1])
    assert score >= 0.9
    true = away.min(axis=1) < 50.0
    # The template lies askew, so its symmetry is counted by its ends alone: the direction of its long axis.
    with mrcfile.open(reconstructed[0] / "truth" / "template_P20S_2A.mrc") as mrc:
        axis = long_axis(np.asarray(mrc.data, np.float32))
    found, expected = (turned @ axis for turned in (picks.matrices[true], poses[away.argmin(axis=1)[true]]))
    off_deg = np.rad2deg(np.arccos(np.clip(np.abs(np.sum(found * expected, axis=1)), 0, 1)))
    assert np.median(off_deg) <= 10.0
    gold, _ = truth_of(reconstructed, "GOLD")
    assert np.linalg.norm(picks.centers_ang_zyx[:, None] - gold, axis=2).min() > 80.0


def long_axis(volume):
    """Direction (x, y, z) along which a map is longest."""
    weights = np.clip(volume - 0.1 * volume.max(), 0, None).ravel()
    offsets = np.indices(volume.shape).reshape(3, -1)[::-1]
    offsets = offsets - np.average(offsets, axis=1, weights=weights)[:, None]
    return np.linalg.eigh((offsets * weights) @ offsets.T)[1][:, -1]


@pytest.mark.parametrize(("search", "claimed"), [("fast", 1), ("exhaustive", 10)])
def test_subunits_are_found_turned_right_beside_the_proteasomes_they_resemble(reconstructed, search, claimed):
    """A barrel resembles a subunit more than ice does: alone, most false subunits are such."""
    places, poses = truth_of(reconstructed, "R30S")
    rivals = (template_of(reconstructed, "P20S"),)
    picks = found_in(reconstructed, "R30S", rivals, angular_step_deg=12.0, search=search)
    assert picks.quality["removed"]["claimed_by_rivals"]["P20S"] >= claimed
    score, away = f1(picks, places, reconstructed[-1])
    assert score >= 0.8
    true = away.min(axis=1) < 67.0
    turned_deg = angular_distance_deg(picks[true].matrices, poses[away.argmin(axis=1)[true]])
    assert np.median(turned_deg) <= 10.0
