"""Stage: from movies to a tilt series of sums whose frames are aligned."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model import Movies, TiltSeries
from napari_tomoflow.core.motion.params import MotionParams
from napari_tomoflow.core.ops.memory_map import release_pages
from napari_tomoflow.core.report import Report, silent
from napari_tomoflow.core.stage import Allocate, Stage, in_memory

if TYPE_CHECKING:
    from napari_tomoflow.core.motion.detector import Detector
    from napari_tomoflow.core.motion.local import LocalMotion
    from napari_tomoflow.core.motion.tilt import TiltResult

__all__ = ["MOTION", "MotionParams", "motion"]

_STACKS = ("stack", "stack_odd", "stack_even")

_DISTURBING_PATTERN = 0.03
"""Patterns above this hold frames in place: 5 % make the paths of `sim_movie` 1.6 times as wrong, 10 % six times."""


def motion(
    movies: Movies,
    params: MotionParams = MotionParams(),
    report: Report = silent,
    allocate: Allocate = in_memory,
) -> TiltSeries:
    """Align the frames of every tilt and sum them.

    Parameters
    ----------
    movies : Movies
        Frames are read one tilt at a time, the next while the last is computed.
    params : MotionParams
    report, allocate
        See `core.report` and `core.stage`.

    Returns
    -------
    TiltSeries
        Sums of all frames, in the units of the frames; ``halves`` are those of odd and even frames.
        ``quality["tilts"]`` has each tilt's path, ``quality["gain"]`` how the reference was laid on.

    Raises
    ------
    DataError
        No tilt has frames, or the gain does not fit them.

    Notes
    -----
    1. The gain is compared in its eight orientations with the mean of frames from all over the series.
    2. Isolated pixels that are off in the sum of a tilt become neighbours of theirs. 3. Each frame, cut
    to the frequencies a B factor leaves, is aligned with the sum of the others, again and again. 4. Frames
    that leap are put between their neighbours; paths are as smooth as cross-validation has them. 5. Whole
    frames are moved in Fourier space: what leaves at one border enters at the other.

    Tilts that are left out are summed as they are, and so are those with one frame. Motion that differs
    over the field is looked for where patches are asked for (`core.motion.local`), and taken out of a tilt where
    frames that it was not fitted to then agree better.

    References
    ----------
    Zheng et al., Nat. Methods 14 (2017) 331, doi:10.1038/nmeth.4193; exposure: Grant and Grigorieff 2015,
    doi:10.7554/eLife.06980.
    """
    from concurrent.futures import ThreadPoolExecutor

    from napari_tomoflow.core.motion.detector import Detector
    from napari_tomoflow.core.motion.tilt import correct_tilt

    report(0, movies.n_tilts, "Judging the gain and the detector")
    detector = Detector.of(movies, params)
    names = _STACKS if params.halves == "frames" else _STACKS[:1]
    stacks = [allocate(name, movies.images.shape, np.dtype(params.dtype)) for name in names]
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(_read, movies, 0)
        for tilt in range(movies.n_tilts):
            report(tilt, movies.n_tilts, f"Aligning the frames of {movies.name}")
            frames = coming.result()
            if tilt + 1 < movies.n_tilts:
                coming = reader.submit(_read, movies, tilt + 1)
            result = correct_tilt(movies, tilt, frames, detector, params) if len(frames) else None
            _write(stacks, tilt, result)
            rows.append(_row(movies, tilt, result))
    report(movies.n_tilts, movies.n_tilts, "Summed")
    return _series(movies, stacks, rows, detector)


def _read(movies: Movies, tilt: int) -> Any:
    """Read the frames of a tilt into memory."""
    stored = movies.frames(tilt)[:]
    frames = np.array(stored)
    release_pages(stored)
    return frames


def _write(stacks: list[NDArray[Any]], tilt: int, result: "TiltResult | None") -> None:
    """Put the sums of a tilt in their places; zeros where there are no frames."""
    if result is None:
        for stack in stacks:
            stack[tilt] = 0
    else:
        for stack, image in zip(stacks, (result.sums_yx.sum(axis=0), *result.sums_yx), strict=False):
            stack[tilt] = image
    for stack in stacks:
        release_pages(stack)


def _row(movies: Movies, tilt: int, result: "TiltResult | None") -> dict[str, Any]:
    """Sum up a tilt in plain numbers."""
    if result is None:
        return {"tilt": tilt, "tilt_deg": float(movies.tilt_deg[tilt]), "frames": 0}
    steps_ang = np.hypot(*np.diff(result.shift_ang_yx, axis=0).T)
    third = -(-len(steps_ang) // 3)
    return {
        "tilt": tilt,
        "tilt_deg": float(movies.tilt_deg[tilt]),
        "frames": len(result.shift_ang_yx),
        "motion_ang": float(steps_ang.sum()),
        "motion_of_thirds_ang": [float(steps_ang[k * third : (k + 1) * third].sum()) for k in range(3)],
        "replaced_frames": result.spikes,
        "replaced_pixels": result.defects,
        "halves_agree_ang": result.agreement_ang,
        "local": None if result.local is None else _local_row(result, result.local),
        "shift_ang_yx": result.shift_ang_yx.tolist(),
    }


def _local_row(result: "TiltResult", local: "LocalMotion") -> dict[str, Any]:
    """Sum up local motion: whether it was taken out, and how large it is over field and frames."""
    bends_ang = result.bends_ang()
    return {
        "kept": local.helps,
        "gain_sd": local.gain_sd,
        "motion_ang": float(np.sqrt((bends_ang**2).sum(axis=-1).mean())),
        "largest_motion_ang": float(np.linalg.norm(bends_ang, axis=-1).max()),
        "terms_ang": local.terms_ang.tolist(),
    }


def _series(movies: Movies, stacks: list[NDArray[Any]], rows: list[dict[str, Any]], detector: "Detector") -> TiltSeries:
    """Make the series of the sums; tilts without frames are left out."""
    given = {one.name: getattr(movies, one.name) for one in fields(TiltSeries)}
    images, *halves = stacks
    series = TiltSeries(**given | {"images": images, "halves": (halves[0], halves[1]) if halves else None})
    empty = {row["tilt"]: "it has no frames" for row in rows if not row["frames"] and series.kept[row["tilt"]]}
    verdict = detector.verdict
    warnings = [f"Tilt {tilt} at {series.tilt_deg[tilt]:g}° is left out: {why}." for tilt, why in empty.items()]
    moved = [row["motion_ang"] for row in rows if row["frames"] and series.kept[row["tilt"]]]
    quality = {
        "n_tilts": series.n_tilts,
        "n_kept": int(series.kept.sum()) - len(empty),
        "motion_ang": float(np.median(moved)) if moved else None,
        "largest_motion_ang": max(moved, default=None),
        "defect_pixels": int(detector.defects.sum()),
        "gain": None
        if verdict is None
        else {"orientation": verdict.orientation, "use": verdict.use, "correlation": verdict.correlation},
        "fixed_pattern": detector.pattern,
        "local_tilts": sum((row.get("local") or {"kept": False})["kept"] for row in rows),
        "warnings": [*warnings, *_doubts(detector)],
        "tilts": rows,
    }
    return series.without(empty).replace(quality=quality)


def _doubts(detector: "Detector") -> list[str]:
    """Say what a person should know of the detector."""
    doubts = [detector.verdict.warning] if detector.verdict is not None and detector.verdict.warning else []
    if detector.pattern > _DISTURBING_PATTERN:
        doubts.append(
            f"All tilts share a fixed pattern of {detector.pattern:.0%} from pixel to pixel, which holds frames in "
            "place; give the right gain reference on import."
        )
    return doubts


MOTION = Stage.of(motion, version=2, cites=("10.1038/nmeth.4193", "10.7554/eLife.06980"))
