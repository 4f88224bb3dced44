"""Noun: refined particles of several species, with the average of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.dataset import Dataset
from napari_tomoflow.core.model.density_map import DensityMap


def named_species(text: str) -> list[str]:
    """Take apart what a person writes for several species, with commas between them."""
    return [one.strip() for one in text.split(",") if one.strip()]


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble(Dataset):
    """What is known after averaging: where every particle of every species lies, and what each looks like.

    Attributes
    ----------
    maps : mapping of str to DensityMap
        Species → its average. The feature column ``species`` of the particles names theirs.
    """

    maps: Mapping[str, DensityMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every particle has its map."""
        super().__post_init__()
        for name in dict.fromkeys(self.particles.species.tolist()):
            if name not in self.maps:
                raise DataError(f"Particles are of the species {name!r}, but only {', '.join(self.maps)} has a map.")
