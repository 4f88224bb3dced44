"""Stages that cost nothing, for tests of the book; importable by worker processes."""

import os
import time
from pathlib import Path
from typing import Literal

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import (
    Alignment,
    Average,
    Dataset,
    DensityMap,
    Ensemble,
    ParticleSet,
    Polished,
    RawStack,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent, watched
from napari_tomoflow.core.stage import Allocate, MapBatches, NoSteps, Stage, Steps, in_memory, in_order
from napari_tomoflow.project import Project, run

COUNTER = "TOMOFLOW_TEST_COUNTER"
"""Environment variable: a file to which `build` adds the name of each series it begins."""
SLOW = "TOMOFLOW_TEST_SLOW"
"""Environment variable: the series on which every slab of `build` takes 0.1 s."""
STUCK = "TOMOFLOW_TEST_STUCK"
"""Environment variable: the series on which `build` reports nothing for a minute."""


class GatherParams(Params):
    """How a stack becomes a series."""

    name: str | None = param(None, help="Name of the series.")
    pixel_ang: float = param(10.0, unit="Å", low=0.1, help="Pixel size.")
    order: str | None = param(None, help="A word or a file.")


def gather(recorded: RawStack, params: GatherParams, report: Report = silent) -> TiltSeries:
    """Take a stack as a series."""
    tilt_deg = np.linspace(-60, 60, len(recorded.images))
    name = params.name or recorded.name
    return TiltSeries(name=name, images=recorded.images, tilt_deg=tilt_deg, pixel_ang=params.pixel_ang, axis_deg=0.0)


class InventParams(Params):
    """Which series to invent."""

    name: str = param("TS_01", help="Name of the series.")
    seed: int = param(0, low=0, help="Seed of the noise.")


def invent(params: InventParams, report: Report = silent) -> TiltSeries:
    """Make a series of noise."""
    images = np.random.default_rng(params.seed).normal(size=(3, 8, 8)).astype(np.float32)
    return TiltSeries(name=params.name, images=images, tilt_deg=np.array([-30.0, 0, 30]), pixel_ang=10.0, axis_deg=0.0)


class MeasureParams(Params):
    """How to measure."""

    axis_deg: float = param(5.0, low=-180, high=180, unit="°", help="Axis to claim.")
    fails_on: str = param("", help="A series that cannot be measured.")
    breaks_on: str = param("", help="A series that shows a bug.")


def measure(series: TiltSeries, params: MeasureParams, report: Report = silent) -> Alignment:
    """Claim a geometry."""
    report(0, 1, "Measuring")
    if series.name == params.fails_on:
        raise DataError(f"{series.name} is too dark (mean 0); leave it out.")
    if series.name == params.breaks_on:
        raise ZeroDivisionError("a bug")
    report(1, 1, "Measuring")
    quality = {"mean": float(np.mean(series.image(0))), "threads": os.environ.get("NUMBA_NUM_THREADS")}
    return Alignment(tilt_deg=series.tilt_deg, axis_deg=params.axis_deg, quality=quality)


class BuildParams(Params):
    """How to build."""

    steps: int = param(2, low=1, help="Number of slabs.")
    fill: Literal["mean", "noise"] = param("mean", help="What the volume holds.")
    guide: Path | None = param(None, help="A file that changes nothing.")


def build(
    series: TiltSeries,
    alignment: Alignment | None = None,
    params: BuildParams = BuildParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> Tomogram:
    """Build a volume in slabs."""
    if COUNTER in os.environ:
        with Path(os.environ[COUNTER]).open("a") as file:
            file.write(series.name + "\n")
    axis_deg = alignment.axis_deg[0] if alignment else 0.0
    volume = allocate("tomogram", (params.steps, 8, 8), np.float32)
    for step in watched(range(params.steps), report, "Building"):
        if os.environ.get(SLOW) == series.name:
            time.sleep(0.1)
        if os.environ.get(STUCK) == series.name:
            time.sleep(60)
        volume[step] = series.image(step % series.n_tilts) + axis_deg if params.fill == "noise" else axis_deg
    return Tomogram(name=series.name, volume=volume, voxel_ang=series.pixel_ang)


class SpotParams(Params):
    """What to find."""

    species: str = param("spot", help="What the particles are.")
    n: int = param(3, help="How many there are.")


def spot(series: TiltSeries, params: SpotParams, report: Report = silent) -> ParticleSet:
    """Find particles on a line."""
    centers = np.outer(np.arange(params.n), [0.0, 0.0, 10.0])
    return ParticleSet(
        centers_ang_zyx=centers, tomogram=series.name, features={"species": np.full(params.n, params.species)}
    )


class JoinParams(Params):
    """What to average."""

    name: str = param("", help="Name of the average.")
    species: str = param("", help="What the particles are.")
    steps_to_do: int = param(3, help="How often.")
    reference: Path | None = param(None, help="A map to begin with.")
    mask: Path | None = param(None, help="Where to look.")
    others: tuple[Path, ...] = param((), help="Maps it is not.")


def mean_of(batch: np.ndarray) -> tuple[float, int]:
    """Average a batch, and tell which process did."""
    return float(np.mean(batch)), os.getpid()


def join(
    data: Dataset,
    reference: DensityMap | None = None,
    mask: DensityMap | None = None,
    others: tuple[DensityMap, ...] = (),
    params: JoinParams = JoinParams(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
    steps: Steps = NoSteps(),
) -> Average:
    """Average in steps, of which each doubles the map."""
    done = steps.load("last") or {"step": np.array(0), "map": np.ones((4, 4, 4), np.float32)}
    volume, first = done["map"], int(done["step"])
    for step in watched(range(first, params.steps_to_do), report, "Averaging"):
        volume = volume * np.float32(2)
        steps.save("last", {"step": np.array(step + 1), "map": volume})
        if COUNTER in os.environ:
            with Path(os.environ[COUNTER]).open("a") as file:
                file.write(f"{step}\n")
    batches = [np.full(2, float(value)) for value in range(5)]
    found = list(map_batches(mean_of, batches))
    quality = {
        "means": [mean for mean, _ in found],
        "elsewhere": os.getpid() not in {process for _, process in found},
        "others": [float(np.asarray(other.volume)[0, 0, 0]) for other in others],
        "begun_with": None if reference is None else float(np.asarray(reference.volume)[0, 0, 0]),
    }
    name = params.species or "all"
    return Average(
        map=DensityMap(name=name, volume=volume, voxel_ang=5.0),
        particles=data.particles.replace(score=1.0),
        quality=quality,
    )


class ShineParams(Params):
    """What to polish."""

    name: str = param("", help="Name of the item.")
    species: str = param("", help="Which averages, with commas between them.")
    turn_deg: float = param(1.0, unit="°", help="How far to turn every axis.")


def shine(ensemble: Ensemble, params: ShineParams, report: Report = silent) -> Polished:
    """Turn the axis of every series, and double every map."""
    kind = np.asarray(ensemble.particles.features["species"]).astype(str)
    averages = {
        name: Average(
            map=one.replace(volume=2 * np.asarray(one.volume)), particles=ensemble.particles[kind == name], quality={}
        )
        for name, one in ensemble.maps.items()
    }
    alignments = {
        name: one.replace(axis_deg=one.axis_deg + params.turn_deg, quality={"turned_deg": params.turn_deg})
        for name, one in ensemble.alignments.items()
    }
    return Polished(averages=averages, alignments=alignments, quality={"species": list(averages)})


class PlaceParams(Params):
    """What to place."""

    species: str = param("", help="Which averages.")


def place(volume: Tomogram, ensemble: Ensemble, params: PlaceParams, report: Report = silent) -> Tomogram:
    """Paint each particle into a copy of the tomogram as the mean of its map."""
    painted = np.zeros(volume.volume.shape, np.float32)
    painted.flat[: len(ensemble.particles)] = 1
    return Tomogram(
        name=volume.name,
        volume=painted,
        voxel_ang=volume.voxel_ang,
        quality={"placed": sorted(set(ensemble.particles.tomogram.tolist())), "n": len(ensemble.particles)},
    )


GATHER, INVENT, MEASURE, BUILD, SPOT, JOIN, SHINE, PLACE = (
    Stage.of(f, version=1) for f in (gather, invent, measure, build, spot, join, shine, place)
)


def project_with_series(folder: Path, *names: str) -> Project:
    """Make a project with one job of `invent` per name."""
    project = Project.create(folder)
    for seed, name in enumerate(names):
        run(project, INVENT, InventParams(name=name, seed=seed))
    return project


def build_in(folder: str, workers: str, steps: str) -> None:
    """Run `build` on all series of a project: the body of a process that will be killed."""
    run(Project.open(folder), BUILD, BuildParams(steps=int(steps)), workers=int(workers))
