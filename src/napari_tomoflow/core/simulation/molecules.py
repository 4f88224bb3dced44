"""Things to put into the ice, each a cluster of point scatterers made by code.

A scatterer's strength is its potential above that of ice, integrated over its volume (V·Å³), so a
species knows nothing of the microscope. Coordinates are Å in the reference frame, order (x, y, z);
molecules are centred on their mass, beads and vesicles on their geometry.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops.geometry import rotation_x, rotation_z

Floats = NDArray[np.float64]
Matter = Literal["soft", "metal"]
"""Soft matter scatters with the amplitude contrast of the optics, metal with a large one of its own."""

# Mean potential above vitreous ice, V: electrons see nucleic acid better than protein, and metal best.
# Ice on the surface stands against vacuum. Metal has what stays within the aperture of a larger one.
_PROTEIN_V, _NUCLEIC_V, _LIPID_V, _CRYSTAL_V, _GOLD_V = 2.3, 4.0, 2.2, 4.5, 9.0

_RESIDUE_ANG = 7.0
"""Grid a molecule is filled on: one scatterer stands for two or three residues."""


@dataclass(frozen=True)
class Species:
    """A kind of object in the specimen. Legend: S scatterers.

    Attributes
    ----------
    name : str
    points_ang_xyz : float64[S, 3]
        In the reference frame, about the object's centre.
    weights : float64[S]
        V·Å³.
    sigma_ang : float
        Standard deviation of each scatterer.
    radius_ang : float
        Of the sphere that encloses it.
    matter : {"soft", "metal"}
    hollow : bool
        True for a shell that other objects may lie in.
    """

    name: str
    points_ang_xyz: Floats
    weights: Floats
    sigma_ang: float
    radius_ang: float
    matter: Matter = "soft"
    hollow: bool = False


def ribosome() -> Species:
    """Make a 70S-like molecule of about 250 Å: two unequal subunits, RNA and protein, no symmetry."""
    large = [
        _ellipsoid((0, 0, 25), (112, 88, 72)),
        _ellipsoid((5, 78, 55), (28, 30, 26)),
        _ellipsoid((-108, 38, 32), (34, 18, 22)),
        _ellipsoid((112, 30, 10), (40, 14, 14)),
    ]
    small = [
        _ellipsoid((5, -20, -78), (62, 72, 30)),
        _ellipsoid((-14, 74, -72), (42, 34, 32)),
        _ellipsoid((38, 78, -66), (32, 12, 14)),
        _ellipsoid((58, 6, -62), (26, 28, 26)),
        _ellipsoid((-20, -92, -66), (22, 28, 20)),
    ]
    rng = np.random.default_rng(70)
    points = _fill(lambda xyz: _any(large, xyz) | _any(small, xyz), 165.0, _RESIDUE_ANG, rng)
    # The mRNA channel between the subunits, the exit tunnel through the large one.
    channel = (np.abs(points[:, 2] + 46) < 6) & (np.hypot(points[:, 0] - 25, points[:, 1] - 15) > 34)
    tunnel = np.hypot(points[:, 0] - 8 - 0.2 * points[:, 2], points[:, 1] + 10) < 9
    domains = _domains(points, 30.0, rng)
    # The troughs of the same field are solvent: RNA helices are not packed without gaps.
    kept = ~channel & ~(tunnel & (points[:, 2] > -40)) & (domains > -0.9)
    return _molecule("ribosome", points[kept], np.where(domains[kept] > 0.1, _NUCLEIC_V, _PROTEIN_V))


def proteasome() -> Species:
    """Make a 20S-like barrel of 150 × 115 Å with D7 symmetry, the seven-fold along z: rings α β β α."""
    alpha = [_ellipsoid((38, 0, 55), (17, 15, 19), 25.0), _ellipsoid((24, 8, 68), (9, 7, 7), 25.0)]
    beta = [_ellipsoid((40, 6, 20), (16, 16, 17), -20.0), _ellipsoid((52, -8, 30), (8, 9, 8), -20.0)]
    rng = np.random.default_rng(20)
    monomer = _fill(lambda xyz: _any(alpha, xyz) | _any(beta, xyz), 90.0, _RESIDUE_ANG, rng)
    turns = rotation_z(np.arange(7) * 360.0 / 7)
    half = np.concatenate([monomer @ turn.T for turn in turns])
    return _molecule("proteasome", np.concatenate([half, half @ rotation_x(180.0).T]), _PROTEIN_V)


def hook() -> Species:
    """Make a small chiral molecule of about 80 Å: three arms end to end, along x, y and z."""
    arms = [
        _ellipsoid((0, 0, 0), (40, 12, 12)),
        _ellipsoid((30, 26, 0), (12, 36, 12)),
        _ellipsoid((30, 50, 20), (12, 12, 32)),
    ]
    points = _fill(lambda xyz: _any(arms, xyz), 70.0, _RESIDUE_ANG, np.random.default_rng(3))
    return _molecule("hook", points, _PROTEIN_V)


def gold(diameter_ang: float) -> Species:
    """Make a round gold bead."""
    radius = diameter_ang / 2
    spacing = min(6.0, diameter_ang / 8)
    ball = _ellipsoid((0, 0, 0), (radius, radius, radius))
    half = _fill(ball, radius, spacing, np.random.default_rng(79))
    # Each scatterer with its opposite: the centre of mass is the centre of the bead, exactly.
    points = np.concatenate([half, -half])
    weights = np.full(len(points), _GOLD_V * 4 / 3 * np.pi * radius**3 / len(points))
    return Species("gold", points, weights, spacing / 2, radius, matter="metal")


def vesicle(diameter_ang: float) -> Species:
    """Make a round vesicle: two leaflets of head groups 38 Å apart, and the thinner tails between."""
    radius = diameter_ang / 2
    spacing = 9.0
    leaflets = [(radius, 1.0), (radius - 19.0, 0.25), (radius - 38.0, 1.0)]
    shells, weights = [], []
    for shell_radius, density in leaflets:
        directions = _sphere(int(4 * np.pi * shell_radius**2 / spacing**2))
        shells.append(shell_radius * directions)
        weights.append(np.full(len(directions), density * _LIPID_V * 12.0 * spacing**2))
    points = np.concatenate(shells)
    return Species("vesicle", points, np.concatenate(weights), 4.0, radius + 6.0, hollow=True)


def ice_lump(diameter_ang: float, rng: np.random.Generator) -> Species:
    """Make a lump of crystalline ice: an irregular heap, different each time."""
    radius = diameter_ang / 2
    centres = rng.normal(0, 0.35 * radius, (5, 3))
    parts = [_ellipsoid(tuple(c), tuple(rng.uniform(0.35, 0.65, 3) * radius)) for c in centres]
    points = _fill(lambda xyz: _any(parts, xyz), 1.6 * radius, max(12.0, diameter_ang / 28), rng)
    spacing = max(12.0, diameter_ang / 28)
    points -= points.mean(axis=0)
    reach = float(np.linalg.norm(points, axis=1).max(initial=0.0))
    return Species("ice", points, np.full(len(points), _CRYSTAL_V * spacing**3), 0.45 * spacing, reach)


def _molecule(name: str, points: Floats, potential_v: Floats | float) -> Species:
    """Centre a cluster on its mass and give every scatterer the volume it stands for."""
    weights = np.broadcast_to(np.asarray(potential_v, np.float64) * _RESIDUE_ANG**3, len(points))
    centred = points - np.average(points, axis=0, weights=weights)
    # 1.2 Å is a B-factor of 114 Å²: about what a structure at 4 Å shows.
    return Species(name, centred, np.array(weights), 1.2, float(np.linalg.norm(centred, axis=1).max()) + 3.0)


def _fill(
    inside: Callable[[Floats], NDArray[np.bool_]], reach: float, spacing: float, rng: np.random.Generator
) -> Floats:
    """Fill a shape with one random point per cell of a grid.

    A jitter as wide as the cell leaves no Bragg peaks, while the density stays even at long range.
    """
    n = int(np.ceil(reach / spacing))
    cells = np.stack(np.meshgrid(*[np.arange(-n, n + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points: Floats = spacing * (cells + rng.uniform(-0.5, 0.5, cells.shape))
    return points[inside(points)]


def _ellipsoid(
    centre: tuple[float, ...], semi_axes: tuple[float, ...], turn_deg: float = 0.0
) -> Callable[[Floats], NDArray[np.bool_]]:
    """Describe a solid ellipsoid, turned about the direction from the axis z to its centre."""
    turn = rotation_z(np.rad2deg(np.arctan2(centre[1], centre[0]))) @ rotation_x(turn_deg) if turn_deg else np.eye(3)

    def inside(points: Floats) -> NDArray[np.bool_]:
        local = (points - np.asarray(centre, np.float64)) @ turn / np.asarray(semi_axes, np.float64)
        return np.asarray(np.einsum("pi,pi->p", local, local) < 1.0)

    return inside


def _any(shapes: list[Callable[[Floats], NDArray[np.bool_]]], points: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.any([inside(points) for inside in shapes], axis=0), np.bool_)


def _domains(points: Floats, wavelength_ang: float, rng: np.random.Generator) -> Floats:
    """Return a smooth random field of SD 1, to tell RNA from protein in lumps of half a wavelength."""
    directions = rng.normal(size=(24, 3))
    waves = 2 * np.pi / wavelength_ang * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    phases = rng.uniform(0, 2 * np.pi, 24)
    field: Floats = np.sqrt(2 / 24) * np.cos(points @ waves.T + phases).sum(axis=1)
    return field


def _sphere(count: int) -> Floats:
    """Spread points evenly over the unit sphere, along a golden spiral."""
    steps = np.arange(max(count, 1)) + 0.5
    z = 1 - 2 * steps / max(count, 1)
    turn = np.pi * (1 + 5**0.5) * steps
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)
