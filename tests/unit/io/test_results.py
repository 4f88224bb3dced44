"""Every noun survives its files."""

import json
import os
import shutil

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import (
    Aberrations,
    Alignment,
    CtfSeries,
    Deformation,
    Labels,
    Landmarks,
    Optics,
    ParticleSet,
    Simulation,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.io.mrc import allocate_mrc, write_mrc
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.stacks import open_stack

RNG = np.random.default_rng(9)
N = 4


def series(**changes):
    values = {
        "name": "it's 017 #2",
        "images": RNG.normal(size=(N, 6, 7)).astype(np.float32),
        "tilt_deg": np.linspace(-60, 60, N),
        "pixel_ang": 1.3487,
        "axis_deg": 85.3,
        "dose_before_e_ang2": RNG.uniform(0, 100, N),
        "dose_of_tilt_e_ang2": RNG.uniform(0, 3, N),
        "order": np.array([2, 0, 1, 3]),
        "optics": Optics(200.0, 1.4, 0.1),
        "defocus_hand": -1,
        "contrast": "bright",
    }
    return TiltSeries(**(values | changes)).without({2: "it's dark, 10 % of its neighbours"})


ALIGNMENT = Alignment(
    tilt_deg=RNG.normal(size=N),
    axis_deg=RNG.normal(size=N),
    xtilt_deg=RNG.normal(size=N),
    shift_ang_yx=RNG.normal(size=(N, 2)),
    kept=np.array([True, False, True, True]),
    residual_ang=np.array([1.0, np.nan, 2.0, 0.1]),
    level_deg_yx=(1.5, -2.5),
    centre_ang_zyx=(1.0, 2.0, 1 / 3),
    thickness_ang=812.5,
)
LANDMARKS = Landmarks(
    kind="gold",
    points_ang_zyx=np.array([[1 / 3, -2.0, 5.0], [np.nan, np.nan, np.nan]]),
    tilt=np.array([0, 3, 1]),
    point=np.array([0, 0, 1]),
    position_ang_yx=RNG.normal(size=(3, 2)),
    weight=np.array([1.0, 0.25, 0.0]),
    size_ang=100.0,
)
BENT = ALIGNMENT.replace(
    landmarks=LANDMARKS,
    deformation=Deformation(
        nodes_ang_yx=RNG.normal(size=(N, 3, 2, 2)), slopes_yx=RNG.normal(size=(N, 3, 2, 2)), field_ang_yx=(500.0, 1 / 3)
    ),
)
CTF = CtfSeries(
    optics=Optics(200.0, 1.4, 0.1),
    defocus_u_ang=RNG.uniform(2e4, 4e4, N),
    defocus_v_ang=RNG.uniform(2e4, 4e4, N),
    azimuth_deg=RNG.normal(size=N),
    phase_deg=RNG.normal(size=N),
    score=RNG.uniform(size=N),
    hand=-1,
)
ABERRANT = Optics(
    200.0, 1.4, 0.1, Aberrations((1 / 3, -2.0), (0.1, 0.0, -1e-7), (1e5 / 3,)), ((1.01, 1 / 300), (-0.002, 0.99))
)
PARTICLES = ParticleSet(
    centers_ang_zyx=RNG.normal(0, 500, (5, 3)),
    quaternions_xyzw=RNG.normal(size=(5, 4)),
    tomogram=np.array(["017", "data_1", "a b", "nan", ""]),
    ids=np.array([7, 3, 11, 1, 4]),
    class_ids=np.array([1, 2, 0, 1, 1]),
    half=np.array([1, 2, 1, 2, 0]),
    score=np.array([0.5, np.nan, 1.0, 2.0, 3.0]),
    features={"species": np.array(["20S", "70S", "1", "2", "3"]), "rlnCtfFigureOfMerit": RNG.normal(size=5)},
)
TOMOGRAM = Tomogram(
    name="it's 017 #2",
    volume=RNG.normal(size=(4, 6, 8)).astype(np.float16),
    voxel_ang=1.0,
    half="half1",
    contrast="bright",
    origin_ang_zyx=(10.0, -20.0, 1 / 3),
)
LABELS = Labels(name="TS", volume=RNG.integers(0, 300, (3, 4, 5)), voxel_ang=9.87, names={1: "membrane", 299: "wall"})


def assert_same(got, expected):
    assert type(got) is type(expected)
    for name, value in vars(expected).items():
        if isinstance(value, Alignment | CtfSeries | Deformation | Landmarks | ParticleSet | TiltSeries | Tomogram):
            assert_same(getattr(got, name), value)
        elif name == "quaternions_xyzw":
            np.testing.assert_allclose(got.quaternions_xyzw, value, rtol=0, atol=1e-15)
        elif isinstance(value, dict):
            assert got_keys(getattr(got, name)) == got_keys(value)
            for key, one in value.items():
                np.testing.assert_array_equal(getattr(got, name)[key], one)
        else:
            np.testing.assert_array_equal(np.asarray(getattr(got, name)), np.asarray(value), err_msg=name)


def got_keys(mapping):
    return list(mapping)


@pytest.mark.parametrize(
    "noun",
    [
        series(),
        series(axis_deg=None),
        ALIGNMENT,
        ALIGNMENT.replace(thickness_ang=None),
        BENT,
        BENT.replace(landmarks=LANDMARKS.subset(LANDMARKS.tilt == 3)),
        CTF,
        CTF.replace(optics=ABERRANT, scale=RNG.uniform(0.5, 2, N), b_ang2=RNG.normal(0, 90, N)),
        PARTICLES,
        TOMOGRAM,
        LABELS,
        PARTICLES[np.zeros(5, bool)].replace(features={}),
    ],
    ids=[
        "series",
        "series without axis",
        "alignment",
        "alignment without thickness",
        "bent, with landmarks",
        "with one measurement",
        "ctf",
        "ctf of an aberrant lens",
        "particles",
        "tomogram",
        "labels",
        "no particles",
    ],
)
def test_a_noun_reads_back_as_it_was(tmp_path, noun):
    written = save(noun, tmp_path / "item")
    assert (tmp_path / "item" / written[type(noun).__name__]).exists()
    assert_same(load(type(noun), tmp_path / "item"), noun)


def test_a_simulation_is_a_series_with_its_truth_apart(tmp_path):
    simulation = Simulation(series=series(), alignment=ALIGNMENT, ctf=CTF, particles=PARTICLES, density=TOMOGRAM)
    assert save(simulation, tmp_path) == {"TiltSeries": "tilt_series.star", "Simulation": "truth"}
    assert_same(load(Simulation, tmp_path), simulation)
    assert_same(load(TiltSeries, tmp_path), simulation.series)
    with pytest.raises(MissingError, match="holds no Alignment"):
        load(Alignment, tmp_path)
    save(simulation.replace(density=None), tmp_path / "bare")
    assert load(Simulation, tmp_path / "bare").density is None


def test_quality_is_json_whatever_numbers_it_is_made_of(tmp_path):
    quality = {"rms_ang": np.float32(0.5), "tilts": np.arange(3), "worst": float("nan"), "by": {1: (np.True_, "å")}}
    save(CTF.replace(quality=quality), tmp_path)
    expected = {"rms_ang": 0.5, "tilts": [0, 1, 2], "worst": None, "by": {"1": [True, "å"]}}
    assert json.loads((tmp_path / "quality.json").read_text("utf-8")) == expected
    assert load(CtfSeries, tmp_path).quality == expected


def test_a_stack_written_beside_its_star_is_found_after_the_folder_is_renamed(tmp_path):
    # A job fills a hidden folder and renames it: the star may not know the hidden name.
    save(series(), tmp_path / "TS.partial")
    (tmp_path / "TS.partial").rename(tmp_path / "TS")
    assert load(TiltSeries, tmp_path / "TS").images.path == tmp_path / "TS" / "stack.mrc"
    assert "partial" not in (tmp_path / "TS" / "tilt_series.star").read_text("utf-8")


def test_a_raw_stack_is_referred_to_and_never_copied(tmp_path):
    raw = tmp_path / "raw" / "TS.mrc"
    raw.parent.mkdir()
    write_mrc(raw, RNG.normal(size=(N, 6, 7)).astype(np.float32), 2.0, stack=True)
    folder = tmp_path / "project" / "TS"
    save(series(images=open_stack(raw)), folder)
    assert sorted(file.name for file in folder.iterdir()) == ["quality.json", "tilt_series.star"]
    assert load(TiltSeries, folder).images.path == raw


@pytest.mark.parametrize("what", ["both", "project alone", "data alone and back"])
def test_a_moved_project_finds_its_stack(tmp_path, what):
    raw = tmp_path / "a" / "raw" / "TS.mrc"
    raw.parent.mkdir(parents=True)
    write_mrc(raw, RNG.normal(size=(N, 6, 7)).astype(np.float32), 2.0, stack=True)
    folder = tmp_path / "a" / "project" / "TS"
    save(series(images=open_stack(raw)), folder)
    if what == "both":
        shutil.move(tmp_path / "a", tmp_path / "b")
        assert load(TiltSeries, tmp_path / "b/project/TS").images.path == tmp_path / "b/raw/TS.mrc"
    elif what == "project alone":
        shutil.move(tmp_path / "a/project", tmp_path / "elsewhere")
        assert load(TiltSeries, tmp_path / "elsewhere/TS").images.path == raw
    else:
        os.rename(raw, raw.with_name("away.mrc"))
        with pytest.raises(DataError, match=r"refers to the stack .*TS\.mrc, which is not there; put it back"):
            load(TiltSeries, folder)


def test_a_tomogram_that_was_allocated_is_not_copied(tmp_path):
    volume = allocate_mrc(tmp_path / "tomogram.mrc", (3, 4, 5), np.float32)
    volume[:] = 7
    inode = (tmp_path / "tomogram.mrc.partial").stat().st_ino
    save(Tomogram(name="TS", volume=volume, voxel_ang=10.0), tmp_path)
    assert (tmp_path / "tomogram.mrc").stat().st_ino == inode
    assert not list(tmp_path.glob("*.partial"))
    assert load(Tomogram, tmp_path).volume[2, 3, 4] == 7


def test_what_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingError, match=r"holds no Tomogram: tomogram\.mrc is not there; run its stage first"):
        load(Tomogram, tmp_path)


def test_damaged_json_is_named(tmp_path):
    save(CTF, tmp_path)
    (tmp_path / "quality.json").write_text("{")
    with pytest.raises(DataError, match=r"quality\.json is damaged"):
        load(CtfSeries, tmp_path)
