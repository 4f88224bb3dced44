"""From a tilt image to the lines that are spread through the volume."""

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ops import filters, resample
from napari_tomoflow.core.ops.backprojection import LineGeometry, grid_in_image
from napari_tomoflow.core.reconstruction.ctf_correction import CtfCorrection, correction_for
from napari_tomoflow.core.reconstruction.images import ImageMaker, moves_px
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.weights import line_filters

Image = NDArray[np.float32]


class LineMaker:
    """Makes the lines of any tilt of a series; what all tilts share is prepared once.

    Each image is prepared (`ImageMaker`), corrected for the CTF in strips (if wanted), resampled once
    by a cubic spline so that the tilt axis is y and no bend of the specimen shows, and filtered along
    its lines.

    Parameters
    ----------
    setting : Setting
    geometry : LineGeometry
        Of the same setting.
    params : ReconstructParams
    """

    def __init__(self, setting: Setting, geometry: LineGeometry, params: ReconstructParams) -> None:
        self._setting, self._geometry = setting, geometry
        self.image = ImageMaker(setting, params, as_splines=True)
        self._strips = _strips(setting, geometry, params)
        self._filters = None if params.weighting == "none" else line_filters(setting, params, geometry.n_u)

    def __call__(self, index: int) -> Image:
        """Make the lines of the `index`-th tilt in use: float32[n_v, n_u]."""
        return self.of_image(self.image(index), index)

    def of_image(self, image_yx: Image, index: int, height_ang: float = 0.0) -> Image:
        """Make the lines of the `index`-th tilt in use from its image, unbent for some height: float32[n_v, n_u]."""
        if self._strips is None:
            return self.lines(image_yx, index, height_ang)
        versions = (self.lines(version_yx, index, height_ang) for version_yx in self._strips.versions(image_yx, index))
        return self._strips.in_strips(versions, self._geometry, index)

    def lines(self, image_yx: Image, index: int, height_ang: float = 0.0) -> Image:
        """Resample the image of the `index`-th tilt in use and filter its lines: float32[n_v, n_u]."""
        geometry, shape_yx = self._geometry, (image_yx.shape[0], image_yx.shape[1])
        affine = grid_in_image(geometry, index, shape_yx, self._setting.px_per_voxel)
        moves = moves_px(self._setting, index, shape_yx, height_ang)
        lines_vu = resample.sample_affine(image_yx, affine, (geometry.n_v, geometry.n_u), moves)
        return lines_vu if self._filters is None else filters.filter_lines(lines_vu, self._filters[index])


def _strips(setting: Setting, geometry: LineGeometry, params: ReconstructParams) -> CtfCorrection | None:
    """Plan the correction in strips, if that is wanted."""
    if params.ctf != "strips":
        return None
    matrices = setting.alignment.image_from_sample()[setting.tilts]
    return correction_for(setting, params, matrices, geometry.shape_zyx, setting.image_px_ang)
