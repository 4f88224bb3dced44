"""The detector's own marks on frames, gain and defect pixels, and taking them off."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Movies
from napari_tomoflow.core.motion.gain import ORIENTATIONS, GainVerdict, fixed_pattern, judge_gain
from napari_tomoflow.core.motion.params import MotionParams
from napari_tomoflow.core.ops.filters import isolated_pixels, robust_mean_sd

Image = NDArray[np.float32]

_SAMPLED_FRAMES = 24
_REACH_PX = 3
_DRAWS = 8


@dataclass(frozen=True, eq=False)
class Detector:
    """What is known of the detector.

    Attributes
    ----------
    gain : float32[ny, nx] or None
        As it lies on the frames; multiplied.
    defects : bool[ny, nx]
        Pixels that are wrong in all frames.
    verdict : GainVerdict or None
        How the gain was judged, None without one.
    hot_pixel_sd : float
    pattern : float
        What is left of the detector's pattern after the gain, as a share of the mean.
    """

    gain: Image | None
    defects: NDArray[np.bool_]
    verdict: GainVerdict | None
    hot_pixel_sd: float
    pattern: float = 0.0

    @classmethod
    def of(cls, movies: Movies, params: MotionParams) -> "Detector":
        """Judge the gain, and find the defects, by a sample of frames from all over the series."""
        means = _sample(movies)
        mean_yx = np.mean(means, axis=0)
        gain, verdict = _laid_on(movies, mean_yx, params)
        defects = np.zeros(mean_yx.shape, bool)
        if gain is not None:
            defects |= ~np.isfinite(gain) | (gain <= 0)
            gain = np.where(defects, np.float32(1), gain)
            means = [mean * gain for mean in means]
        pattern = fixed_pattern(*means) if len(means) == 2 else 0.0
        detector = cls(gain, defects, verdict, params.hot_pixel_sd, pattern)
        return replace(detector, defects=detector.defects_in(np.mean(means, axis=0)))

    def defects_in(self, image_yx: Image) -> NDArray[np.bool_]:
        """Add to the known defects the isolated pixels of a sum of corrected frames."""
        defects = self.defects.copy()
        if self.hot_pixel_sd:
            mean, sd = robust_mean_sd(image_yx)
            defects[isolated_pixels(image_yx, mean, sd, self.hot_pixel_sd)] = True
        return defects

    def correct(self, frames_fyx: NDArray[Any], tilt: int) -> "CleanFrames":
        """Take the marks off the frames of a tilt.

        Parameters
        ----------
        frames_fyx : array[F, ny, nx]
            As recorded.
        tilt : int
            Seeds the choice of what replaces defects.
        """
        mean_yx = frames_fyx.mean(axis=0, dtype=np.float32)
        defects = self.defects_in(mean_yx if self.gain is None else mean_yx * self.gain)
        rows, columns = np.nonzero(defects)
        if defects.all():
            return CleanFrames(frames_fyx, self.gain, (rows[:0], columns[:0]), (rows[:0], columns[:0]))
        beside = _pixels_beside(defects, rows, columns, np.random.default_rng(tilt))
        return CleanFrames(frames_fyx, self.gain, (rows, columns), beside)


@dataclass(frozen=True, eq=False)
class CleanFrames:
    """Frames without the detector's marks, made one at a time: float32[F, ny, nx].

    A defect becomes a pixel beside it, of the same frame, so that frames stay independent and as noisy as
    they were.

    Attributes
    ----------
    recorded : array[F, ny, nx]
    gain : float32[ny, nx] or None
    defects, beside : pair of int64[D]
        Rows and columns of the pixels replaced, and of those that replace them.
    """

    recorded: NDArray[Any]
    gain: Image | None
    defects: tuple[NDArray[np.int64], NDArray[np.int64]]
    beside: tuple[NDArray[np.int64], NDArray[np.int64]]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.recorded)

    def __getitem__(self, frame: int) -> Image:
        """Make one frame."""
        recorded = self.recorded[frame]
        clean = np.array(recorded, np.float32) if self.gain is None else np.multiply(recorded, self.gain)
        clean = np.asarray(clean, np.float32)
        clean[self.defects] = clean[self.beside]
        return clean


def _sample(movies: Movies) -> list[Image]:
    """Return means of frames as recorded: of every other one of tilts all over the series, and of those between."""
    tilts = [tilt for tilt in range(movies.n_tilts) if movies.frames(tilt).shape[0]]
    if not tilts:
        raise DataError(f"{movies.name}: no tilt has any frames; give the folder that holds them.")
    tilts = [tilt for tilt in tilts if movies.kept[tilt]] or tilts
    chosen = [tilts[i] for i in np.unique(np.linspace(0, len(tilts) - 1, _SAMPLED_FRAMES).astype(int))]
    each = -(-_SAMPLED_FRAMES // len(chosen))
    means = []
    for half in (chosen[::2], chosen[1::2]) if len(chosen) > 1 else (chosen,):
        total, count = np.zeros(movies.shape_yx, np.float32), 0
        for tilt in half:
            frames = movies.frames(tilt)
            for frame in range(min(each, frames.shape[0])):
                total += frames[frame]
                count += 1
        means.append(np.asarray(total / np.float32(count)))
    return means


def _laid_on(movies: Movies, mean_yx: Image, params: MotionParams) -> tuple[Image | None, GainVerdict | None]:
    """Turn the gain as it lies on the frames."""
    if movies.gain is None:
        return None, None
    gain = np.asarray(movies.gain[:], np.float32)
    if params.gain_orientation == "found":
        verdict = judge_gain(gain, mean_yx)
    else:
        verdict = GainVerdict(params.gain_orientation, "multiplied", {})
    if verdict.use == "not used":
        return None, verdict
    gain = np.ascontiguousarray(ORIENTATIONS[verdict.orientation](gain))
    if gain.shape != mean_yx.shape:
        raise DataError(
            f"{movies.name}: the gain, {verdict.orientation}, is {gain.shape[0]} × {gain.shape[1]} px where frames are "
            f"{mean_yx.shape[0]} × {mean_yx.shape[1]} px; choose another gain_orientation, or let it be found."
        )
    if verdict.use == "divided":
        with np.errstate(divide="ignore"):
            gain = np.float32(1) / gain
    return gain, verdict


def _pixels_beside(
    defects: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose a sound pixel near each defect, at random; where defects crowd, farther away."""
    ny, nx = defects.shape
    y, x = rows.copy(), columns.copy()
    reach = _REACH_PX
    while len(wrong := np.flatnonzero(defects[y, x])):
        for _ in range(_DRAWS):
            steps = rng.integers(-reach, reach + 1, (2, len(wrong)))
            y[wrong] = np.clip(rows[wrong] + steps[0], 0, ny - 1)
            x[wrong] = np.clip(columns[wrong] + steps[1], 0, nx - 1)
            wrong = wrong[defects[y[wrong], x[wrong]]]
        reach *= 2
    return y, x
