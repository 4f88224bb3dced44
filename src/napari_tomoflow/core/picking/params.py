"""Parameters of the `pick` stage; they live below it because its parts read them."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from napari_tomoflow.core.params import Params, param

FROM_LABELS = ("segmented-blobs", "segmented-membrane", "segmented-filament", "segmented-surface")
CLOSED = ("sphere", "ellipsoid", "closed")


class PickParams(Params):
    """How particles are picked by geometry."""

    particles: Path | None = param(None, help="Table of clicked points, of any program, in place of the project's.")
    particles_unit: Literal["px", "ang", "ang-corner"] | None = param(
        None,
        help="What positions in the table are counted in, where it does not say: voxels from the corner, Å from the "
        "centre, Å from the corner.",
    )
    labels: Path | None = param(None, help="Segmentation, in place of the project's.")
    model: Literal[
        "sphere",
        "ellipsoid",
        "closed",
        "membrane",
        "plane",
        "lattice",
        "filament",
        "dipole",
        "points",
        "segmented-blobs",
        "segmented-membrane",
        "segmented-filament",
        "segmented-surface",
    ] = param("sphere", help="What points or segments are of; points keeps particles as they are and only cleans.")
    spacing_nm: float = param(
        10.0, unit="nm", low=0.1, high=1e4, help="Distance of neighbours on a shape; the rise along a filament."
    )
    min_distance_nm: float | None = param(
        None,
        unit="nm",
        low=0,
        high=1e4,
        help="No two picks come closer; left empty, three quarters of the spacing, where that is used.",
    )
    side: Literal["outward", "inward", "up", "down"] = param(
        "outward", help="Where z points on a surface: away from its hollow side, into it, or to +z or -z."
    )
    offset_nm: float = param(0.0, unit="nm", low=-1e4, high=1e4, help="Shift of each pick along its own z.")
    orientation: Literal["auto", "shape", "none"] = param(
        "auto", help="Whether poses follow the shape; auto does so for all but blobs."
    )
    spin: Literal["auto", "random", "shape"] = param(
        "auto", help="Turn about z: at random, or as shape or twist have it; auto follows lattices and helices."
    )
    twist_deg: float = param(0.0, unit="°", low=-360, high=360, help="Turn per rise along a filament, right-handed.")
    radius_nm: float = param(
        0.0, unit="nm", low=0, high=1e4, help="Distance of picks from a filament's axis; 0 puts them on it."
    )
    label: str = param("", help="Name or number of the label to pick; left empty, each label is picked.")
    min_size_nm: float = param(0.0, unit="nm", low=0, high=1e5, help="Smallest diameter of a segmented object.")
    max_size_nm: float | None = param(None, unit="nm", low=0, high=1e5, help="Largest diameter of a segmented object.")
    blob_diameter_nm: float | None = param(
        None, unit="nm", low=0.1, high=1e4, help="Diameter of a particle: blobs that hold several are divided."
    )
    species: str = param("", help="Name of the picks; left empty, that of the points or of the label.")

    min_score: float | None = param(None, help="Least score of particles that stay.")
    min_neighbours: int = param(0, low=0, high=50, help="Least number of lattice neighbours of particles that stay.")
    neighbour_distance_nm: float | None = param(
        None, unit="nm", low=0.1, high=1e4, help="Distance of lattice neighbours; left empty, the spacing."
    )
    neighbour_angle_deg: float = param(
        180.0, unit="°", low=0, high=180, help="Largest angle between the z-axes of lattice neighbours."
    )
    membrane_side: Literal["any", "inside", "outside"] = param(
        "any", help="Which side of the segmented membranes particles are kept on."
    )
    margin_nm: float = param(0.0, unit="nm", low=0, high=1e4, help="Least distance to the border of the tomogram.")
    labels_voxel_ang: float | None = param(
        None, unit="Å", low=0.1, high=1e4, expert=True, help="Voxel size of the segmentation, if its file does not say."
    )
    neighbour_tolerance: float = param(
        0.3, low=0.01, high=1, expert=True, help="Part of its distance by which a lattice neighbour may be off."
    )
    seed: int = param(0, low=0, high=2**31 - 1, expert=True, help="Start of the random numbers.")

    @property
    def from_labels(self) -> bool:
        """Whether picks come from a segmentation."""
        return self.model in FROM_LABELS

    @property
    def closest_ang(self) -> float:
        """Least distance of two picks, Å."""
        if self.min_distance_nm is not None:
            return 10.0 * self.min_distance_nm
        return 0.0 if self.model in ("points", "lattice", "dipole", "segmented-blobs") else 7.5 * self.spacing_nm

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if self.max_size_nm is not None and not self.min_size_nm < self.max_size_nm:
            raise ValueError(
                f"min_size_nm {self.min_size_nm:g} is not below max_size_nm {self.max_size_nm:g}; swap them."
            )
        if self.side in ("up", "down") and self.model in CLOSED:
            raise ValueError(f"A closed surface has no {self.side} side; choose outward or inward.")
        return self
