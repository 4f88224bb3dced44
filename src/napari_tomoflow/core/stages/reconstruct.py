"""Stage: from an aligned tilt series to a tomogram."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, TiltSeries, Tomogram
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, part, silent, watched
from napari_tomoflow.core.stage import Allocate, Stage, in_memory

if TYPE_CHECKING:
    from napari_tomoflow.core.ops.backprojection import Backprojector

_USUAL_VOXEL_ANG = 10.0
_MARGIN_OVER_SPECIMEN = 1.3
_TILT_OF_A_ROD_DEG = 75.0
_UPDATES_PER_SLAB = 2e9
_VOXELS_PER_SLAB = 64e6
_INT16_RANGE_SD = 40.0


class ReconstructParams(Params):
    """How an aligned tilt series becomes a tomogram."""

    bin: int | None = param(
        None, low=1, high=64, help="Pixels per voxel, by Fourier crop; left empty, the voxel comes out near 10 Å."
    )
    thickness_ang: float | None = param(
        None,
        unit="Å",
        low=1,
        high=1e8,
        help="Depth of the tomogram; left empty, 1.3 × the specimen found by align, "
        "or a quarter of the image width (all of it beyond 75° tilt).",
    )
    dtype: Literal["float32", "float16", "int16"] = param("float32", help="Number type of the tomogram.")
    weighting: Literal["ramp", "none"] = param("ramp", help="Frequency weighting across the tilt axis.")
    angular_weights: bool = param(True, help="Weight each tilt by the angle to its neighbours, for uneven steps.")
    normalise: bool = param(
        True, help="Bring each image to mean 0 and standard deviation 1; switch off for calibrated series."
    )
    cutoff_per_px: float = param(
        0.35, unit="cycles/px", low=0.01, high=0.5, expert=True, help="Frequency above which the images fade out."
    )
    rolloff_per_px: float = param(
        0.05, unit="cycles/px", low=0.001, high=0.5, expert=True, help="Standard deviation of that Gaussian fade-out."
    )
    low_frequency: float = param(
        0.2, low=0, high=10, expert=True, help="Weight of frequency 0, in units of the first frequency's."
    )
    edge_taper: float = param(
        0.05, low=0, high=1, expert=True, help="Margin in which an image fades out beyond its border, over its width."
    )


def reconstruct(
    series: TiltSeries,
    alignment: Alignment | None = None,
    params: ReconstructParams = ReconstructParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> Tomogram:
    """Reconstruct a tomogram by weighted back-projection.

    Parameters
    ----------
    series : TiltSeries
    alignment : Alignment, optional
        Without it the angles and the axis the microscope claims are used.
    params : ReconstructParams
    report, allocate
        See `core.report` and `core.stage`. The volume is filled in slabs along z.

    Returns
    -------
    Tomogram
        Density per voxel: a view through d voxels of value 1 is d brighter, in standard deviations
        of an image (in its own units when not normalised), for tilts all the way round. Dark stays
        dark. float16 is divided by the standard deviation of the central planes; int16 spans 40
        of them. ``quality["stored_per_density"]`` is the factor.

    Notes
    -----
    Each image is mended (isolated pixels), normalised, faded out beyond its border, binned by
    Fourier crop, low-passed, resampled once by a cubic spline so that the tilt axis is y, and
    ramp-filtered. Cost is n_tilts × voxels; memory is the lines, n_tilts × one binned image, plus
    one slab.

    References
    ----------
    .. [1] Radermacher, M. in *Electron Tomography*, 2nd ed. (Springer, 2006), pp. 245-273,
       doi:10.1007/978-0-387-69008-7_9. Ramp weighting of single-axis series.
    """
    from napari_tomoflow.core.ops.backprojection import Backprojector, line_geometry

    alignment = alignment or Alignment.nominal(series)
    tilts = _usable_tilts(series, alignment)
    factor = params.bin or max(1, round(_USUAL_VOXEL_ANG / series.pixel_ang))
    voxel_ang = factor * series.pixel_ang
    shape_zyx = _volume_shape(series, alignment, tilts, params.thickness_ang, factor)
    projector = Backprojector(line_geometry(alignment.image_from_sample()[tilts], voxel_ang, shape_zyx))
    weights = _tilt_weights(alignment.tilt_deg[tilts], params)
    lines_of = _line_maker(series, projector, params, factor)
    for index in watched(range(len(tilts)), part(report, 0, 2), "Filtering images"):
        projector.add(index, lines_of(int(tilts[index]), index) * np.float32(weights[index]))
    scale = _stored_per_density(projector, params.dtype)
    volume = allocate("tomogram", shape_zyx, np.dtype(params.dtype))
    sd_profile = _fill(volume, projector, scale, part(report, 1, 2))
    quality = {
        "voxel_ang": voxel_ang,
        "bin": factor,
        "shape_zyx": list(shape_zyx),
        "tilts_used": len(tilts),
        "tilt_weights_deg": np.rad2deg(weights).tolist(),
        "stored_per_density": scale,
        "lines_mb": projector.nbytes / 1e6,
        **_profile_quality(sd_profile, voxel_ang),
    }
    return Tomogram(name=series.name, volume=volume, voxel_ang=voxel_ang, contrast=series.contrast, quality=quality)


def _usable_tilts(series: TiltSeries, alignment: Alignment) -> NDArray[np.int64]:
    """Choose the tilts that series and alignment both keep."""
    if alignment.n_tilts != series.n_tilts:
        raise DataError(
            f"{series.name}: the alignment is for {alignment.n_tilts} tilts, the series has {series.n_tilts}; "
            "align it again."
        )
    tilts = np.flatnonzero(series.kept & alignment.kept)
    if len(tilts) < 2:
        raise DataError(f"{series.name}: {len(tilts)} of {series.n_tilts} tilts are in use; keep at least 2.")
    return tilts


def _volume_shape(
    series: TiltSeries, alignment: Alignment, tilts: NDArray[np.int64], thickness_ang: float | None, factor: int
) -> tuple[int, int, int]:
    """Size of the tomogram, even along every axis, its x across the tilt axis as the specimen's is."""
    from napari_tomoflow.core.ops.fourier import binned_shape

    ny, nx = (n + n % 2 for n in binned_shape(series.shape_yx, factor))
    # Doubling the angles makes an axis and its half-turn the same before they are averaged.
    if np.cos(2 * np.deg2rad(alignment.axis_deg[tilts])).mean() < 0:
        ny, nx = nx, ny
    if thickness_ang is None and alignment.thickness_ang is not None:
        thickness_ang = _MARGIN_OVER_SPECIMEN * alignment.thickness_ang
    voxel_ang = factor * series.pixel_ang
    if thickness_ang is None:
        is_rod = np.abs(alignment.tilt_deg[tilts]).max() > _TILT_OF_A_ROD_DEG
        thickness_ang = voxel_ang * nx * (1.0 if is_rod else 0.25)
    return 2 * max(1, int(np.ceil(thickness_ang / voxel_ang / 2 - 1e-6))), ny, nx


