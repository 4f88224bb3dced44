"""Stage: from what files say to a tilt series that has been looked at."""

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator, model_validator

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import AlignedSeries, Alignment, Frames, Movies, Optics, RawStack, TiltSeries
from napari_tomoflow.core.ops import tilt_scheme
from napari_tomoflow.core.ops.frame_statistics import FrameStatistics, frame_statistics, unlike_neighbours
from napari_tomoflow.core.ops.geometry import pixels_from_ang
from napari_tomoflow.core.params import Params, param
from napari_tomoflow.core.report import Report, silent, watched
from napari_tomoflow.core.stage import Stage

_ORDERS = {"monotonic": tilt_scheme.monotonic_order, "dose-symmetric": tilt_scheme.dose_symmetric_order}
_THIS_COMMAND = "given"

_APART_OF_FIELD = 0.0125
"""Neighbouring images that disagree with an imported alignment by more than this are named."""

FOREIGN = ("from_imod", "from_aretomo", "from_relion5", "from_warp", "from_eman2")
"""Parameters that name another program's alignment."""

WITHOUT_STACK = (*FOREIGN, "frames")
"""Parameters from which the images are found when no stack is named."""


class ImportParams(Params):
    """What the person knows better than the files; it goes before everything they say."""

    angles: Path | None = param(None, help="File with the tilt angles, one a line, in the order of the stack.")
    mdoc: Path | None = param(None, help="SerialEM mdoc of the series, or a folder with one mdoc for each tilt.")
    frames: tuple[Path, ...] | None = param(
        None,
        help="Movies in the order of the angles, a folder of them, or lists of movies, one a line, with or without its "
        "tilt angle; left empty, the folder of the mdoc.",
    )
    gain: Path | None = param(None, help="Gain reference of the movies, in any of its eight orientations.")
    eer_grouping: int | None = param(
        None,
        low=1,
        high=100000,
        expert=True,
        help="Frames of an EER movie summed to one; left empty, ten sums are made.",
    )
    eer_upsampling: Literal[1, 2] = param(
        1, expert=True, help="Grid of EER movies: 1 is that of the detector (4K), 2 one twice as fine (8K)."
    )
    pixel_ang: float | None = param(None, unit="Å", low=0.001, high=1e6, help="Pixel size of the images.")
    voltage_kv: float | None = param(None, unit="kV", low=1, high=3000, help="Acceleration voltage.")
    cs_mm: float | None = param(None, unit="mm", low=0, high=100, help="Spherical aberration.")
    axis_deg: float | None = param(
        None, unit="°", low=-360, high=360, help="Tilt axis, counter-clockwise from the vertical of the image."
    )
    dose_per_tilt: float | None = param(None, unit="e/Å²", low=0, high=1000, help="Exposure of each image.")
    amplitude_contrast: float | None = param(None, low=0, high=1, help="Fraction of amplitude contrast.")
    defocus_hand: Literal[-1, 1] | None = param(
        None, help="Sign with which the defocus changes with height; left empty, it is undecided."
    )
    order: str | None = param(
        None, help="Order of acquisition: monotonic, dose-symmetric, or a file; it decides the accumulated dose."
    )
    untilted: bool = param(False, help="The images are not tilted and have no angles.")
    contrast: Literal["dark", "bright"] = param("dark", help="Whether dense matter is dark (cryo) or bright (HAADF).")
    name: str | None = param(None, help="Name of the series; left empty, that of its file.")
    from_imod: Path | None = param(None, help="Folder of IMOD's alignment: .xf, .tlt, .xtilt and tilt.com.")
    from_aretomo: Path | None = param(None, help="AreTomo's .aln, or the folder of several.")
    from_relion5: Path | None = param(None, help="RELION 5's table of aligned tilt series, or of one series.")
    from_warp: Path | None = param(None, help="Warp's or M's .xml of the series, or the folder of several.")
    from_eman2: Path | None = param(None, help="EMAN2's info file of the series, or the folder of several.")
    aligned_binned_by: Literal["average", "crop"] | None = param(
        None,
        expert=True,
        help="How the stack that was aligned was binned, if it was; left empty, as that program does it.",
    )

    @field_validator("frames", mode="before")
    @classmethod
    def _several(cls, frames: Any) -> Any:
        """Take a single path for itself; none at all for nothing."""
        return (frames,) if isinstance(frames, str | Path) else frames or None

    @model_validator(mode="after")
    def _one_alignment(self) -> Self:
        """Refuse two alignments of one series."""
        given = [name for name in FOREIGN if getattr(self, name) is not None]
        if len(given) > 1:
            options = " and ".join("--" + name.replace("_", "-") for name in given)
            raise ValueError(f"{options} were both given; give the alignment of one program.")
        return self


