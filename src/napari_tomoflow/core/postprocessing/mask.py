"""The mask an average is measured under."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.fsc_curve import FscCurve, fsc_curve
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.ops.masks import EDGE_PX, edge_px_for, mask_of_map, soft_sphere

Reals = NDArray[np.float32]

_ROUNDS = 2
"""The resolution under the first mask decides how wide the edge of the second is."""

_BALL_SHARE = 0.4
"""Radius over box of the ball that stands in for a body nobody sees."""


@dataclass(frozen=True, eq=False)
class Masked:
    """Halves compared under a mask.

    Attributes
    ----------
    mask : float32[n, n, n]
    curve : FscCurve
    source : {"automatic", "file", "ball"}
    edge_px : float
        Width of the soft edge, 0 where a file made the mask.
    """

    mask: Reals
    curve: FscCurve
    source: str
    edge_px: float = 0.0

    def record(self) -> dict[str, Any]:
        """Say it in plain numbers."""
        return {
            "source": self.source,
            "edge_px": round(self.edge_px, 2),
            "share": round(float(self.mask.mean(dtype=np.float64)), 5),
        }


def given_mask(halves: tuple[Reals, Reals], voxel_ang: float, mask: Reals, seed: int) -> Masked:
    """Compare halves under a mask a person made; values are kept within 0 and 1.

    Raises
    ------
    DataError
        The mask is empty.
    """
    if not mask.max() > 0:
        raise DataError("The mask is empty; give one that is 1 inside the particle.")
    soft = np.clip(mask, 0.0, 1.0).astype(np.float32)
    return Masked(soft, fsc_curve(*halves, voxel_ang, soft, seed), "file")


def automatic_mask(
    halves: tuple[Reals, Reals], voxel_ang: float, seed: int, lowpass_ang: float | None = None, extend_px: float = 3.0
) -> Masked:
    """Mask the body of an average, with an edge as soft as its resolution asks for.

    Parameters
    ----------
    halves : pair of float32[n, n, n]
        Dense matter bright.
    voxel_ang : float
    seed : int
        Of random phases.
    lowpass_ang : float, optional
        Resolution the body is looked for at; 15 Å, or three voxels where that is more, by default.
    extend_px : float
        How far the mask reaches beyond the body before its edge begins.

    Returns
    -------
    Masked
        Under a ball where no body stands out.
    """
    mean = (halves[0] + halves[1]) / 2
    n = len(mean)
    ball = soft_sphere(n, _BALL_SHARE * n, min(EDGE_PX, (0.5 - _BALL_SHARE) * n))
    masked = Masked(ball, fsc_curve(*halves, voxel_ang, ball, seed), "ball", EDGE_PX)
    for _ in range(_ROUNDS):
        edge_px = edge_px_for(masked.curve.resolution_ang() or 2 * voxel_ang, voxel_ang)
        try:
            body = mask_of_map(mean, voxel_ang, extend_px=extend_px, edge_px=edge_px, lowpass_ang=lowpass_ang)
        except DataError:
            break
        masked = Masked(body, fsc_curve(*halves, voxel_ang, body, seed), "automatic", edge_px)
    return masked
