"""Small nouns to show, and a project whose jobs cost nothing."""

import gc
import time

import numpy as np
import pytest

from napari_tomoflow.core.model import Labels, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent, watched
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.project import Project, run


class MakeParams(Params):
    """How a series comes about."""

    name: str = param("TS_01", help="Name of the series.")
    n_tilts: int = param(5, low=1, high=100, help="Number of tilts.")


def make(params: MakeParams, report: Report = silent) -> TiltSeries:
    """Make a series out of nothing."""
    report(1, 1, "Making")
    rng = np.random.default_rng(3)
    images = rng.normal(size=(params.n_tilts, 24, 32)).astype(np.float32)
    return TiltSeries(
        name=params.name,
        images=images,
        tilt_deg=np.linspace(-60, 60, params.n_tilts),
        pixel_ang=8.0,
        axis_deg=85.0,
        quality={"sharpness": 0.5},
    )


class DawdleParams(Params):
    """How long it takes."""

    steps: int = param(2, low=1, high=100000, help="Steps of ten milliseconds.")
    fails: bool = param(False, help="Break off as if a bug had struck.")


def dawdle(series: TiltSeries, params: DawdleParams, report: Report = silent) -> Tomogram:
    """Take one's time over a volume."""
    for _ in watched(range(params.steps), report, "Dawdling"):
        time.sleep(0.01)
    if params.fails:
        raise ZeroDivisionError("the bug")
    rng = np.random.default_rng(4)
    return Tomogram(name=series.name, volume=rng.normal(size=(10, 24, 32)).astype(np.float32), voxel_ang=8.0)


MAKE = Stage.of(make, version=1)
DAWDLE = Stage.of(dawdle, version=1)


@pytest.fixture(scope="module", autouse=True)
def looked_through_once():
    """Let the collector pass over what is there: a viewer's fixture has it look through every object three times."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def project(tmp_path):
    """A project with two series and nothing else."""
    project = Project.create(tmp_path / "my_project")
    for name in ("TS_01", "TS_02"):
        run(project, MAKE, MakeParams(name=name))
    return project


@pytest.fixture
def tilt_series():
    return make(MakeParams(n_tilts=7)).replace(dose_before_e_ang2=np.arange(7) * 3.0).without({6: "grid bar"})


@pytest.fixture
def tomogram():
    rng = np.random.default_rng(5)
    volume = rng.normal(size=(12, 20, 30)).astype(np.float32)
    return Tomogram(name="TS_01", volume=volume, voxel_ang=10.0, origin_ang_zyx=(50.0, 0.0, -20.0), half="half1")


@pytest.fixture
def particles():
    rng = np.random.default_rng(6)
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-100, 100, (6, 3)),
        quaternions_xyzw=rng.normal(size=(6, 4)),
        tomogram=np.array(["01", "01", "TS_02", "TS_02", "TS_02", "01"]),
        ids=np.array([4, 8, 15, 16, 23, 42]),
        class_ids=np.array([1, 1, 2, 2, 0, 1]),
        half=np.array([1, 2, 1, 2, 1, 2]),
        score=np.array([0.1, np.nan, 0.3, 0.4, 0.5, 0.6]),
        features={
            "species": np.array(["ribosome", "ribosome", "gold", "gold", "gold", "20S"]),
            "rlnDefocusU": rng.uniform(2e4, 4e4, 6),
            "id": np.arange(6, dtype=np.int16),  # a foreign column by the name of one of ours
        },
    )


@pytest.fixture
def labels():
    volume = np.zeros((6, 8, 10), np.int16)
    volume[2:4, 3:5, 4:6] = 2
    return Labels(name="TS_01", volume=volume, voxel_ang=13.5, names={1: "membrane", 2: "ribosome"})
