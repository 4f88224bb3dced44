"""Stage: particles from shapes."""

from typing import Any

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.model import Labels, ParticleSet, Tomogram
from napari_tomoflow.core.picking.params import PickParams
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Stage

__all__ = ["PICK", "PickParams", "pick"]


def pick(
    particles: ParticleSet | None = None,
    labels: Labels | None = None,
    tomogram: Tomogram | None = None,
    *,
    params: PickParams = PickParams(),
    report: Report = silent,
) -> ParticleSet:
    """Pick particles on shapes fitted to clicked points or found in a segmentation, and clean them.

    Parameters
    ----------
    particles : ParticleSet, optional
        Clicked points, in order where they are of filaments. A column ``model`` (or IMOD's ``contour``) tells
        which belong to one shape; a column ``role`` says of a point that it is ``outside`` or ``inside`` one.
    labels : Labels, optional
        For the segmented models, and where a side of membranes is asked for.
    tomogram : Tomogram, optional
        Only its points are used, and picks beyond it taken out.
    params : PickParams
    report

    Returns
    -------
    ParticleSet
        z along the normal of the surface or the filament's direction. Features: ``species``; ``model``, the
        shape a pick is from. ``quality["models"]`` has every shape with its size, fit and evenness,
        ``quality["removed"]`` how many picks each criterion took out.

    Raises
    ------
    MissingError
        There are no points, or no segmentation, for the model.
    DataError, ParamError
        No shape can be fitted.

    Notes
    -----
    Spheres, ellipsoids and planes are fitted by least squares; closed surfaces, membranes, filaments and bent
    lattices are splines whose stiffness is found with the noise of the clicks. Points on surfaces push each
    other until neighbours are one spacing apart. A shape that cannot be fitted is left out with a warning,
    unless it is the only one. Segmented membranes and filaments are sampled at random with a minimum distance,
    oriented by the moments of the voxels around. A pattern depends on the seed and turns with its points.

    References
    ----------
    .. [1] Wahba, Spline Models for Observational Data (SIAM, 1990), doi:10.1137/1.9781611970128.
    .. [2] Chen et al., Nat. Methods 16 (2019) 1161, doi:10.1038/s41592-019-0591-8. Random places on what is
       continuous.
    """
    from napari_tomoflow.core.picking.course import pick_on_segments, pick_on_shapes
    from napari_tomoflow.core.picking.selection import cleaned

    report(0, 1, "Picking")
    if params.from_labels:
        found = pick_on_segments(_segmentation(labels, tomogram, params), params, report)
    elif params.model == "points":
        found = _named(_points(particles, tomogram, params), params)
    else:
        found = pick_on_shapes(_points(particles, tomogram, params), params, report)
    kept, removed = cleaned(found, params, labels, tomogram)
    report(1, 1, "Picked")
    return kept.replace(quality=_quality(kept, found, removed, params))


def _points(particles: ParticleSet | None, tomogram: Tomogram | None, params: PickParams) -> ParticleSet:
    """Return the points of the tomogram."""
    from napari_tomoflow.core.picking.anchors import in_tomogram

    if particles is None or not len(particles):
        raise MissingError(f"There are no points to fit a {params.model} to; click some, or give --particles FILE.")
    return particles if tomogram is None else in_tomogram(particles, tomogram.name)


def _segmentation(labels: Labels | None, tomogram: Tomogram | None, params: PickParams) -> Labels:
    """Return the segmentation under the name of the tomogram: a file is named otherwise."""
    if labels is None:
        raise MissingError(f"There is no segmentation for {params.model}; give --labels FILE.")
    return labels if tomogram is None else labels.replace(name=tomogram.name)


def _named(particles: ParticleSet, params: PickParams) -> ParticleSet:
    """Give particles the species asked for."""
    if not params.species:
        return particles
    import numpy as np

    return particles.replace(features={**particles.features, "species": np.full(len(particles), params.species)})


def _quality(kept: ParticleSet, found: ParticleSet, removed: dict[str, int], params: PickParams) -> dict[str, Any]:
    """Sum up in plain numbers."""
    from napari_tomoflow.core.picking.verdict import evenness

    models = list(found.quality.get("models", ())) if params.model != "points" else []
    warnings = list(found.quality.get("warnings", ())) if params.model != "points" else []
    if not len(kept):
        warnings.append(f"All {len(found)} picks were taken out: {removed}.")
    residuals = [one["residual_ang"] for one in models if "residual_ang" in one]
    return {
        "model": params.model,
        "shapes": len(models),
        **evenness(kept.centers_ang_zyx),
        "residual_ang": max(residuals, default=None),
        "removed": removed,
        "warnings": warnings,
        "models": models,
    }


PICK = Stage.of(pick, version=2, cites=("10.1137/1.9781611970128", "10.1038/s41592-019-0591-8"))
