"""The sample series is what its maker says: made anew it comes out the same."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from napari_tomoflow.core.model import Alignment, CtfSeries, ParticleSet
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.simulation.exposure import set_up
from napari_tomoflow.core.stages.import_ import ImportParams, import_
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.io.results import load
from napari_tomoflow.io.sources import read_raw_stack

FOLDER = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_sample", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def imported():
    return import_(read_raw_stack(FOLDER / "ribosomes.mrc"), ImportParams())


def test_the_sample_imports_without_a_word_from_the_person(imported):
    assert imported.name == "ribosomes"
    assert imported.shape_yx == (256, 256)
    assert imported.pixel_ang == 13.5
    assert imported.axis_deg == 85.3
    assert imported.optics.voltage_kv == 300.0
    np.testing.assert_allclose(imported.tilt_deg, np.linspace(-60, 60, 31))
    np.testing.assert_array_equal(imported.dose_before_e_ang2, 3.0 * imported.order)
    assert imported.order[15] == 0


def test_making_the_sample_anew_gives_the_same_files(maker, imported):
    params = SimulateParams(**maker.SAMPLE)
    made = simulate(params)
    for kind, noun in ((Alignment, made.alignment), (CtfSeries, made.ctf), (ParticleSet, made.particles)):
        stored = load(kind, FOLDER / "truth")
        for name, value in vars(noun).items():
            if isinstance(value, np.ndarray) and value.dtype == np.float64:
                np.testing.assert_allclose(getattr(stored, name), value, atol=1e-6)
    same = [np.array_equal(made.series.images[i], imported.images[i]) for i in range(31)]
    # Another processor may round one expected count differently, and from there on the random numbers
    # of that one tilt run out of step: rare, so most tilts have to be equal bit for bit.
    assert np.mean(same) > 0.8
    scene = set_up(params, np.random.SeedSequence(params.seed).spawn(2)[0])
    for tilt in (0, 14, 30):
        expected = scene.expected(tilt, silent)
        # Of 65 536 counts the mean χ² is 1 to within 0.6 %.
        assert np.mean((imported.image(tilt) - expected) ** 2 / expected) == pytest.approx(1.0, abs=0.03)


def test_the_readme_names_the_command_that_makes_it(maker):
    assert maker.command() in (FOLDER / "README.md").read_text("utf-8")


def test_the_sample_stays_small():
    assert sum(file.stat().st_size for file in FOLDER.rglob("*") if "__pycache__" not in file.parts) < 6_000_000


def test_enough_gold_is_in_view_to_align_on(imported):
    particles, alignment = load(ParticleSet, FOLDER / "truth"), load(Alignment, FOLDER / "truth")
    gold = particles[particles.features["species"] == "gold"]
    positions_px = alignment.project(gold.centers_ang_zyx)[0] / imported.pixel_ang + 128
    in_view = np.all((positions_px > 5) & (positions_px < 251), axis=2)
    assert np.sum(in_view.mean(axis=0) > 0.9) >= 8
    for tilt in range(31):
        image = imported.image(tilt)
        for y, x in np.round(positions_px[tilt][in_view[tilt]]).astype(int):
            assert image[y - 1 : y + 2, x - 1 : x + 2].mean() < 0.8 * np.median(image)
