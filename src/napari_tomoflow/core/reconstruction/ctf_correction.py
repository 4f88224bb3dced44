"""Correction of tilt images for the contrast transfer function, as exact in depth as the resolution asks for.

A point p of the specimen is imaged with defocus_i + hand · depth, its depth along the beam being
row 2 of the tilt's matrix times (p, 1). To correct for it, a whole image is filtered for a few depths
(its *versions*) and every voxel, or every strip of the image, takes the version nearest to its own.
The versions lie so close that γ is off by at most π / 4 at the finest detail kept::

    π λ k² · step / 2 ≤ π / 4

Slabs (3D-CTF) take the depth of each voxel: exact for a thick specimen, at the price of holding all
versions of some rows at once. The volume is made in bands of rows that keep this within bounds.
Strips take the depth of the plane z = 0 and suit thin specimens: one version of each pixel is kept.

Legend: N tilts.

References
----------
Jensen and Kornberg 2000, doi:10.1016/S0304-3991(00)00005-X, for the idea; Turoňová et al. 2017,
doi:10.1016/j.jsb.2017.07.007, for slabs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.fft
from numba import get_num_threads
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.kernels.backprojection import ROWS
from napari_tomoflow.core.kernels.depth_backprojection import backproject_versions
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.core.ops.aberrations import odd_phase_rad
from napari_tomoflow.core.ops.backprojection import Backprojector, LineGeometry
from napari_tomoflow.core.ops.ctf import gamma_2d_rad, gamma_per_defocus, rfft_frequencies
from napari_tomoflow.core.reconstruction.params import CtfFilter, ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Transfer = NDArray[np.float32] | NDArray[np.complex64]

CtfDepth = Literal["voxel", "plane", "none"]
"""Whose depth counts: that of each voxel, that of the plane z = 0 below it, or that of the centre for all."""

LARGEST_PHASE_ERROR_RAD = np.pi / 4


@dataclass(frozen=True, eq=False)
class DepthSteps:
    """For which depths the image of each tilt is corrected, and which of them a voxel needs.

    Attributes
    ----------
    depth_from_voxel : float64[N, 4]
        Depth in Å of voxel (x, y, z, 1), counted from the centre of the volume.
    lowest_ang, width_ang : float64[N]
        Where the first step begins, and how much each step takes in.
    counts : int64[N]
        Number of steps.
    """

    depth_from_voxel: Floats
    lowest_ang: Floats
    width_ang: Floats
    counts: NDArray[np.int64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """Number of the first version of each tilt when all are numbered in a row: int64[N]."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    def depths_ang(self, tilt: int) -> Floats:
        """Return the depths the versions of a tilt are made for: the middles of its steps."""
        return np.asarray(self.lowest_ang[tilt] + (np.arange(self.counts[tilt]) + 0.5) * self.width_ang[tilt])

    def version(self, tilt: int, depth_ang: Floats) -> NDArray[np.int64]:
        """Return which of the versions of a tilt is nearest to each depth."""
        steps = np.floor((depth_ang - self.lowest_ang[tilt]) / self.width_ang[tilt])
        return np.asarray(np.clip(steps, 0, self.counts[tilt] - 1), np.int64)


def largest_step_ang(optics: Optics, finest_ang: float) -> float:
    """Return how far apart the corrected depths may lie for details of size `finest_ang`."""
    return 2 * LARGEST_PHASE_ERROR_RAD / float(gamma_per_defocus(1.0 / finest_ang, optics))


def depth_steps(
    matrices: Floats, voxel_ang: float, shape_zyx: tuple[int, int, int], step_ang: float, depth: CtfDepth
) -> DepthSteps:
    """Divide the depths that occur in a volume into even steps.

    Parameters
    ----------
    matrices : float64[N, 3, 4]
        From `Alignment.image_from_sample`, Å.
    voxel_ang : float
    shape_zyx : tuple of int
    step_ang : float
        No step is larger.
    depth
        Whose depth counts.
    """
    plane = matrices[:, 2] * (voxel_ang, voxel_ang, voxel_ang, 1.0)
    plane[:, :3] *= {"voxel": (1, 1, 1), "plane": (1, 1, 0), "none": (0, 0, 0)}[depth]
    # A thousandth more, so that rounding leaves the outermost voxels inside.
    reach = 1.001 * np.abs(plane[:, :3]) @ np.array(shape_zyx[::-1]) / 2 + 1e-3
    counts = np.ceil(2 * reach / step_ang).astype(np.int64)
    return DepthSteps(plane, plane[:, 3] - reach, 2 * reach / counts, counts)


