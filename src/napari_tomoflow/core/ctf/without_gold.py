"""Tilt series whose gold is filled when it is looked at: a bead beside a particle outshines it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.gold import Beads, find_beads, without_beads
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.model.noun import Array

Reals = NDArray[np.float32]


def without_gold(series: TiltSeries) -> TiltSeries:
    """Return a series with its gold filled; nothing is read yet. Where dense matter is bright it stays as it is."""
    if series.contrast == "bright":
        return series
    return series.replace(images=_Filled(series.images, series.pixel_ang))


class _Filled:
    """Images without gold. Beads are looked for once; the last image is kept, as boxes are cut tilt by tilt."""

    def __init__(self, images: Array, pixel_ang: float) -> None:
        self._images, self._pixel_ang = images, pixel_ang
        self._beads: dict[int, Beads] = {}
        self._last: tuple[int, Reals] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._images.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> Any:
        tilt, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(tilt, slice):
            return np.stack([self[one, *rest] for one in range(*tilt.indices(self.shape[0]))])
        return self._filled(int(tilt) % self.shape[0])[tuple(rest)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def _filled(self, tilt: int) -> Reals:
        if self._last is None or self._last[0] != tilt:
            image_yx = np.ascontiguousarray(self._images[tilt], np.float32)
            if tilt not in self._beads:
                self._beads[tilt] = find_beads(image_yx, self._pixel_ang)
            self._last = tilt, without_beads(image_yx, self._beads[tilt], self._pixel_ang)
        return self._last[1]
