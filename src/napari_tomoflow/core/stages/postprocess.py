"""Stage: an average masked, measured and sharpened."""

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Curve, DensityMap, FinishedMap
from napari_tomoflow.core.postprocessing.params import PostprocessParams
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage

__all__ = ["POSTPROCESS", "PostprocessParams", "postprocess"]


def postprocess(
    map: DensityMap,
    *,
    other_half: DensityMap | None = None,
    mask: DensityMap | None = None,
    model: DensityMap | None = None,
    structure_factor: Curve | None = None,
    mtf: Curve | None = None,
    params: PostprocessParams = PostprocessParams(),
    report: Report = silent,
) -> FinishedMap:
    """Mask, measure, sharpen and filter an average, as it is shown and published.

    Parameters
    ----------
    map : DensityMap
        With halves that have not seen each other.
    other_half : DensityMap, optional
        Makes ``map`` the first half.
    mask : DensityMap, optional
        In the frame of the map, at any voxel; from 0 to 1.
    model : DensityMap, optional
        In register with the map, at any voxel. Atoms of a file lie where their coordinates from its centre say.
    structure_factor : Curve, optional
        Intensity over 1/Å.
    mtf : Curve, optional
        Of the detector, over cycles per pixel.
    params : PostprocessParams
    report : Report

    Returns
    -------
    FinishedMap
        ``quality`` has the curves: FSC, amplitudes, directions, and what of local resolution there is within the mask.

    Raises
    ------
    DataError
        The map has no halves, they are not alike in shape, or the mask is empty.

    Notes
    -----
    The automatic mask is the largest body at 15 Å, extended by 3 voxels, with a soft edge of at least 2 resolutions.
    The FSC is freed of what the mask adds by random phases from where the halves, not masked, fall below 0.8. Each
    shell counts as much as it has signal: √(2 FSC / (1 + FSC)). The B factor is the slope of the masked amplitudes
    between 10 Å and the resolution; where fewer than four shells lie there the map is not sharpened. Local resolution
    is where the FSC of halves under a Gaussian window, three resolutions wide, falls below 0.143; nothing coarser than
    the window can be told. With a model, the map is given the model's amplitudes around each voxel, while the locally
    filtered map keeps the B factor. Directions are cones of 20°.

    References
    ----------
    .. [1] Rosenthal and Henderson, J. Mol. Biol. 333 (2003) 721, doi:10.1016/j.jmb.2003.07.013. B factor, weights.
    .. [2] Chen et al., Ultramicroscopy 135 (2013) 24, doi:10.1016/j.ultramic.2013.06.004. Random phases.
    .. [3] Cardone et al., J. Struct. Biol. 184 (2013) 226, doi:10.1016/j.jsb.2013.08.002. Local resolution.
    .. [4] Jakobi et al., eLife 6 (2017) e27131, doi:10.7554/eLife.27131. Amplitudes of a model.
    .. [5] Tan et al., Nat. Methods 14 (2017) 793, doi:10.1038/nmeth.4347. Directions.
    """
    from napari_tomoflow.core.postprocessing.finish import Given, finish_map

    whole = map if other_half is None else _joined(map, other_half)
    return finish_map(whole, Given(mask, model, structure_factor, mtf), params, report)


def _joined(first: DensityMap, second: DensityMap) -> DensityMap:
    """Make one map of two halves."""
    if tuple(first.volume.shape) != tuple(second.volume.shape) or abs(first.voxel_ang / second.voxel_ang - 1) > 1e-3:
        raise DataError(
            f"{first.name} and {second.name} are no halves of one map: {tuple(first.volume.shape)} voxels of "
            f"{first.voxel_ang:g} Å, {tuple(second.volume.shape)} of {second.voxel_ang:g} Å; give two that are alike."
        )
    return first.replace(halves=(first.volume, second.volume))


POSTPROCESS = Stage.of(
    postprocess,
    version=1,
    cites=(
        "10.1016/j.jmb.2003.07.013",
        "10.1016/j.ultramic.2013.06.004",
        "10.1016/j.jsb.2013.08.002",
        "10.7554/eLife.27131",
        "10.1038/nmeth.4347",
    ),
)
