"""What every way to compute a tomogram offers."""

from collections.abc import Callable
from typing import Any, Protocol

from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.report import Report


class Solution(Protocol):
    """A tomogram about to be computed, its images already read."""

    quality: dict[str, Any]

    def typical_sd(self) -> float:
        """Estimate the standard deviation of the densities in the middle."""

    def write(self, store: DensityStore, report: Report) -> None:
        """Compute every voxel."""


Method = Callable[[Setting, ReconstructParams, Report], Solution]
"""``method(setting, params, report) -> Solution``; reads and filters the images."""
