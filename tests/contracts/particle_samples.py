"""Particles with all that a format has a place for, and the tomogram they are in."""

import numpy as np

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.io.particle_formats import TomogramFrame

# Odd, even and unequal sides, off the specimen's centre, binned by four.
FRAME = TomogramFrame((201, 480, 511), 13.37, (120.0, -50.0, 33.0), 3.3425)
N = 60


def particles_for(chosen, seed=0):
    """Make particles that carry whatever `chosen` keeps, in random places and poses."""
    rng = np.random.default_rng(seed)
    reach_ang = np.array(FRAME.shape_zyx) / 2 * FRAME.voxel_ang
    class_ids = rng.integers(1, 4, N)
    keeps = chosen.keeps
    given = {
        "quaternions_xyzw": rng.normal(size=(N, 4)) if "turns" in keeps else None,
        "tomogram": _tomograms(chosen, rng),
        "ids": rng.permutation(N) + 5 if "ids" in keeps else None,
        "class_ids": class_ids if "class_ids" in keeps else None,
        "half": rng.integers(1, 3, N) if "half" in keeps else None,
        "score": rng.normal(size=N) if "score" in keeps else None,
    }
    return ParticleSet(
        centers_ang_zyx=rng.uniform(-0.99, 0.99, (N, 3)) * reach_ang + FRAME.origin_ang_zyx,
        features=_features(chosen, class_ids, rng),
        **{name: value for name, value in given.items() if value is not None},
    )


def in_place_of(back, particles):
    """Return the read particles in the order of the written ones: a format may sort them, and two may share a place."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    return back[linear_sum_assignment(cdist(particles.centers_ang_zyx, back.centers_ang_zyx))[1]]


def angle_between_deg(first, second):
    """Angle between the poses of each particle, degrees; exact for small ones."""
    same = np.sign((first.quaternions_xyzw * second.quaternions_xyzw).sum(axis=1, keepdims=True))
    chord = np.linalg.norm(first.quaternions_xyzw * same - second.quaternions_xyzw, axis=1)
    return np.rad2deg(4 * np.arcsin(np.minimum(chord / 2, 1)))


def _tomograms(chosen, rng):
    names = np.array(["TS_01"]) if chosen.one_tomogram else np.array(["TS_01", "cell 7b", "017"])
    return names[rng.integers(0, len(names), N)]


def _features(chosen, class_ids, rng):
    species = np.array(["", "20S", "30S of E. coli", "gold"])[
        np.ones_like(class_ids) if chosen.one_species else class_ids
    ]
    if chosen.columns is None:
        words = np.array(["up", "down side"])[rng.integers(0, 2, N)]
        return {"species": species, "mine": rng.normal(size=N), "count": rng.integers(0, 9, N), "side": words}
    features = {name: rng.integers(1, 50, N).astype(float) for name in sorted(chosen.columns)}
    # What is said once for a set, or is a number in a list, is so in the sample.
    particular = {
        "species": species,
        "method": np.full(N, "manual"),
        "boxsize": 30.0 + class_ids,
        "contour": np.ones(N),
    }
    return {name: particular.get(name, values) for name, values in features.items()}
