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
    the field stays as it is there. What is seen at the same place but lies higher in the specimen may be displaced
    otherwise: to first order, ``D2 = nodes + z · slopes``.

    Attributes
    ----------
    nodes_ang_yx : float64[N, GY, GX, 2]
        Displacement at the nodes, (y, x) in Å. At least two nodes along each direction.
    field_ang_yx : tuple of float
        Height and width of the images.
    slopes_yx : float64[N, GY, GX, 2] or None
        Å by which the displacement grows with each Å of height z; None where it does not.
    """

    nodes_ang_yx: NDArray[np.float64]
    field_ang_yx: tuple[float, float]
    slopes_yx: NDArray[np.float64] | None = None

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
        if self.slopes_yx is not None:
            slopes = floats(self.slopes_yx)
            if slopes.shape != nodes.shape:
                raise DataError(
                    f"Deformation: the slopes have the shape {slopes.shape}, the nodes {nodes.shape}; give both alike."
                )
            finite("Deformation", slopes_yx=slopes)
            object.__setattr__(self, "slopes_yx", slopes)

    @property
    def n_tilts(self) -> int:
        """Number of tilts."""
        return len(self.nodes_ang_yx)

    def displacement(self, tilt: int, positions_ang_yx: ArrayLike, heights_ang: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Return D2 of one tilt at places of its image.

        Parameters
        ----------
        tilt : int
        positions_ang_yx : float64[..., 2]
            Where the rigid specimen would be seen, Å from the image centre.
        heights_ang : float64[...]
            z of what is seen there.

        Returns
        -------
        float64[..., 2]
            (y, x), Å.
        """
        positions = np.asarray(positions_ang_yx, np.float64)
        displacement = self._interpolated(self.nodes_ang_yx[tilt], positions)
        if self.slopes_yx is not None and np.any(heights_ang):
            displacement += np.asarray(heights_ang)[..., None] * self._interpolated(self.slopes_yx[tilt], positions)
        return displacement

    def _interpolated(self, nodes: NDArray[np.float64], positions_ang_yx: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spline through the nodes of one tilt at some places, float64[..., 2]."""
        from scipy.ndimage import map_coordinates

        last = np.array(nodes.shape[:2]) - 1
        at = np.clip((positions_ang_yx / self.field_ang_yx + 0.5) * last, 0, last)
        coordinates = np.moveaxis(at, -1, 0)
        # Mirrored ends keep the spline flat rather than wild.
        columns = [map_coordinates(nodes[..., axis], coordinates, np.float64, 3, "mirror") for axis in (0, 1)]
        return np.stack(columns, axis=-1)

    def displacements(self, positions_ang_yx: ArrayLike, heights_ang: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Return D2 of every tilt at its own places, float64[N, P, 2] in and out, of points at heights [P]."""
        positions = np.asarray(positions_ang_yx, np.float64)
        return np.stack([self.displacement(tilt, positions[tilt], heights_ang) for tilt in range(self.n_tilts)])

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

    def levelled(
        self, image_from_sample: NDArray[np.float64], level: NDArray[np.float64], centre_ang_zyx: ArrayLike
    ) -> "Deformation":
        """Return the same field of a specimen whose points p have become p', with p = L · p' + c.

        Parameters
        ----------
        image_from_sample : float64[N, 3, 4]
            The matrices of the alignment, levelled already.
        level : float64[3, 3]
            L, acting on (x, y, z).
        centre_ang_zyx : float64[3]
            c.
        """
        if self.slopes_yx is None:
            return self
        ends = [
            np.linspace(-0.5, 0.5, n) * size
            for n, size in zip(self.slopes_yx.shape[1:3], self.field_ang_yx, strict=True)
        ]
        seen_xy = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1)[..., ::-1]
        across, raised = image_from_sample[:, :2, :2], image_from_sample[:, :2, 2]
        # x' and y' where the node is seen at z' = 0, and how they change with z'.
        flat_xy = np.einsum("nij,nyxj->nyxi", np.linalg.inv(across), seen_xy - image_from_sample[:, None, None, :2, 3])
        along_xy = -np.linalg.solve(across, raised[..., None])[..., 0]
        height_ang = flat_xy @ level[2, :2] + np.asarray(centre_ang_zyx)[0]
        growth = along_xy @ level[2, :2] + level[2, 2]
        return Deformation(
            nodes_ang_yx=self.nodes_ang_yx + height_ang[..., None] * self.slopes_yx,
            slopes_yx=growth[:, None, None, None] * self.slopes_yx,
            field_ang_yx=self.field_ang_yx,
        )