def _tilt_weights(tilt_deg: NDArray[np.float64], params: ReconstructParams) -> NDArray[np.float64]:
    """Angle each view stands for, radians."""
    from napari_tomoflow.core.ops.backprojection import angular_spacing

    spacing = angular_spacing(tilt_deg)
    return spacing if params.angular_weights else np.full_like(spacing, spacing.mean())


def _line_maker(
    series: TiltSeries, projector: "Backprojector", params: ReconstructParams, factor: int
) -> Callable[[int, int], NDArray[np.float32]]:
    """Prepare what all tilts share; return the function (tilt, index) → lines ready to be spread."""
    from napari_tomoflow.core.ops import filters, resample
    from napari_tomoflow.core.ops.backprojection import grid_in_image
    from napari_tomoflow.core.ops.fourier import fourier_crop, next_fast_size

    geometry = projector.geometry
    binned = [next_fast_size(int(np.ceil(n * (1 + 2 * params.edge_taper) / factor))) for n in series.shape_yx]
    padded = [n * factor for n in binned]
    transfer = filters.lowpass_transfer(binned, params.cutoff_per_px, params.rolloff_per_px)
    transfer *= resample.spline_transfer(binned)
    line_size = filters.padded_line_size(geometry.n_u)
    ramp = filters.ramp_weights(line_size, params.low_frequency) * filters.undo_linear_interpolation(line_size)

    def lines_of(tilt: int, index: int) -> NDArray[np.float32]:
        image_yx = filters.pad_fading(_readied(series, tilt, params.normalise), padded)
        coefficients_yx = fourier_crop(image_yx, binned, transfer)
        affine = grid_in_image(geometry, index, coefficients_yx.shape)
        lines_vu = resample.sample_affine(coefficients_yx, affine, (geometry.n_v, geometry.n_u))
        return filters.filter_lines(lines_vu, ramp) if params.weighting == "ramp" else lines_vu

    return lines_of


