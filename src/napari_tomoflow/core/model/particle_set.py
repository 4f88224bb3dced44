"""Noun: particles of one or many tomograms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import Noun, finite, floats, per_item
from napari_tomoflow.core.model.paths import PATH_COLUMNS, PATH_NODES, path_features, paths_of
from napari_tomoflow.core.ops import poses

_IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])

_ROUNDING = 1e-14

SPECIES = "species"
"""Feature column that names the kind of particle."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ParticleSet(Noun):
    """Where particles are and how they are turned. Legend: P particles.

    Attributes
    ----------
    centers_ang_zyx : float64[P, 3]
        Å from the centre of the tomogram.
    quaternions_xyzw : float64[P, 4]
        Unit quaternion of A, with x_tomo = A · x_ref; order (x, y, z, w).
    tomogram : str array[P]
        Name of the tomogram each belongs to.
    ids : int64[P]
        Unique in the set and kept for life.
    class_ids : int64[P]
        Class or species, from 1; 0 is none yet.
    half : int64[P]
        Half-set, 1 or 2; 0 is none yet.
    score : float64[P]
        NaN when there is none.
    features : mapping of str to array[P]
        Further columns, those of other programs included, kept as they came.
    """

    centers_ang_zyx: NDArray[np.float64]
    quaternions_xyzw: NDArray[np.float64] = field(default_factory=lambda: _IDENTITY)
    tomogram: NDArray[np.str_] = field(default_factory=lambda: np.array(""))
    ids: NDArray[np.int64] = field(default_factory=lambda: np.arange(0))
    class_ids: NDArray[np.int64] = field(default_factory=lambda: np.array(0))
    half: NDArray[np.int64] = field(default_factory=lambda: np.array(0))
    score: NDArray[np.float64] = field(default_factory=lambda: np.array(np.nan))
    features: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Spread single values over all particles, normalise quaternions, check counts."""
        centers = floats(self.centers_ang_zyx).reshape(-1, 3)
        p = len(centers)
        turns = floats(self.quaternions_xyzw, (p, 4)).reshape(-1, 4)
        norms = np.linalg.norm(turns, axis=1, keepdims=True)
        if np.any(norms < 1e-6):
            raise DataError(
                f"Particle {int(np.argmin(norms))} has a zero quaternion; give a rotation, e.g. (0, 0, 0, 1)."
            )
        # To divide again by a norm that is 1 but for rounding would change the last bit of what was kept.
        norms[np.abs(norms - 1.0) < _ROUNDING] = 1.0
        values = {
            "centers_ang_zyx": centers,
            "quaternions_xyzw": turns / norms,
            "tomogram": np.array(np.broadcast_to(self.tomogram, (p,)), dtype=np.str_),
            "ids": np.asarray(self.ids, np.int64) if len(self.ids) else np.arange(p),
            "class_ids": np.array(np.broadcast_to(self.class_ids, (p,)), np.int64),
            "half": np.array(np.broadcast_to(self.half, (p,)), np.int64),
            "score": floats(self.score, (p,)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        per_item("ParticleSet", p, **values)
        per_item("ParticleSet", p, **self.features)
        finite("ParticleSet", centers_ang_zyx=centers, quaternions_xyzw=turns)
        if len(np.unique(values["ids"])) != p:
            raise DataError("Two particles share an id; ids are unique in a set; leave ids out to number them afresh.")

    @classmethod
    def joined(cls, sets: Sequence["ParticleSet"]) -> Self:
        """Join sets into one, in their order.

        A column that a set lacks is NaN or empty there. Where two sets use the same id all particles are
        numbered afresh, and the feature ``id_before`` keeps what they were.
        """
        names = dict.fromkeys(name for each in sets for name in each.features)
        features = {name: np.concatenate([_column(each, name, sets) for each in sets]) for name in names}
        ids = np.concatenate([each.ids for each in sets]) if sets else np.arange(0)
        if len(np.unique(ids)) != len(ids):
            features["id_before"], ids = ids, np.arange(len(ids))
        plain = ("centers_ang_zyx", "quaternions_xyzw", "tomogram", "class_ids", "half", "score")
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(each, name) for each in sets]) for name in plain if sets
        }
        columns.setdefault("centers_ang_zyx", np.zeros((0, 3)))
        return cls(**columns, ids=ids, features=features)

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self.centers_ang_zyx)

    @property
    def species(self) -> NDArray[np.str_]:
        """Name of the kind of each particle, str[P]; empty where nothing tells."""
        return np.asarray(self.features.get(SPECIES, np.full(len(self), "")), np.str_)

    @property
    def paths_ang_zyx(self) -> NDArray[np.float64] | None:
        """Where each particle lies beside its centre as it is exposed, float64[P, nodes, 3] of `model.paths`.

        None where all lie still.
        """
        return paths_of(self.features, len(self))

    @property
    def known_paths_ang_zyx(self) -> NDArray[np.float64]:
        """The paths, zeros where all lie still."""
        known = self.paths_ang_zyx
        return np.zeros((len(self), PATH_NODES, 3)) if known is None else known

    def along(self, paths_ang_zyx: NDArray[np.float64]) -> Self:
        """Return the particles moving along some paths, float64[P, nodes, 3], or lying still if those do not move."""
        others = {name: column for name, column in self.features.items() if name not in PATH_COLUMNS}
        return self.replace(features=others | (path_features(paths_ang_zyx) if paths_ang_zyx.any() else {}))

    @property
    def matrices(self) -> NDArray[np.float64]:
        """A of every particle, float64[P, 3, 3], acting on (x, y, z)."""
        return poses.matrices_from_quaternions(self.quaternions_xyzw)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "ParticleSet":
        """Return some of the particles, in the order asked for, with all their columns."""
        return self.replace(
            centers_ang_zyx=self.centers_ang_zyx[chosen],
            quaternions_xyzw=self.quaternions_xyzw[chosen],
            tomogram=self.tomogram[chosen],
            ids=self.ids[chosen],
            class_ids=self.class_ids[chosen],
            half=self.half[chosen],
            score=self.score[chosen],
            features={name: column[chosen] for name, column in self.features.items()},
        )


def _column(particles: ParticleSet, name: str, sets: Sequence[ParticleSet]) -> NDArray[np.generic]:
    """Return a feature of a set, or what stands for its absence beside the sets that have it."""
    if name in particles.features:
        return np.asarray(particles.features[name])
    is_text = any(np.asarray(each.features[name]).dtype.kind in "US" for each in sets if name in each.features)
    return np.full(len(particles), "" if is_text else np.nan)
