"""Particles as the log tells them: columns by name, fit for JSON, with the kind of each further one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_tomoflow.core.model import ParticleSet
from napari_tomoflow.gui.picker.particle_types import TYPES_KEY

_COLUMNS = ("centers_ang_zyx", "quaternions_xyzw", "ids", "class_ids", "half", "score")


def told_of(particles: ParticleSet, tomogram: str) -> dict[str, Any]:
    """Tell all that is to be known of particles of one tomogram."""
    features = {name: np.asarray(column) for name, column in particles.features.items()}
    return {
        "tomogram": tomogram,
        **{name: getattr(particles, name) for name in _COLUMNS},
        "features": {name: {"kind": column.dtype.str, "values": column} for name, column in features.items()},
        TYPES_KEY: list(particles.quality.get(TYPES_KEY, ())),
    }


def particles_told(told: Mapping[str, Any]) -> ParticleSet:
    """Make of what `told_of` told the particles it told of."""
    features = {name: np.asarray(one["values"], one["kind"]) for name, one in told["features"].items()}
    return ParticleSet(
        **{name: np.asarray(told[name]) for name in _COLUMNS},
        tomogram=np.array(told["tomogram"]),
        features=features,
        quality={TYPES_KEY: told[TYPES_KEY]},
    )
