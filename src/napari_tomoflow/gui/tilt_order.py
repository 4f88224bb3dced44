"""The images of a series in the order of their angles, which is how one looks through them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.model.noun import Array


class InTiltOrder:
    """The images of a series in the order of their angles, as lazy as they are themselves.

    Parameters
    ----------
    images : array[N, ny, nx]
    order : int64[N]
        Index of each tilt in the stack.
    """

    def __init__(self, images: Array, order: NDArray[np.int64]) -> None:
        self._images = images
        self._order = order

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each axis."""
        return tuple(self._images.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self._images.dtype

    def __getitem__(self, key: Any, /) -> Any:
        """Read a part: any index along the first axis, numbers and slices along the others."""
        first, *rest = key if isinstance(key, tuple) else (key,)
        wanted = self._order[first]
        if np.ndim(wanted) == 0:
            return self._images[(int(wanted), *rest)]
        planes = [np.asarray(self._images[(int(tilt), *rest)]) for tilt in wanted]
        return np.stack(planes) if planes else np.zeros((0, *self.shape[1:]), self.dtype)


def in_tilt_order(series: TiltSeries, order: NDArray[np.int64]) -> TiltSeries:
    """Sort everything a series knows of its tilts."""
    return series.replace(
        images=InTiltOrder(series.images, order),
        tilt_deg=series.tilt_deg[order],
        dose_before_e_ang2=series.dose_before_e_ang2[order],
        dose_of_tilt_e_ang2=series.dose_of_tilt_e_ang2[order],
        order=series.order[order],
        kept=series.kept[order],
        excluded_because=tuple(series.excluded_because[tilt] for tilt in order),
    )
