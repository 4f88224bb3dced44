"""What kinds of particles are picked: name, colour, sizes and symmetry of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import ParamError
from napari_tomoflow.core.model import ParticleSet

SPECIES = "species"
"""The feature column that names the kind of each particle."""

DIAMETER = "diameter_ang"
"""The feature column that tells how large each particle is."""

_BOX_PER_DIAMETER = 1.5

TYPES_KEY = "types"
"""In the quality of a particle set: its types, one mapping for each."""

COLOURS = ("#ffd24d", "#4dc3ff", "#ff6f91", "#7ddc6a", "#c79bff", "#ff9f43", "#45e0c8", "#f25f5c")
"""Colours that new types take in turns."""

_SYMMETRY = re.compile(r"[CD][1-9]\d*|T|O|I[1-4]?")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class ParticleType:
    """One kind of particle.

    Attributes
    ----------
    name : str
    colour : str
        ``#rrggbb``.
    diameter_ang : float
        Of the sphere the particle fills; snapping looks no farther than its radius.
    box_ang : float
        Edge of the cube that will be cut out around it.
    symmetry : str
        Point group in Schoenflies' notation, e.g. ``C1``, ``D7``.
    is_visible : bool
        Whether its picks are drawn.
    is_present : bool
        False once it was taken off the list; its place in the list stays.
    """

    name: str
    colour: str = COLOURS[0]
    diameter_ang: float = 200.0
    box_ang: float = 300.0
    symmetry: str = "C1"
    is_visible: bool = True
    is_present: bool = True

    def __post_init__(self) -> None:
        """Check every value."""
        if not self.name.strip():
            raise ParamError(f"A particle type cannot be called {self.name!r}; give it a name.")
        for what, size_ang in (("diameter", self.diameter_ang), ("box", self.box_ang)):
            if not 0 < size_ang < 1e5:
                raise ParamError(
                    f"The {what} of {self.name} cannot be {size_ang:g} Å; give a length between 0 and 100000 Å."
                )
        if not _SYMMETRY.fullmatch(self.symmetry):
            raise ParamError(
                f"The symmetry of {self.name} cannot be {self.symmetry!r}; give C1, C7, D2, T, O, I or the like."
            )
        if not _COLOUR.fullmatch(self.colour):
            raise ParamError(f"The colour of {self.name} cannot be {self.colour!r}; give it as #rrggbb.")

    def to_dict(self) -> dict[str, Any]:
        """Return the values by name, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Take the values back; those unknown to this version are left out."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


def types_of(particles: ParticleSet) -> tuple[list[ParticleType], NDArray[np.int64]]:
    """Tell which types a set holds, and of which each particle is.

    The species name them, else the classes; sizes and colours come from the set's quality where a picker
    wrote them there, else the size from what matching says of each particle.
    """
    species = particles.features.get(SPECIES)
    if species is not None:
        names = np.asarray(species, np.str_)
    else:
        names = np.array([f"class {one}" if one else "particle" for one in particles.class_ids], np.str_)
    names = np.where(names == "", "particle", names)
    unique, which = np.unique(names, return_inverse=True)
    known = {str(values.get("name")): values for values in particles.quality.get(TYPES_KEY, ())}
    types = []
    for index, name in enumerate(map(str, unique)):
        sizes = _sizes(np.asarray(particles.features.get(DIAMETER, np.zeros(len(which))))[which == index])
        types.append(ParticleType.from_dict({"name": name, **sizes, **known.get(name, {})}))
    return types, which


def _sizes(diameters_ang: NDArray[np.float64]) -> dict[str, float]:
    """Return the sizes of a type whose particles say their diameters; nothing where they do not."""
    told = diameters_ang[np.isfinite(diameters_ang) & (diameters_ang > 0)]
    if not len(told):
        return {}
    diameter_ang = round(float(np.median(told)))
    return {"diameter_ang": float(diameter_ang), "box_ang": _BOX_PER_DIAMETER * diameter_ang}


def unlike(wanted: ParticleType, others: Sequence[ParticleType]) -> ParticleType:
    """Give a type the first colour none of the others has; when all are taken it keeps its own."""
    taken = {other.colour for other in others}
    free = [colour for colour in (wanted.colour, *COLOURS) if colour not in taken]
    return replace(wanted, colour=free[0]) if free else wanted