def _readied(series: TiltSeries, tilt: int, normalise: bool) -> NDArray[np.float32]:
    """Read an image, mend isolated pixels and, if wanted, bring it to mean 0 and standard deviation 1."""
    from napari_tomoflow.core.ops.filters import mend_isolated_pixels, robust_mean_sd

    image_yx = series.image(tilt)
    if not np.isfinite(image_yx).all():
        raise DataError(f"{series.name}: image {tilt} holds pixels that are not numbers; mend or exclude it.")
    mean, sd = robust_mean_sd(image_yx)
    image_yx = mend_isolated_pixels(image_yx, mean, sd)
    if not normalise:
        return image_yx
    if sd == 0:
        raise DataError(f"{series.name}: image {tilt} is blank (every pixel is {mean:g}); exclude it.")
    return (image_yx - np.float32(mean)) / np.float32(sd)


def _stored_per_density(projector: "Backprojector", dtype: str) -> float:
    """Choose the factor by which densities are stored, from the spread in the central planes."""
    if dtype == "float32":
        return 1.0
    nz, ny, nx = projector.geometry.shape_zyx
    n_planes = min(8, nz, projector.geometry.slab_limit)
    central = np.empty((n_planes, ny, nx), np.float32)
    projector.fill(central, nz // 2 - n_planes // 2)
    sd = float(np.std(central, dtype=np.float64)) or 1.0
    return (np.iinfo(np.int16).max / _INT16_RANGE_SD if dtype == "int16" else 1.0) / sd


def _fill(volume: NDArray[Any], projector: "Backprojector", scale: float, report: Report) -> NDArray[np.float64]:
    """Compute and store slab after slab; return the standard deviation of each plane, as density."""
    nz, ny, nx = volume.shape
    geometry = projector.geometry
    # A slab takes a tenth of a second to a second, and 256 MB at most.
    planes = min(_UPDATES_PER_SLAB / geometry.step_x.size, _VOXELS_PER_SLAB) / (geometry.n_v * nx)
    height = int(np.clip(planes, 1, min(nz, geometry.slab_limit)))
    buffer = np.empty((height, ny, nx), np.float32)
    sd_profile = np.empty(nz)
    every = max(1, ny // 128)
    for z0 in watched(range(0, nz, height), report, "Back-projecting"):
        slab = buffer[: nz - z0]
        projector.fill(slab, z0)
        sd_profile[z0 : z0 + height] = [plane_yx[::every].std() for plane_yx in slab]
        _store(volume[z0 : z0 + height], slab, scale)
    return sd_profile


def _store(target: NDArray[Any], slab: NDArray[np.float32], scale: float) -> None:
    """Write a slab in the number type of the tomogram."""
    if scale != 1.0:
        slab *= np.float32(scale)
    if target.dtype.kind == "i":
        limits = np.iinfo(target.dtype)
        np.clip(np.rint(slab, out=slab), limits.min, limits.max, out=slab)
    target[:] = slab


def _profile_quality(sd_profile: NDArray[np.float64], voxel_ang: float) -> dict[str, Any]:
    """Sum up how the spread of densities changes with height."""
    from napari_tomoflow.core.ops.backprojection import specimen_thickness

    planes = specimen_thickness(sd_profile)
    return {
        "sd_profile": sd_profile.tolist(),
        "specimen_thickness_ang": None if planes is None else planes * voxel_ang,
    }


RECONSTRUCT = Stage.of(reconstruct, version=1, cites=("Radermacher2006",))
