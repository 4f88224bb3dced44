"""Stage: particles that look like a template."""

from typing import TYPE_CHECKING

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.matching.params import MatchParams
from napari_tomoflow.core.model import Alignment, CtfSeries, DensityMap, ParticleSet, TiltSeries, Tomogram
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import Stage

if TYPE_CHECKING:
    from napari_tomoflow.core.matching.level import Transfer

__all__ = ["MATCH", "MatchParams", "match"]


def match(
    tomogram: Tomogram,
    template: DensityMap | None = None,
    *,
    rivals: tuple[DensityMap, ...] = (),
    series: TiltSeries | None = None,
    alignment: Alignment | None = None,
    ctf: CtfSeries | None = None,
    params: MatchParams = MatchParams(),
    report: Report = silent,
) -> ParticleSet:
    """Find the particles in a tomogram that look like a template.

    Parameters
    ----------
    tomogram : Tomogram
        Best weighted by the ramp, which leaves no frequency out, and 8 to 15 Å per voxel.
    template : DensityMap, optional
        In its standard orientation where it is symmetric. The parameter of this name makes it from a file.
    rivals : tuple of DensityMap
        Other kinds of particles that may be present. The parameter of this name makes them from files.
    series, alignment : optional
        Of the tomogram: they tell which directions and how much exposure each tilt gave.
    ctf : CtfSeries, optional
        Tells what the contrast transfer of each tilt has kept.
    params : MatchParams
    report

    Returns
    -------
    ParticleSet
        Best first. ``score`` is the correlation in standard deviations of that of a template that shows nothing.
        Features: ``species``; ``z``, the same; ``lcc``, the correlation coefficient; ``expected_false``, how many
        false ones are expected to score as high before poses are refined; ``stand_out``, the share of the score by
        which a peak stands out of its surroundings; ``diameter_ang``, that of the template; ``rival_z``, the highest
        score of a rival there. ``quality`` has the threshold, histograms of both templates' peaks, what was left out
        and, if asked for, which mirror image fits.

    Raises
    ------
    MissingError
        There is no template.
    DataError, ParamError
        The template is empty or too small, the inputs do not belong together, or nothing is left to search.

    Notes
    -----
    The score is the correlation coefficient under a ball (Roseman), of a template that has lost what the tomogram
    has lost: the missing wedge, and in every direction the mean of what the tilts there have kept, exposure and CTF
    included. The fast search tries all orientations at coarser sampling, with stencils summed up from their principal
    components, and scores what it finds at full sampling. The threshold comes from a template of the same power with
    random phases, searched for in the same way; of a large tomogram the fast search takes a part for that. The flank
    of a strong particle resembles the template too: what better hits nearby make of a score does not count. Where too
    little is there to measure, normal noise is assumed and ``quality["warnings"]`` says so, as it hands on what was
    said against the CTF. Gold is found by its density and left out. Cost: see ``tests/benchmarks/bench_match.py``.

    References
    ----------
    .. [1] Roseman, Ultramicroscopy 94 (2003) 225, doi:10.1016/S0304-3991(02)00333-9.
    .. [2] Chaillet et al., Int. J. Mol. Sci. 24 (2023) 13375, doi:10.3390/ijms241713375. The transfer of each tilt in
       the template, and a null of random phases.
    .. [3] Cruz-León et al., Nat. Commun. 15 (2024) 3992, doi:10.1038/s41467-024-47839-8. Fine angles and high
       frequencies carry the specificity.
    """
    from napari_tomoflow.core.matching.course import find_particles
    from napari_tomoflow.core.matching.rivals import Rival, without_rivals
    from napari_tomoflow.core.matching.scene import Scene

    if template is None:
        raise MissingError(
            f"{tomogram.name}: there is no template to look for; give a file with --template, or make an average first."
        )
    sampling, known = _sampling(tomogram, series, alignment, ctf, params)
    scene = Scene.of(tomogram, template, sampling, params)
    steps = 1 + len(rivals)
    found = find_particles(tomogram, scene, params.species or template.name, params, part(report, 0, steps))
    if rivals:
        searched = [
            Rival.searched(tomogram, rival, sampling, params, part(report, number, steps))
            for number, rival in enumerate(rivals, start=1)
        ]
        found = without_rivals(found, searched, scene.template.diameter_ang)
    warnings = [*found.quality["warnings"], *_doubts(ctf if params.use_ctf else None)]
    return found.replace(quality={**found.quality, **known, "warnings": warnings})


def _doubts(ctf: CtfSeries | None) -> list[str]:
    """Hand on what was said against the CTF: a wrong one weakens the template, or turns the sign of its details."""
    said = [] if ctf is None else [f"CTF: {one}" for one in ctf.quality.get("warnings", ())]
    return (
        ["The template was given a CTF that came with warnings; match without use_ctf to compare.", *said]
        if said
        else []
    )


def _sampling(
    tomogram: Tomogram,
    series: TiltSeries | None,
    alignment: Alignment | None,
    ctf: CtfSeries | None,
    params: MatchParams,
) -> "tuple[Transfer, dict[str, str]]":
    """Gather what is known of the tilts, and say what is not."""
    from napari_tomoflow.core.matching.sampling import Wedge, sampling_of

    if series is None or (alignment is None and series.axis_deg is None):
        return Wedge(*params.wedge_deg), {"sampling": "a wedge from wedge_deg: no series and alignment"}
    ctf = ctf if params.use_ctf else None
    sampling = sampling_of(
        series,
        alignment or Alignment.nominal(series),
        ctf,
        corrected=tomogram.quality.get("ctf_filter", "none"),
        dose_filtered=tomogram.quality.get("dose_weighting", "none"),
    )
    return sampling, {"sampling": "tilts, exposure and CTF" if ctf else "tilts and exposure"}


MATCH = Stage.of(
    match,
    version=4,
    cites=("10.1016/S0304-3991(02)00333-9", "10.3390/ijms241713375", "10.1038/s41467-024-47839-8"),
)
