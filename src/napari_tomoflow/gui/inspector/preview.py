"""Small tomograms of a series as it was aligned and as it now is, to be looked at in turns."""

from typing import Any, Literal

from napari.layers import Layer

from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.core.report import Report
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from napari_tomoflow.gui.canvas import CAPTION_KEY, volume_text
from napari_tomoflow.gui.layers import tomogram_to_layer

Which = Literal["before", "after"]

_SIDE_PX = 256
"""The longer side of a preview: quick to compute, and fine enough to see a point that is one or two."""


def preview_tomogram(series: TiltSeries, alignment: Alignment, report: Report) -> Tomogram:
    """Reconstruct a series, binned until its images are at most 256 pixels wide."""
    binning = -(-max(series.shape_yx) // _SIDE_PX)
    kept = series.replace(kept=alignment.kept)
    return reconstruct(kept, alignment, params=ReconstructParams(bin=binning), report=report)


class Preview:
    """The tomograms before and after, one of which may be in view."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.shown: Which | None = None
        self._tomograms: dict[Which, Tomogram] = {}
        self._layer: Layer | None = None

    def has(self, which: Which) -> bool:
        """Tell whether a tomogram was made."""
        return which in self._tomograms

    def take(self, which: Which, tomogram: Tomogram) -> None:
        """Keep a tomogram, in place of an older one."""
        self._tomograms[which] = tomogram

    def forget(self, which: Which) -> None:
        """Drop a tomogram that is no longer true."""
        self._tomograms.pop(which, None)
        if self.shown == which:
            self.show(None)

    def show(self, which: Which | None) -> None:
        """Bring one tomogram into view in place of the other, at the same height and contrast; None hides both."""
        old = self._layer if self._layer in self.viewer.layers else None
        point = self.viewer.dims.point
        if which is not None:
            tomogram = self._tomograms[which]
            data, attributes, kind = tomogram_to_layer(tomogram)
            said = f"{which} the changes    {volume_text(tomogram)}"
            attributes |= {"name": f"{tomogram.name} {which}"}
            attributes["metadata"] = {**attributes["metadata"], CAPTION_KEY: lambda plane: said}
            if old is not None:
                attributes["contrast_limits"] = tuple(old.contrast_limits)
            self._layer = self.viewer.add_layer(Layer.create(data, attributes, kind))
        if old is not None:
            self.viewer.layers.remove(old)
        first = self.viewer.dims.ndim - 3
        if which is not None and self.shown is None:
            self.viewer.dims.set_point(first, self._tomograms[which].origin_ang_zyx[0])
        elif which is not None:
            self.viewer.dims.set_point(first, point[first])
        self.shown = which
