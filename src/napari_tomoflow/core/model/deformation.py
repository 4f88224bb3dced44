"""How the image of a bent specimen differs from that of a rigid one: a smooth displacement field per tilt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model.noun import finite, floats

_TURNS = 3
"""Turns in which a place is found whose displacement leads to where it is seen."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Deformation:
    """D2 of the project's geometry: ``(u, v) → (u, v) − D2(u, v, i)``. Legend: N tilts, GY × GX nodes.

    A cubic spline runs through nodes spread evenly over the images from edge to edge; beyond the edge
    the field stays as it is there.

    Attributes
    ----------
    nodes_ang_yx : float64[N, GY, GX, 2]
        Displacement at the nodes, (y, x) in Å. At least two nodes along each direction.
    field_ang_yx : tuple of float
        Height and width of the images.
    """

    nodes_ang_yx: NDArray[np.float64]
    field_ang_yx: tuple[float, float]

    def __post_init__(self) -> None:
        """Check shape and numbers."""
        nodes = floats(self.nodes_ang_yx)
        if nodes.ndim != 4 or nodes.shape[3] != 2 or min(nodes.shape[1:3]) < 2:
            raise DataError(
                f"Deformation: the nodes have the shape {nodes.shape}; give tilts × rows × columns × 2, "
                "with at least two rows and columns."
            )
        if min(self.field_ang_yx) <= 0:
            raise DataError(f"Deformation: the field is {self.field_ang_yx} Å; give the size of the images.")
        finite("Deformation", nodes_ang_yx=nodes)
        object.__setattr__(self, "nodes_ang_yx", nodes)

    @property
    def n_tilts(self) -> int:
        """Number of tilts."""
        return len(self.nodes_ang_yx)

    def displacement(self, tilt: int, positions_ang_yx: ArrayLike) -> NDArray[np.float64]:
        """Return D2 of one tilt at places of its image.

        Parameters
        ----------
        tilt : int
        positions_ang_yx : float64[..., 2]
            Where the rigid specimen would be seen, Å from the image centre.

        Returns
        -------
        float64[..., 2]
            (y, x), Å.
        """
        from scipy.ndimage import map_coordinates

        positions = np.asarray(positions_ang_yx, np.float64)
        nodes = self.nodes_ang_yx[tilt]
        last = np.array(nodes.shape[:2]) - 1
        at = np.clip((positions / self.field_ang_yx + 0.5) * last, 0, last)
        coordinates = np.moveaxis(at, -1, 0)
        # Mirrored ends keep the spline flat rather than wild.
        columns = [map_coordinates(nodes[..., axis], coordinates, np.float64, 3, "mirror") for axis in (0, 1)]
        return np.stack(columns, axis=-1)

    def displacements(self, positions_ang_yx: ArrayLike) -> NDArray[np.float64]:
        """Return D2 of every tilt at its own places, float64[N, P, 2] in and out."""
        positions = np.asarray(positions_ang_yx, np.float64)
        return np.stack([self.displacement(tilt, positions[tilt]) for tilt in range(self.n_tilts)])

    def straightened(self, tilt: NDArray[np.int64], positions_ang_yx: ArrayLike) -> NDArray[np.float64]:
        """Return where what is seen would be seen if the specimen were not bent.

        Parameters
        ----------
        tilt : int64[M]
        positions_ang_yx : float64[M, 2]
            Where it is seen.
        """
        seen = np.asarray(positions_ang_yx, np.float64)
        straight = seen.copy()
        for one in np.unique(tilt):
            here = tilt == one
            # The field is smooth, so every turn leaves a small part of the error.
            for _ in range(_TURNS):
                straight[here] = seen[here] + self.displacement(int(one), straight[here])
        return straight
