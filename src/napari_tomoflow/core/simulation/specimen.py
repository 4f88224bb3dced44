"""A slab of ice with objects in it, reaching as far as any tilt can see."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.core.ops.poses import matrices_from_quaternions
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.simulation import molecules
from napari_tomoflow.core.simulation.molecules import Species
from napari_tomoflow.core.simulation.params import SimulateParams

Floats = NDArray[np.float64]

SPECIES = ("ribosome", "proteasome", "hook", "gold", "vesicle", "ice")
"""All kinds, in the order of their class numbers, which start at 1."""

_STEEPEST_DEG = 72.0
"""Beyond this tilt the specimen no longer fills the image: it would have to grow without bounds."""

_GAP_ANG = 10.0
_TRIES = 300


@dataclass(frozen=True)
class Population:
    """All objects of one shape. Legend: P objects.

    Attributes
    ----------
    species : Species
    centers_ang_zyx : float64[P, 3]
        In the levelled specimen, undeformed.
    quaternions_xyzw : float64[P, 4]
        Poses A, x_tomo = A · x_ref.
    """

    species: Species
    centers_ang_zyx: Floats
    quaternions_xyzw: Floats

    @property
    def matrices(self) -> Floats:
        """A of every object, float64[P, 3, 3], acting on (x, y, z)."""
        return matrices_from_quaternions(self.quaternions_xyzw)


def grow(params: SimulateParams, rng: np.random.Generator, report: Report = silent) -> list[Population]:
    """Fill the ice: as many objects as asked for in the field, and as densely around it.

    Raises
    ------
    ParamError
        The field cannot hold that many.
    """
    slab = _Slab(params, rng, report)
    widest = max(200.0, params.thickness_ang - 60.0)
    vesicle_ang = 10.0 * params.vesicle_diameter_nm
    # The largest first, or they would find no room.
    return [
        *_scatter(
            slab, params.n_vesicles, lambda: molecules.vesicle(min(rng.uniform(0.75, 1.25) * vesicle_ang, widest))
        ),
        *_scatter(slab, params.n_contaminants, lambda: molecules.ice_lump(rng.uniform(200, 700), rng), on_surface=True),
        *_scatter(slab, params.n_ribosomes, molecules.ribosome, alike=True),
        *_scatter(slab, params.n_proteasomes, molecules.proteasome, alike=True),
        *_scatter(slab, params.n_gold, lambda: molecules.gold(10.0 * params.gold_diameter_nm), alike=True),
        *_scatter(slab, params.n_hooks, molecules.hook, alike=True),
    ]


def true_particles(populations: list[Population], params: SimulateParams) -> ParticleSet:
    """List every object of the specimen.

    Features: ``species``; ``in_field``, 1 for objects whose centre lies in the nominal tomogram (a square
    of the image's width, as thick as the ice) and 0 for those around it; ``radius_ang``.
    """
    centers = np.concatenate([np.zeros((0, 3)), *(one.centers_ang_zyx for one in populations)])
    names = [one.species.name for one in populations for _ in one.centers_ang_zyx]
    radii = [one.species.radius_ang for one in populations for _ in one.centers_ang_zyx]
    in_field = np.all(np.abs(centers[:, 1:]) <= params.field_ang / 2, axis=1)
    return ParticleSet(
        centers_ang_zyx=centers,
        quaternions_xyzw=np.concatenate([np.zeros((0, 4)), *(one.quaternions_xyzw for one in populations)]),
        tomogram=np.array(params.name),
        class_ids=np.array([SPECIES.index(name) + 1 for name in names], np.int64),
        features={
            "species": np.array(names, np.str_),
            "in_field": in_field.astype(np.int64),
            "radius_ang": np.array(radii, np.float64),
        },
    )


class _Slab:
    """Where objects may go, and which places are taken."""

    def __init__(self, params: SimulateParams, rng: np.random.Generator, report: Report) -> None:
        self.rng = rng
        self._report = report
        self._half_z = params.thickness_ang / 2
        self._box_yx = np.full(2, params.field_ang / 2)
        self._region_yx = _seen_half_yx(params)
        self._centers: Floats = np.zeros((0, 3))
        self._radii: Floats = np.zeros(0)
        self._hollow: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def count_around(self, count: int) -> int:
        """Return how many objects beyond the field make it as crowded there as inside."""
        return round(count * float(np.prod(self._region_yx / self._box_yx) - 1.0))

    def place(self, species: Species, inside: bool, on_surface: bool) -> Floats | None:
        """Find a free place in the field or around it, or None after many tries."""
        self._report(0, 1, "Growing the specimen")
        for _ in range(_TRIES):
            center = self._draw(species.radius_ang, inside, on_surface)
            if self._is_free(center, species):
                self._centers = np.vstack([self._centers, center])
                self._radii = np.append(self._radii, species.radius_ang)
                self._hollow = np.append(self._hollow, species.hollow)
                return center
        return None

    def _draw(self, radius: float, inside: bool, on_surface: bool) -> Floats:
        z = self._half_z * self.rng.choice([-1.0, 1.0])
        if not on_surface:
            z = self.rng.uniform(-1, 1) * max(0.0, self._half_z - radius)
        half_yx = self._box_yx if inside else self._region_yx
        while True:
            yx = self.rng.uniform(-half_yx, half_yx)
            if inside or np.any(np.abs(yx) > self._box_yx):
                return np.array([z, *yx])

    def _is_free(self, center: Floats, species: Species) -> bool:
        distance = np.linalg.norm(self._centers - center, axis=1)
        # A smaller object may lie in a vesicle: only the membrane, 40 Å thick, is in its way.
        enclosing = self._hollow & (species.radius_ang < self._radii)
        from_membrane = np.abs(distance - self._radii + 20.0) - 20.0
        room = np.where(enclosing, from_membrane, distance - self._radii)
        return bool(np.all(room > species.radius_ang + _GAP_ANG))


def _scatter(
    slab: _Slab, count: int, make: Callable[[], Species], *, alike: bool = False, on_surface: bool = False
) -> list[Population]:
    """Place `count` objects in the field and more around it; a population each, or one if all are alike."""
    if count == 0:
        return []
    shared = make() if alike else None
    placed: list[tuple[Species, Floats]] = []
    for number in range(count + slab.count_around(count)):
        species = shared or make()
        center = slab.place(species, inside=number < count, on_surface=on_surface)
        if center is not None:
            placed.append((species, center))
        elif number < count:
            raise ParamError(
                f"The ice holds only {number} of {count} objects of the kind {species.name!r}; "
                "ask for fewer, or for thicker ice or a larger field."
            )
    turns = slab.rng.normal(size=(len(placed), 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    centers = np.array([center for _, center in placed])
    if shared:
        return [Population(shared, centers, turns)]
    return [Population(placed[i][0], centers[i : i + 1], turns[i : i + 1]) for i in range(len(placed))]


def _seen_half_yx(params: SimulateParams) -> Floats:
    """Return how far the images look along y (the tilt axis) and x of the specimen, from its centre, Å."""
    axis = np.deg2rad(params.axis_deg)
    half = params.field_ang / 2 + params.shift_px * params.pixel_ang + 150.0
    seen = half * (abs(np.cos(axis)) + abs(np.sin(axis)))
    tilts = np.abs(np.array([params.tilt_min_deg, params.tilt_max_deg]) + params.specimen_tilt_deg)
    steep = np.deg2rad([abs(params.specimen_xtilt_deg), min(float(tilts.max()), _STEEPEST_DEG)])
    reach: Floats = seen / np.cos(steep) + params.thickness_ang / 2 * np.tan(steep)
    return reach
