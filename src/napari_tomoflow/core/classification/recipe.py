"""How particles are parted into classes, and on what grid."""

from dataclasses import dataclass
from typing import Literal

from napari_tomoflow.core.classification.clusters import Clustering

Method = Literal["score", "pca", "multi-reference", "likelihood"]


@dataclass(frozen=True)
class Recipe:
    """How particles are parted.

    Attributes
    ----------
    method : {"score", "pca", "multi-reference", "likelihood"}
    n_classes : int
    box_px, pixel_ang
        Of the images that are compared.
    resolution_ang : float
        Finest detail compared.
    diameter_ang : float
    symmetry : str
    difference : float
        Power in which classes may differ, as a share of the average's in each shell.
    clustering : {"k-means", "hierarchical"}
    components : int
    iterations : int
        At most.
    repeats : int
    rounds : int
        Times particles are aligned again.
    seed : int
    """

    method: Method
    n_classes: int
    box_px: int
    pixel_ang: float
    resolution_ang: float
    diameter_ang: float
    symmetry: str = "C1"
    difference: float = 0.3
    clustering: Clustering = "k-means"
    components: int = 2
    iterations: int = 60
    repeats: int = 3
    rounds: int = 0
    seed: int = 1

    @property
    def radius(self) -> float:
        """Frequencies compared, in steps of the box."""
        return min(self.box_px * self.pixel_ang / self.resolution_ang, self.box_px / 2 - 1.0)