def import_(recorded: RawStack, params: ImportParams = ImportParams(), report: Report = silent) -> TiltSeries:
    """Check a tilt series and take it in.

    What is given goes before what the files say; what neither says is asked for by name, except for the
    optics, whose usual values are taken and named. All images are read once. An image that is constant,
    dark or far brighter than those at similar angles is marked as left out, with the reason.

    Parameters
    ----------
    recorded : RawStack
        From `io.sources.read_raw_stack`, which reads the files of `angles`, `mdoc` and `order`.
    params : ImportParams
    report : Report
        Called before each tilt.

    Returns
    -------
    TiltSeries
        An `AlignedSeries` if the files brought an alignment, `Movies` if they are frames. ``quality["preview"]``
        has a row for each tilt, ``quality["said_by"]`` the source of each value, ``quality["warnings"]``
        sentences a person should read.

    Raises
    ------
    DataError
        The pixel size or the angles are missing, counts differ, or pixels are not numbers.
    """
    _check_files_were_read(recorded, params)
    pixel_ang, tilt_deg = _require(recorded, params)
    order, dose_of, dose_before, dose_warnings = _exposure(recorded, params, tilt_deg)
    optics, optics_warnings = _optics(recorded, params)
    kind: type[TiltSeries] = Movies if isinstance(recorded.images, Frames) else TiltSeries
    series = kind(
        name=params.name or recorded.name,
        images=recorded.images,
        tilt_deg=tilt_deg,
        pixel_ang=pixel_ang,
        axis_deg=recorded.axis_deg if params.axis_deg is None else params.axis_deg,
        dose_before_e_ang2=dose_before,
        dose_of_tilt_e_ang2=dose_of,
        order=order,
        optics=optics,
        defocus_hand=params.defocus_hand or 0,
        contrast=params.contrast,
    )
    statistics, small = _look_at_images(series, recorded, report)
    left_out = unlike_neighbours(
        np.array([one.mean for one in statistics]), np.array([one.sd for one in statistics]), tilt_deg
    )
    if isinstance(recorded.images, Frames):
        left_out |= recorded.images.absent
    if len(left_out) < series.n_tilts:
        series = series.without(left_out)
    if recorded.alignment is not None:
        series = _with_alignment(series, recorded, recorded.alignment)
    warnings = [
        *([] if params.untilted else tilt_scheme.doubtful_angles(tilt_deg)),
        *(f"Tilt {tilt} at {tilt_deg[tilt]:g}° is left out: {reason}." for tilt, reason in left_out.items()),
        *([] if params.untilted else _axis_warnings(series, small)),
        *dose_warnings,
        *optics_warnings,
    ]
    quality = _quality(series, recorded, params, statistics, warnings)
    if isinstance(series, AlignedSeries):
        facts, doubts = _check_alignment(series, small)
        quality |= {"alignment": facts, "warnings": [*warnings, *doubts]}
    return series.replace(quality=quality)


def _check_files_were_read(recorded: RawStack, params: ImportParams) -> None:
    """Refuse files that nobody has read: the core itself opens none."""
    said_by = recorded.said_by or {}
    named: dict[str, str] = {}
    if params.angles is not None and said_by.get("tilt_deg") != params.angles.name:
        named["angles"] = str(params.angles)
    if params.mdoc is not None and params.mdoc.name not in said_by.values():
        named["mdoc"] = str(params.mdoc)
    if params.order is not None and params.order not in _ORDERS and said_by.get("order") != Path(params.order).name:
        named["order"] = params.order
    if isinstance(recorded.images, Frames) and recorded.alignment is not None:
        raise DataError(f"{recorded.source}: movies have no alignment yet; import the aligned sums as a stack instead.")
    if not isinstance(recorded.images, Frames):
        given = {"frames": params.frames[0] if params.frames else None, "gain": params.gain}
        named |= {name: str(path) for name, path in given.items() if path is not None}
    if recorded.alignment is None:
        named |= {name: str(value) for name in FOREIGN if (value := getattr(params, name)) is not None}
    for option, value in named.items():
        raise DataError(
            f"{recorded.source} was opened without {option} {value!r}; "
            f"give it to read_raw_stack as well, or one of {', '.join(_ORDERS)} as order."
        )