class CtfCorrection:
    """Makes the versions of each image.

    Parameters
    ----------
    ctf : CtfSeries
    steps : DepthSteps
        Of the tilts in use.
    tilts : int64[N]
        Their numbers in `ctf`.
    pixel_ang : float
        Of the images it is given.
    how
        Phase flip or multiplication.
    """

    def __init__(
        self, ctf: CtfSeries, steps: DepthSteps, tilts: NDArray[np.int64], pixel_ang: float, how: CtfFilter
    ) -> None:
        self._ctf, self.steps, self._tilts, self._pixel_ang, self._how = ctf, steps, tilts, pixel_ang, how

    def versions(self, image_yx: Image, index: int) -> Iterator[Image]:
        """Correct one image for each of its depths, the lowest first. It is transformed once."""
        image_rft = scipy.fft.rfft2(image_yx, workers=get_num_threads())
        transfer = self.transfer(index, (image_yx.shape[0], image_yx.shape[1]))
        for depth_ang in self.steps.depths_ang(index):
            corrected_rft = image_rft * transfer(depth_ang)
            corrected = scipy.fft.irfft2(corrected_rft, image_yx.shape, workers=get_num_threads(), overwrite_x=True)
            yield np.asarray(corrected, np.float32)

    def transfer(self, index: int, shape_yx: tuple[int, int]) -> Callable[[float], Transfer]:
        """Return what corrects the half transforms of images of one tilt, as a function of the depth in Å.

        It turns back what odd aberrations have turned, as wherever particles are cut out.
        """
        ctf, tilt = self._ctf, int(self._tilts[index])
        k_yx = rfft_frequencies(shape_yx, self._pixel_ang)
        defocus_ang = float(ctf.defocus_u_ang[tilt]), float(ctf.defocus_v_ang[tilt])
        gamma = gamma_2d_rad(
            k_yx, *defocus_ang, float(ctf.azimuth_deg[tilt]), ctf.optics, float(ctf.phase_deg[tilt])
        ).astype(np.float32)
        true_yx = ctf.optics.true_frequencies(k_yx)
        per_depth = (ctf.hand * gamma_per_defocus(np.hypot(*true_yx), ctf.optics)).astype(np.float32)
        back = np.exp(-1j * odd_phase_rad(true_yx, ctf.optics)).astype(np.complex64)

        def at(depth_ang: float) -> Transfer:
            values = np.sin(gamma + np.float32(depth_ang) * per_depth)
            corrected = np.sign(values) if self._how == "flip" else values
            return corrected * back if ctf.optics.aberrations.is_odd else corrected

        return at

    def in_strips(self, versions: Iterator[Image], geometry: LineGeometry, index: int) -> Image:
        """Put the lines of one tilt together from the versions of its lines: strips along the tilt axis.

        Parameters
        ----------
        versions : iterator of float32[n_v, n_u]
            The lines sampled from each version, the lowest depth first.
        geometry : LineGeometry
        index : int
            Number of the tilt among those in use.
        """
        plane = self.steps.depth_from_voxel[index]
        half_x = geometry.shape_zyx[2] / 2
        # Beyond the volume nothing is known, and nothing is needed: the depth stays.
        stretch = max(geometry.step_x[index], 1e-6)
        x = np.clip((np.arange(geometry.n_u) - geometry.n_u // 2) / stretch, -half_x, half_x)
        y = np.arange(geometry.n_v) - geometry.n_v // 2
        chosen = self.steps.version(index, plane[0] * x + plane[1] * y[:, None] + plane[3])
        lines_vu = np.zeros((geometry.n_v, geometry.n_u), np.float32)
        for number, version_vu in enumerate(versions):
            np.copyto(lines_vu, version_vu, where=chosen == number)
        return lines_vu


def correction_for(
    setting: Setting, params: ReconstructParams, matrices: Floats, shape_zyx: tuple[int, int, int], pixel_ang: float
) -> CtfCorrection:
    """Plan the correction of the tilts in use for a volume, which may be a part of the setting's.

    Parameters
    ----------
    setting : Setting
    params : ReconstructParams
        Its `ctf` is not ``"none"``.
    matrices : float64[N, 3, 4]
        For the centre of the volume.
    shape_zyx : tuple of int
    pixel_ang : float
        Of the images to be corrected.
    """
    ctf = ctf_of(setting, params)
    depth: CtfDepth = "none" if ctf.hand == 0 else "voxel" if params.ctf == "slabs" else "plane"
    step_ang = largest_step_ang(ctf.optics, finest_detail_ang(setting, params))
    steps = depth_steps(matrices, setting.voxel_ang, shape_zyx, step_ang, depth)
    return CtfCorrection(ctf, steps, setting.tilts, pixel_ang, params.ctf_filter)


def finest_detail_ang(setting: Setting, params: ReconstructParams) -> float:
    """Return the size of the finest details kept: a standard deviation into the fade-out of the images."""
    return setting.voxel_ang / min(0.5, params.cutoff_per_px + params.rolloff_per_px)


def margin_px(setting: Setting, params: ReconstructParams) -> int:
    """Return how far beyond its borders an image must reach: as far as the CTF carries its finest details."""
    if params.ctf == "none":
        return 0
    ctf, finest_ang = ctf_of(setting, params), finest_detail_ang(setting, params)
    reach_ang = ctf.optics.wavelength_ang * float(np.abs(ctf.defocus_ang[setting.tilts]).max()) / finest_ang
    return int(np.ceil(reach_ang / setting.series.pixel_ang))


def ctf_quality(setting: Setting, params: ReconstructParams) -> dict[str, Any]:
    """Say how the CTF was corrected, and warn when its hand was not known."""
    if params.ctf == "none":
        return {"ctf": "none"}
    hand = ctf_of(setting, params).hand
    quality: dict[str, Any] = {"ctf": params.ctf, "ctf_filter": params.ctf_filter, "defocus_hand": hand}
    if hand == 0:
        quality["ctf_warning"] = (
            "The defocus hand is undecided: each image was corrected with one defocus, whatever the depth."
        )
    return quality


def ctf_of(setting: Setting, params: ReconstructParams) -> CtfSeries:
    """Take the CTF of the series, or say what is missing."""
    name, ctf = setting.series.name, setting.ctf
    if ctf is None:
        wanted, instead = (f"ctf is {params.ctf!r}", "none") if params.ctf != "none" else ("deconvolve is on", "it off")
        raise DataError(f"{name}: nothing is known of its CTF, but {wanted}; run ctf first, or set {instead}.")
    if ctf.n_tilts != setting.series.n_tilts:
        raise DataError(
            f"{name}: the CTF is known for {ctf.n_tilts} tilts, the series has {setting.series.n_tilts}; run ctf again."
        )
    return ctf


class DepthBackprojector(Backprojector):
    """Spreads lines that come in several versions; every voxel takes the one for its depth.

    Parameters
    ----------
    geometry : LineGeometry
    steps : DepthSteps
        For the same volume. Lines are added by the number of their version, counted through all tilts.
    """

    def __init__(self, geometry: LineGeometry, steps: DepthSteps) -> None:
        super().__init__(geometry, np.repeat(np.arange(len(steps.counts)), steps.counts))
        self._steps = steps

    def _spread(self, planes_zvx: Image, lowest: int) -> None:
        geometry, steps = self.geometry, self._steps
        plane = steps.depth_from_voxel.copy()
        # A line belongs to the y at which it meets height 0; at others it has moved on by the lean.
        plane[:, 2] -= plane[:, 1] * geometry.common_lean
        corner = np.array([-(geometry.shape_zyx[2] // 2), -(geometry.n_v // 2), lowest, 1.0])
        start = plane @ corner - steps.lowest_ang
        depths = np.column_stack([start, plane[:, :3]]) / steps.width_ang[:, None]
        lines = np.column_stack([self._start_u(lowest), geometry.step_x, geometry.step_z])
        last = steps.starts + steps.counts - 1
        backproject_versions(planes_zvx, self._blocks, lines, depths, steps.starts, last)


def bands_of_rows(steps: DepthSteps, geometry: LineGeometry, limit_bytes: float) -> list[tuple[int, int]]:
    """Divide the rows y of a volume into bands whose lines, all versions together, stay within a limit.

    Returns
    -------
    list of (first, end)
        Multiples of the kernel's rows, the last one apart; at least one such multiple each.
    """
    ny = geometry.shape_zyx[1]
    copies = 2 if geometry.slab_limit < geometry.shape_zyx[0] else 1
    bytes_per_row = 4.0 * copies * geometry.n_u * int(steps.counts.sum())
    rows = max(ROWS, int(limit_bytes / bytes_per_row) // ROWS * ROWS)
    # Bands of equal size, not full ones and a rest.
    rows = -(-ny // -(-ny // rows))
    rows = min(ny, -(-rows // ROWS) * ROWS)
    return [(first, min(first + rows, ny)) for first in range(0, ny, rows)]


def moved_to_band(matrices: Floats, voxel_ang: float, ny: int, band: tuple[int, int]) -> Floats:
    """Return the matrices for a volume that holds only the rows of a band: float64[N, 3, 4]."""
    first, end = band
    moved: Floats = matrices.copy()
    moved[:, :, 3] += matrices[:, :, 1] * voxel_ang * (first + (end - first) // 2 - ny // 2)
    return moved
