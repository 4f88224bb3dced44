"""Stage: from an aligned tilt series to a tomogram."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Alignment, CtfSeries, TiltSeries, Tomogram
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Allocate, Stage, in_memory

if TYPE_CHECKING:
    from napari_tomoflow.core.reconstruction.density_store import DensityStore
    from napari_tomoflow.core.reconstruction.method import Method, Solution
    from napari_tomoflow.core.reconstruction.setting import Setting

__all__ = ["RECONSTRUCT", "ReconstructParams", "reconstruct"]

_VOLUMES = ("tomogram", "tomogram_half1", "tomogram_half2")


def reconstruct(
    series: TiltSeries,
    alignment: Alignment | None = None,
    *,
    ctf: CtfSeries | None = None,
    params: ReconstructParams = ReconstructParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> Tomogram:
    """Reconstruct a tomogram.

    Parameters
    ----------
    series : TiltSeries
    alignment : Alignment, optional
        Without it the angles and the axis the microscope claims are used.
    ctf : CtfSeries, optional
        Needed only to correct for it.
    params : ReconstructParams
    report, allocate
        See `core.report` and `core.stage`.

    Returns
    -------
    Tomogram
        Density per voxel: a view through d voxels of value 1 is d brighter, in standard deviations
        of an image (in its own units when not normalised), for tilts all the way round. Dark stays
        dark. float16 is divided by the standard deviation of the central planes; int16 spans 40
        of them to either side, int8 10. ``quality["stored_per_density"]`` is the factor.

    Notes
    -----
    ``wbp`` is linear and fast. As it comes, its weighting is that of a few iterations, which is what most
    people want to look at and pick in; match and average in one with weighting ``ramp``, which leaves no
    frequency out. ``tiles`` are as sharp as the ramp and follow any geometry. ``sirt`` weights coarse
    detail more and noise less. ``sart`` comes to finer detail in fewer iterations. Both stop where
    reconstructions of every other tilt predict the remaining images best. Where a specimen is bent otherwise at
    other heights, ``wbp`` unbends layer by layer; the other methods unbend all as the middle is. With the CTF go the
    aberrations of the lens, odd ones too.
    """
    from napari_tomoflow.core.reconstruction.density_store import DensityStore, stored_per_density
    from napari_tomoflow.core.reconstruction.halves import agreement, halves_of
    from napari_tomoflow.core.reconstruction.setting import Setting

    setting = Setting.of(series, alignment or Alignment.nominal(series), params, ctf)
    settings = [setting, *halves_of(setting, params.halves)]
    stores: list[DensityStore] = []
    quality: dict[str, Any] = {}
    for number, (name, each) in enumerate(zip(_VOLUMES, settings, strict=False)):
        share = part(report, number, len(settings))
        solution = _method(params)(each, params, part(share, 0, 2))
        if not stores:
            scale = stored_per_density(params.dtype, 1.0 if params.dtype == "float32" else solution.typical_sd())
        stores.append(DensityStore(allocate(name, setting.shape_zyx, np.dtype(params.dtype)), scale))
        solution.write(stores[-1], part(share, 1, 2))
        quality = quality or _quality(setting, params, stores[0], solution)
        del solution  # its lines make room for the next one's
    volume, *halves = (store.volume for store in stores)
    if params.halves != "none":
        quality |= agreement(halves[0], halves[1], setting.voxel_ang, params.halves)
    return Tomogram(
        name=series.name,
        volume=volume,
        voxel_ang=setting.voxel_ang,
        contrast=series.contrast,
        halves=(halves[0], halves[1]) if halves else None,
        quality=quality,
    )


def _quality(
    setting: "Setting", params: ReconstructParams, store: "DensityStore", solution: "Solution"
) -> dict[str, Any]:
    """Gather what is known of a finished volume."""
    from napari_tomoflow.core.reconstruction.ctf_correction import ctf_quality
    from napari_tomoflow.core.reconstruction.weights import weighting_of

    return {
        "method": params.method,
        **({"weighting": weighting_of(setting, params)} if params.method == "wbp" else {}),
        "voxel_ang": setting.voxel_ang,
        "bin": setting.voxel_ang / setting.series.pixel_ang,
        "shape_zyx": list(setting.shape_zyx),
        "tilts_used": len(setting.tilts),
        "stored_per_density": store.scale,
        "dose_weighting": params.dose_weighting,
        **ctf_quality(setting, params),
        **solution.quality,
        **_profile_quality(store.sd_profile, setting.voxel_ang),
    }


def _method(params: ReconstructParams) -> "Method":
    """Find the function behind a choice; imported here, because listing the stages must stay cheap."""
    from napari_tomoflow.core.reconstruction.iterative import IterativeReconstruction
    from napari_tomoflow.core.reconstruction.tiles import FourierTiles
    from napari_tomoflow.core.reconstruction.wbp import weighted_backprojection
    from napari_tomoflow.core.reconstruction.wbp_by_depth import DepthwiseBackprojection

    if (params.method, params.ctf) == ("wbp", "slabs"):
        return DepthwiseBackprojection
    methods: dict[str, Method] = {
        "wbp": weighted_backprojection,
        "tiles": FourierTiles,
        "sirt": IterativeReconstruction,
        "sart": IterativeReconstruction,
    }
    return methods[params.method]


def _profile_quality(sd_profile: NDArray[np.float64], voxel_ang: float) -> dict[str, Any]:
    """Sum up how the spread of densities changes with height."""
    from napari_tomoflow.core.ops.backprojection import specimen_thickness

    planes = specimen_thickness(sd_profile)
    return {
        "sd_profile": sd_profile.tolist(),
        "specimen_thickness_ang": None if planes is None else planes * voxel_ang,
    }


RECONSTRUCT = Stage.of(
    reconstruct,
    version=5,
    cites=("Radermacher2006", "10.1016/j.jsb.2017.07.007", "10.1038/s41592-019-0591-8", "10.1016/0022-5193(72)90180-4"),
)