def _with_alignment(series: TiltSeries, recorded: RawStack, alignment: Alignment) -> AlignedSeries:
    """Join the alignment; what it leaves out, the series does too."""
    source = (recorded.said_by or {}).get("alignment", "its alignment")
    left_out = np.flatnonzero(series.kept & ~alignment.kept)
    return AlignedSeries.of(series.without({int(tilt): f"left out by {source}" for tilt in left_out}), alignment)


def _require(recorded: RawStack, params: ImportParams) -> tuple[float, NDArray[np.float64]]:
    """Return pixel size and angles, or ask for all that is missing at once."""
    n = int(recorded.images.shape[0])
    pixel_ang = recorded.pixel_ang if params.pixel_ang is None else params.pixel_ang
    tilt_deg = np.zeros(n) if params.untilted else recorded.tilt_deg
    if pixel_ang is None or tilt_deg is None:
        missing, options = [], []
        if pixel_ang is None:
            said = [note for note in recorded.notes if note.startswith("The pixel size")]
            missing.append(said[0].rstrip(".").replace("The", "the", 1) if said else "no file says the pixel size")
            options.append("--pixel-ang")
        if tilt_deg is None:
            missing.append(f"no file says the tilt angles of its {n} images")
            options.append("--angles FILE or --mdoc FILE, or --untilted")
        raise DataError(f"{recorded.source}: {', and '.join(missing)}; give {', and '.join(options)}.")
    if len(tilt_deg) != n:
        raise DataError(
            f"{recorded.source}: {len(tilt_deg)} tilt angles for {n} images; "
            "give the angles that belong to the stack with --angles."
        )
    return pixel_ang, tilt_deg


def _optics(recorded: RawStack, params: ImportParams) -> tuple[Optics, list[str]]:
    """Gather the optics; usual values stand in for what nobody said."""
    usual, assumed = Optics(), []

    def said(name: str) -> float:
        for value in (getattr(params, name), getattr(recorded, name)):
            if value is not None:
                return float(value)
        value = getattr(usual, name)
        assumed.append(f"--{name.replace('_', '-')} {value:g}")
        return float(value)

    optics = Optics(voltage_kv=said("voltage_kv"), cs_mm=said("cs_mm"), amplitude_contrast=said("amplitude_contrast"))
    return optics, [f"Nobody said the optics; {', '.join(assumed)} is assumed."] if assumed else []


