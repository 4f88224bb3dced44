"""Tilt images turned so that the tilt axis lies along y: there, rows of all tilts show the same slice of specimen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.alignment.prepare import WorkStack
from napari_tomoflow.core.model.alignment import Alignment

STEEPEST_DEG = 70.0
"""Beyond this tilt no image is stretched further: a slab would be endlessly long, a needle is not."""


@dataclass(frozen=True)
class Views:
    """Images of a stack in the frame of the tilt axis, as an alignment has it. Legend: K tilts, n px square.

    Attributes
    ----------
    images : float32[K, n, n]
    masks : float32[K, n, n]
        How far each pixel counts.
    tilt_deg : float64[K]
    pixel_ang : float
    """

    images: NDArray[np.float32]
    masks: NDArray[np.float32]
    tilt_deg: NDArray[np.float64]
    pixel_ang: float

    def __len__(self) -> int:
        """Return the number of tilts."""
        return len(self.images)

    @property
    def stretch(self) -> NDArray[np.float64]:
        """Cosine of each tilt, held constant beyond `STEEPEST_DEG`."""
        return clamped_cosine(self.tilt_deg)


def clamped_cosine(tilt_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine of tilts, those beyond `STEEPEST_DEG` taken as that."""
    return np.asarray(np.cos(np.deg2rad(np.minimum(np.abs(tilt_deg), STEEPEST_DEG))))


def turn_views(stack: WorkStack, alignment: Alignment) -> Views:
    """Resample every image in the frame of the axis, the specimen's centre in the middle."""
    n = stack.side_px
    images, masks = np.empty((2, len(stack), n, n), np.float32)
    views = Views(images, masks, stack.tilt_deg, stack.pixel_ang)
    turn_again(views, stack, alignment, slice(None))
    return views


def turn_again(views: Views, stack: WorkStack, alignment: Alignment, tilts: slice) -> None:
    """Resample some images, in place of what `views` held."""
    from napari_tomoflow.core.kernels.plane import turn_images

    angles = np.deg2rad(alignment.axis_deg[tilts])
    shifts_px = alignment.shift_ang_yx[tilts] / stack.pixel_ang
    turn_images(views.images[tilts], stack.images[tilts], angles, shifts_px)
    turn_images(views.masks[tilts], stack.masks[tilts], angles, shifts_px)


def limited_to_common_field(views: Views, soft: float = 0.5) -> Views:
    """Fade each view across the axis beyond the part of the specimen that the untilted image shows.

    A steep view shows more of the specimen than the others. Would it count, the mean height of what
    is compared would change with tilt, and the alignment drift with it.
    """
    n = views.masks.shape[2]
    from_axis = np.abs(np.arange(n) - n // 2)
    edges = 0.5 * n * views.stretch[:, None]
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip((from_axis - (1.0 - soft) * edges) / (soft * edges), 0.0, 1.0))
    masks = views.masks * fade[:, None, :].astype(np.float32)
    return Views(views.images, masks, views.tilt_deg, views.pixel_ang)


def moved(alignment: Alignment, steps_ang_yx: NDArray[np.float64]) -> Alignment:
    """Apply steps measured in the frame of the axis: how much further along the image lies than it should."""
    angle = np.deg2rad(alignment.axis_deg)
    along_y, across_x = steps_ang_yx.T
    in_image = np.stack(
        [np.sin(angle) * across_x + np.cos(angle) * along_y, np.cos(angle) * across_x - np.sin(angle) * along_y], axis=1
    )
    return alignment.replace(shift_ang_yx=alignment.shift_ang_yx + in_image)
