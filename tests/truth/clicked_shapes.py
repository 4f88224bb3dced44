"""Shapes whose truth is known, clicked by a hand that is not quite steady. Lengths in Å, order (z, y, x)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from napari_tomoflow.core.model import ParticleSet

CENTER_ANG = np.array([120.0, -340.0, 510.0])


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape as a dense cloud: points and, for each, the normal (or the direction, of a curve)."""

    points: np.ndarray
    ways: np.ndarray
    is_curve: bool = False

    def clicks(self, count, noise_ang, rng):
        """Click random places of the shape, in order along a curve, `noise_ang` off along each axis."""
        places = np.sort(rng.choice(len(self.points), count, replace=False))
        return self.points[places] + rng.normal(0, noise_ang, (count, 3))

    def errors(self, centers, z_axes):
        """Measure how far picks are off the shape, Å, and their z-axes off its normals, degrees."""
        nearest = KDTree(self.points).query(centers)[1]
        away, ways = centers - self.points[nearest], self.ways[nearest]
        along = np.sum(away * ways, axis=1)
        off_ang = np.linalg.norm(away - along[:, None] * ways, axis=1) if self.is_curve else np.abs(along)
        cosine = np.clip(np.sum(z_axes * ways, axis=1), -1, 1)
        return off_ang, np.rad2deg(np.arccos(cosine))


def turned(points, ways, seed=0, **more):
    """Turn a shape at random and put it off the centre."""
    matrix = Rotation.random(random_state=seed).as_matrix()
    ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    return Shape(CENTER_ANG + points @ matrix.T, ways @ matrix.T, **more)


def ellipsoid(semi_axes_ang, seed=0, count=60_000):
    """Make an ellipsoid, evenly enough covered: directions at random, kept by the area they stand for."""
    rng = np.random.default_rng(99)
    ways = rng.normal(size=(2 * count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    semi_axes = np.asarray(semi_axes_ang, float)
    area = np.linalg.norm(ways / semi_axes, axis=1)
    ways = ways[rng.random(len(ways)) < area / area.max()]
    return turned(ways * semi_axes, ways / semi_axes, seed)


def dented_ball(seed=0):
    """Make a ball of 400 Å with a bulge and a dent."""
    rng = np.random.default_rng(98)
    ways = rng.normal(size=(60_000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)

    def radius(towards):
        bulge = np.exp(-4 * np.sum((towards - [0, 1, 0]) ** 2, axis=1))
        dent = np.exp(-4 * np.sum((towards - [0.6, 0, 0.8]) ** 2, axis=1))
        return 400 + 80 * bulge - 70 * dent

    def surface(towards):
        return (
            towards
            / np.linalg.norm(towards, axis=1, keepdims=True)
            * radius(towards / np.linalg.norm(towards, axis=1, keepdims=True))[:, None]
        )

    first = np.cross(ways, np.roll(ways, 1, axis=1))
    second = np.cross(ways, first)
    step = 1e-4
    slopes = [surface(ways + step * way) - surface(ways - step * way) for way in (first, second)]
    normals = np.cross(*slopes)
    normals *= np.sign(np.sum(normals * ways, axis=1, keepdims=True))
    return turned(surface(ways), normals, seed)


def membrane(seed=0):
    """Make a sheet of 200 × 200 nm that waves and bends, hollow below: its outside is up."""
    a, b = np.meshgrid(np.linspace(-1000, 1000, 300), np.linspace(-1000, 1000, 300))
    a, b = a.ravel(), b.ravel()
    height = 60 * np.sin(a / 400) - 1.2e-4 * (a**2 + b**2)
    normals = np.column_stack([np.ones_like(a), -(60 / 400 * np.cos(a / 400) - 2.4e-4 * a), 2.4e-4 * b])
    return turned(np.column_stack([height, a, b]), normals, seed)


def filament(seed=0):
    """Make a curve of about 400 nm that bends both ways."""
    t = np.linspace(0, 1, 20_000)
    points = np.column_stack([500 * np.sin(2.5 * t), 3500 * t, 700 * np.cos(3 * t)])
    return turned(points, np.gradient(points, axis=0), seed, is_curve=True)


def lattice(radius_ang, a_ang=80.0, b_ang=80.0, gamma_deg=120.0, seed=0):
    """Make a disk of lattice nodes, flat or laid on a sphere along its great circles from the middle."""
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(-9, 10), np.arange(-9, 10)))
    gamma = np.deg2rad(gamma_deg)
    places = np.column_stack([i * a_ang + j * b_ang * np.cos(gamma), j * b_ang * np.sin(gamma)])
    from_middle = np.linalg.norm(places, axis=1)
    places, from_middle = places[from_middle < 420], from_middle[from_middle < 420]
    if not np.isfinite(radius_ang):
        flat = np.zeros(len(places))
        return turned(np.column_stack([flat, places]), np.column_stack([flat + 1, 0 * places]), seed)
    angle = from_middle / radius_ang
    ways = places / np.maximum(from_middle, 1e-9)[:, None]
    normals = np.column_stack([np.cos(angle), np.sin(angle)[:, None] * ways])
    return turned(radius_ang * normals, normals, seed)


def clicked(points, **columns):
    """Make a set of clicked points."""
    features = {name: np.asarray(values) for name, values in columns.items()}
    return ParticleSet(centers_ang_zyx=points, tomogram=np.array("TS"), features=features)
