"""Good particles told from bad ones by their scores, freed of what else makes scores high or low.

A score also rises and falls with defocus, with the height in the ice, with how many tilts show the particle, and from
tomogram to tomogram. A straight line through each of these is taken off first, fitted so that bad particles do not
draw it. If what is left has two peaks, the valley between them is the threshold; otherwise a share is kept.

Legend: P particles, Q conditions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.classification.split import Split
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Dataset
from napari_tomoflow.core.ops.geometry import pixels_from_ang

Floats = NDArray[np.float64]

_KEPT_SHARE = 0.95
"""Of particles whose scores have one peak only."""

_PER_TOMOGRAM = 20
"""Particles of a tomogram from which on it has a level of its own."""

_ROUNDS, _FAR_SD = 10, 1.5
"""Of the fit; particles further off than this count less (Huber)."""

_APART_SD = 2.0
"""How far two peaks are apart at least, in their own width (Ashman's D)."""

_CLEARER = 10.0
"""By how much two peaks beat one in the Bayesian information criterion at least."""

_BINS = 40
_LEAST = 8
"""Scores that two peaks are looked for in."""


def conditions_of(dataset: Dataset) -> dict[str, Floats]:
    """Return what a particle's score may depend on without its being better or worse: name → float64[P].

    Defocus in µm, height in Å, number of tilts that show the particle's centre, and 1 or 0 for each tomogram with
    particles enough for a level of its own.
    """
    particles = dataset.particles
    conditions = {name: np.zeros(len(particles)) for name in ("defocus_um", "height_ang", "n_tilts")}
    conditions["height_ang"] = particles.centers_ang_zyx[:, 0].copy()
    names = dict.fromkeys(particles.tomogram.tolist())
    for name in names:
        mine = particles.tomogram == name
        series, alignment, ctf = dataset.series[name], dataset.alignments[name], dataset.ctfs.get(name)
        used = series.kept & alignment.kept
        conditions["n_tilts"][mine] = _shown(alignment, particles.centers_ang_zyx[mine], series)[used].sum(axis=0)
        if ctf is not None:
            central_ang = float((ctf.defocus_u_ang + ctf.defocus_v_ang)[used].mean() / 2)
            conditions["defocus_um"][mine] = (central_ang + ctf.hand * particles.centers_ang_zyx[mine, 0]) / 1e4
        if len(names) > 1 and np.count_nonzero(mine) >= _PER_TOMOGRAM:
            conditions[f"in {name}"] = mine.astype(np.float64)
    return conditions


def _shown(alignment: Alignment, centers_ang_zyx: Floats, series: Any) -> NDArray[np.bool_]:
    """Tell which tilts show which centres: bool[N, P]."""
    seen_px = pixels_from_ang(alignment.project(centers_ang_zyx)[0], series.pixel_ang, series.shape_yx)
    return np.asarray(((seen_px >= 0) & (seen_px <= np.array(series.shape_yx) - 1)).all(axis=-1))


def corrected_scores(score: Floats, conditions: Mapping[str, Floats]) -> tuple[Floats, dict[str, float]]:
    """Take off scores what conditions explain.

    Returns
    -------
    corrected : float64[P]
        Around the median of the scores.
    slopes : dict of str to float
        By how much a standard deviation of each condition changes the score; those that do not vary are left out.
    """
    varying = {name: column for name, column in conditions.items() if np.ptp(column) > 1e-9}
    design = np.stack([np.ones(len(score)), *((one - one.mean()) / one.std() for one in varying.values())], axis=1)
    weight = np.ones(len(score))
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        fitted, *_ = np.linalg.lstsq(design * root[:, None], score * root, rcond=None)
        off = score - design @ fitted
        sd = max(1.4826 * float(np.median(np.abs(off - np.median(off)))), 1e-12)
        weight = np.minimum(1.0, _FAR_SD * sd / np.maximum(np.abs(off), 1e-12))
    slopes = {name: round(float(slope), 6) for name, slope in zip(varying, fitted[1:], strict=True)}
    return off + np.median(score), slopes


def split_by_score(score: Floats, conditions: Mapping[str, Floats], keep: float | None, seed: int) -> Split:
    """Part good particles, class 1, from bad ones, class 2.

    Parameters
    ----------
    score : float64[P]
    conditions : mapping of str to float64[P]
        `conditions_of`.
    keep : float, optional
        Share of the particles that is kept; found from the scores by default.
    seed : int
        Of the search for two peaks.

    Raises
    ------
    DataError
        Some particles have no score, or all have the same.
    """
    if not np.isfinite(score).all() or np.ptp(score) == 0:
        missing = int(np.count_nonzero(~np.isfinite(score)))
        what = f"{missing} of {len(score)} particles have no score" if missing else "All particles have the same score"
        raise DataError(f"{what}; run `tomoflow refine` first, or choose another method.")
    corrected, slopes = corrected_scores(score, conditions)
    peaks = _two_peaks(corrected, seed)
    by_peaks = keep is None and peaks["bimodal"]
    threshold = peaks["valley"] if by_peaks else float(np.quantile(corrected, 1.0 - (keep or _KEPT_SHARE)))
    width = max(float(peaks["width"]), 1e-12)
    good = 1.0 / (1.0 + np.exp(-np.clip((corrected - threshold) / width, -50.0, 50.0)))
    counts, edges = np.histogram(corrected, _BINS)
    record = {
        "slopes": slopes,
        "threshold": round(threshold, 6),
        "threshold_by": "two peaks" if by_peaks else "share",
        **{name: value for name, value in peaks.items() if name != "width"},
        "histogram": {"counts": counts.tolist(), "edges": np.round(edges, 6).tolist()},
    }
    # Who lies on the threshold itself is kept.
    shares = np.stack([good, 1.0 - good], axis=1)
    return Split(shares, 0.0, {"corrected_score": corrected}, record)


def _two_peaks(values: Floats, seed: int) -> dict[str, Any]:
    """Fit one peak and two, and say whether two are there, how far apart, and where the valley is."""
    from skimage.filters import threshold_otsu
    from sklearn.mixture import GaussianMixture

    if len(values) < _LEAST:
        return {"bimodal": False, "apart_sd": 0.0, "valley": float(np.median(values)), "width": float(values.std())}
    column, is_high = values[:, None], values > threshold_otsu(values)
    means = np.array([[values[~is_high].mean()], [values[is_high].mean()]])
    with threadpool_limits(1):  # how many threads share a sum shows in its last digits
        one = GaussianMixture(1).fit(column)
        two = GaussianMixture(2, means_init=means, random_state=seed).fit(column)
    low, high = np.sort(two.means_.ravel())
    sd = np.sqrt(two.covariances_.ravel())
    apart = float((high - low) / np.sqrt((sd**2).mean()))
    grid = np.linspace(low, high, 501)
    density = two.score_samples(grid[:, None])
    valley = float(grid[np.argmin(density)])
    has_valley = bool(0 < np.argmin(density) < len(grid) - 1)
    clearer = float(one.bic(column) - two.bic(column))
    return {
        "bimodal": bool(has_valley and apart > _APART_SD and clearer > _CLEARER),
        "apart_sd": round(apart, 3),
        "valley": round(valley, 6),
        "width": float(sd.min() / 2),
    }
