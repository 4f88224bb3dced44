"""Inputs for every stage that cost next to nothing: a simulated series of few pixels and what is known of it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import (
    Alignment,
    CtfSeries,
    Curve,
    Dataset,
    Deformation,
    DensityMap,
    Ensemble,
    Frames,
    Labels,
    Movies,
    Noun,
    ParticleSet,
    RawStack,
    Simulation,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.stage import Stage

_SCENE = SimulateParams(
    name="tiny", size_px=96, pixel_ang=20.0, n_tilts=15, dose_per_tilt_e_ang2=20.0, thickness_nm=80.0,
    n_ribosomes=24, n_proteasomes=2, n_gold=6, n_vesicles=1, vesicle_diameter_nm=60.0, density_voxel_ang=20.0,
)  # fmt: skip
_SPECIES = "ribosome"
_BOX_PX, _RADIUS_PX = 26, 6.5


class TinyInputs:
    """Nouns of every kind a stage takes, made when first asked for."""

    def of(self, stage: Stage) -> dict[str, Any]:
        """Return inputs for a stage, those it can do without too.

        Raises
        ------
        MissingError
            It takes a kind of noun that nobody thought of here.
        """
        inputs: dict[str, Any] = {}
        for name, given in stage.inputs.items():
            if given.kind not in self.kinds:
                raise MissingError(f"There is no tiny {given.kind.__name__} for {stage.name}; add one to TinyInputs.")
            noun = self._made[given.kind]()
            inputs[name] = (noun,) if given.many else noun
        return inputs

    def bent_of(self, stage: Stage) -> dict[str, Any]:
        """Return inputs as `of` does, but of a specimen that bends and leans along the axis."""
        return {name: _bent(noun) if isinstance(noun, Alignment) else noun for name, noun in self.of(stage).items()}

    def can_be_bent(self, stage: Stage) -> bool:
        """Whether a stage takes an alignment, which says how the specimen bends."""
        return any(given.kind is Alignment and not given.many for given in stage.inputs.values())

    @property
    def kinds(self) -> frozenset[type]:
        """Kinds of nouns there are."""
        return frozenset(self._made)

    @cached_property
    def _simulation(self) -> Simulation:
        from napari_tomoflow.core.stages.simulate import simulate

        return simulate(_SCENE)

    @property
    def _made(self) -> dict[type, Callable[[], Noun]]:
        """How a noun of each kind is made."""
        return {
            RawStack: self._raw_stack,
            TiltSeries: lambda: self._simulation.series,
            Movies: self._movies,
            Alignment: lambda: self._simulation.alignment,
            CtfSeries: lambda: self._simulation.ctf,
            Tomogram: self._tomogram,
            ParticleSet: _on_a_ball,
            DensityMap: self._map,
            Labels: lambda: Labels(name="tiny", volume=_ball().astype(np.uint8), voxel_ang=_SCENE.pixel_ang),
            Curve: lambda: Curve(name="mtf", frequency=np.linspace(0.0, 0.5, 9), value=np.linspace(1.0, 0.2, 9)),
            Dataset: lambda: Dataset(**self._data),
            Ensemble: lambda: Ensemble(**self._data, maps={_SPECIES: self._map()}),
        }

    @property
    def _particles(self) -> ParticleSet:
        particles = self._simulation.particles
        return particles[np.asarray(particles.species) == _SPECIES].replace(tomogram=np.array(_SCENE.name))

    @property
    def _data(self) -> dict[str, Any]:
        known = self._simulation
        name = _SCENE.name
        return {
            "particles": self._particles,
            "series": {name: known.series},
            "alignments": {name: known.alignment},
            "ctfs": {name: known.ctf},
        }

    def _raw_stack(self) -> RawStack:
        series = self._simulation.series
        return RawStack(
            name=series.name,
            source="tiny.mrc",
            images=series.images,
            tilt_deg=series.tilt_deg,
            pixel_ang=series.pixel_ang,
        )

    def _movies(self) -> Movies:
        series = self._simulation.series
        frames = tuple(np.repeat(series.image(tilt)[None] / 3, 3, axis=0) for tilt in range(series.n_tilts))
        return Movies(
            name=series.name, images=Frames(frames), tilt_deg=series.tilt_deg, pixel_ang=series.pixel_ang, axis_deg=85.0
        )

    def _tomogram(self) -> Tomogram:
        density = self._simulation.density
        if density is None:
            raise MissingError("The tiny scene has no density; give density_voxel_ang.")
        return density

    def _map(self) -> DensityMap:
        noise = np.random.default_rng(1).normal(0, 0.05, (2, *_ball().shape)).astype(np.float32)
        halves = _ball() + noise
        return DensityMap(
            name=_SPECIES, volume=halves.mean(axis=0), voxel_ang=_SCENE.pixel_ang, halves=(halves[0], halves[1])
        )


def _bent(alignment: Alignment) -> Alignment:
    """Move every image a little, another way at every node, and lean the specimen along the axis."""
    nodes = np.random.default_rng(3).normal(0, 10.0, (alignment.n_tilts, 3, 3, 2))
    field_ang = (_SCENE.size_px * _SCENE.pixel_ang,) * 2
    return alignment.replace(
        xtilt_deg=np.full(alignment.n_tilts, 5.0), deformation=Deformation(nodes_ang_yx=nodes, field_ang_yx=field_ang)
    )


def _on_a_ball() -> ParticleSet:
    """Click on the surface of a ball."""
    ways = np.random.default_rng(2).normal(size=(30, 3))
    return ParticleSet(
        centers_ang_zyx=400.0 * ways / np.linalg.norm(ways, axis=1, keepdims=True), tomogram=np.array(_SCENE.name)
    )


def _ball() -> Any:
    """Return a ball with a lump, which no turn leaves alone: float32[n, n, n]."""
    z, y, x = np.indices((_BOX_PX,) * 3) - _BOX_PX // 2
    ball = np.hypot(np.hypot(z, y), x) < _RADIUS_PX
    lump = (z - 3) ** 2 + (y - 2) ** 2 + (x + 4) ** 2 < 9
    return np.asarray(ball * 1.0 + lump * 1.0, np.float32)