def _exposure(
    recorded: RawStack, params: ImportParams, tilt_deg: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Settle the order of acquisition, the dose of each tilt and the dose before it."""
    warnings = []
    order, before = recorded.order, recorded.dose_before_e_ang2
    if params.order in _ORDERS:
        order, before = _ORDERS[params.order](tilt_deg), None
    ordered = order is not None
    if order is None:
        order = np.arange(len(tilt_deg))
    doses = recorded.dose_of_tilt_e_ang2
    if params.dose_per_tilt is not None:
        doses, before = np.full(len(tilt_deg), params.dose_per_tilt), None
    elif doses is None and before is not None:
        doses = tilt_scheme.dose_of_tilts(before, order)
    if doses is None:
        warnings.append("Nobody said the dose; --dose-per-tilt 0 is assumed, so images are not weighted by dose.")
        doses = np.zeros(len(tilt_deg))
    elif 0 < (blank := np.flatnonzero(doses <= 0)).size < len(doses):
        named = ", ".join(f"{tilt_deg[tilt]:g}°" for tilt in blank)
        warnings.append(f"The exposure at {named} is said to be 0 e/Å²; if nothing was exposed, leave that out.")
    elif before is None and not ordered:
        warnings.append("Nobody said the order of acquisition; that of the stack is assumed: give --order.")
    return order, doses, tilt_scheme.dose_before(doses, order) if before is None else before, warnings


def _look_at_images(
    series: TiltSeries, recorded: RawStack, report: Report
) -> tuple[list[FrameStatistics], NDArray[np.float32]]:
    """Read every image once: its statistics, and a small copy for the look at the axis."""
    from napari_tomoflow.core.ops.axis_check import shrink

    statistics, small = [], []
    for tilt in watched(range(series.n_tilts), report, f"Looking at {series.name}"):
        image = series.image(tilt)
        one = frame_statistics(image)
        if one.n_not_numbers:
            raise DataError(
                f"{recorded.source}: tilt {tilt} at {series.tilt_deg[tilt]:g}° has {one.n_not_numbers} pixels that are "
                "not numbers; mend or leave out that image and import again."
            )
        statistics.append(one)
        small.append(shrink(image))
    return statistics, np.stack(small)


def _axis_warnings(series: TiltSeries, small: NDArray[np.float32]) -> list[str]:
    if series.axis_deg is None:
        return ["Nobody said where the tilt axis is; align will look for it, and the hand stays open: give --axis-deg."]
    from napari_tomoflow.core.ops.axis_check import better_axis

    kept = series.kept_indices
    better = better_axis(small[kept], series.tilt_deg[kept], series.axis_deg)
    if better is None:
        return []
    return [
        f"The images fit a tilt axis of {better:g}° (or half a turn from it) better than {series.axis_deg:g}°; "
        "check its sign and whether it counts from the vertical."
    ]


def _quality(
    series: TiltSeries,
    recorded: RawStack,
    params: ImportParams,
    statistics: list[FrameStatistics],
    warnings: list[str],
) -> dict[str, Any]:
    given = {name: _THIS_COMMAND for name in ("pixel_ang", "voltage_kv", "cs_mm", "amplitude_contrast", "axis_deg")}
    said_by = {**(recorded.said_by or {}), **{k: v for k, v in given.items() if getattr(params, k) is not None}}
    return {
        "n_tilts": series.n_tilts,
        "n_kept": int(series.kept.sum()),
        "tilt_from_deg": float(series.tilt_deg.min()),
        "tilt_to_deg": float(series.tilt_deg.max()),
        "pixel_ang": series.pixel_ang,
        "axis_deg": series.axis_deg,
        "dose_e_ang2": float(series.dose_of_tilt_e_ang2.sum()),
        "defocus_hand": series.defocus_hand,
        "said_by": said_by,
        "warnings": warnings,
        "notes": list(recorded.notes),
        "preview": [
            {
                "tilt": tilt,
                "tilt_deg": float(series.tilt_deg[tilt]),
                "dose_before_e_ang2": float(series.dose_before_e_ang2[tilt]),
                "mean": one.mean,
                "sd": one.sd,
                "kept": bool(series.kept[tilt]),
            }
            for tilt, one in enumerate(statistics)
        ],
    }


def _check_alignment(series: AlignedSeries, small: NDArray[np.float32]) -> tuple[dict[str, Any], list[str]]:
    """Sum up the alignment a series came with, and hold it against the images."""
    from napari_tomoflow.core.ops.alignment_check import neighbours_agree

    alignment, kept = series.alignment, series.alignment.kept & series.kept
    step = max(series.shape_yx) // max(small.shape[1:])
    in_order = [tilt for tilt in np.argsort(alignment.tilt_deg) if kept[tilt]]
    seen_px = pixels_from_ang(alignment.shift_ang_yx, series.pixel_ang, series.shape_yx)
    centre_px = (seen_px - (step - 1) / 2) / step  # blocks of `step` pixels were averaged
    agreement = neighbours_agree(small[in_order], alignment.rotations[in_order], centre_px[in_order])
    apart_ang = agreement.typical_px * step * series.pixel_ang
    warnings = list(alignment.quality.get("warnings", []))
    if np.isnan(apart_ang):
        warnings.append(
            "The images do not confirm the alignment that came with them: neighbours have nothing in common that "
            "stands out of the noise; look at a tomogram before going on."
        )
    elif agreement.typical_px > _APART_OF_FIELD * min(small.shape[1:]):
        warnings.append(
            f"Neighbouring images disagree with the alignment that came with them by {apart_ang:.0f} Å; "
            "check that it is of this stack, and the pixel size."
        )
    return {
        "n_kept": int(kept.sum()),
        "axis_deg": float(np.median(alignment.axis_deg[kept])),
        "tilt_offset_deg": float(np.median((alignment.tilt_deg - series.tilt_deg)[kept])),
        "xtilt_deg": float(np.median(alignment.xtilt_deg[kept])),
        "largest_shift_ang": float(np.linalg.norm(alignment.shift_ang_yx[kept], axis=1).max()),
        "bent": alignment.deformation is not None,
        "neighbours_apart_ang": None if np.isnan(apart_ang) else apart_ang,
        "neighbours_seen": int(agreement.seen.sum()),
    }, warnings


IMPORT = Stage.of(import_, version=1)
