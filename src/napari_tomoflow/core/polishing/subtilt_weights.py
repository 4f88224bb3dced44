"""How much the image of a particle in one tilt is worth, by how well it agrees with the map.

With the agreement A = Σ Re D* M and the power P = Σ P |M|² of an image (`core.kernels.poses`), over C coefficients::

    score    = A / √(P C)         correlation with the whitened image, each ring weighing what the CTF lets it show
    strength = A / P              amplitude of the particle, with a variance of 1 / 2 P

Strengths are drawn towards the mean of their tilt, the more so the less the image tells, and are the weights.

Legend: P particles, N tilts.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]

_LARGEST = 2.0
"""Weight of an image, in those of the mean one: a wrong model of the noise shall not make one image everything."""


def scores_of(agreement: Floats, power: Floats, coefficients: int) -> Floats:
    """Return the correlation of every image with the map; NaN where nothing is shown."""
    norm = np.sqrt(power * coefficients)
    return np.asarray(np.divide(agreement, norm, out=np.full(norm.shape, np.nan), where=norm > 0))


def weights_of(
    agreement: Floats, power: Floats, groups: NDArray[np.int64], outlier_sd: float, least_strength: float
) -> Floats:
    """Weigh the images of all particles.

    Parameters
    ----------
    agreement, power : float64[P, N]
        Power is 0 where an image shows nothing.
    groups : int64[P]
        Particles of one series and one half have the same number: only these are compared with each other.
    outlier_sd : float
        Images whose score is so many standard deviations below the mean of their tilt are left out.
    least_strength : float
        Tilts whose particles are weaker than this, over the median tilt, are left out.

    Returns
    -------
    float64[P, N]
        About 1 on average; 0 for what is left out.
    """
    shown = power > 0
    strength = np.divide(agreement, power, out=np.zeros(power.shape), where=shown)
    score = scores_of(agreement, power, 1)
    mean, kept = np.zeros(power.shape), shown.copy()
    for group in np.unique(groups):
        mine = groups == group
        kept[mine] &= ~_outliers(score[mine], outlier_sd)
        of_tilt = _ratio((agreement * kept)[mine].sum(axis=0), (power * kept)[mine].sum(axis=0))
        mean[mine] = of_tilt
        kept[mine] &= of_tilt >= least_strength * np.median(of_tilt[shown[mine].any(axis=0)])
    drawn = _drawn(strength, mean, power, kept)
    overall = (agreement * kept).sum() / max((power * kept).sum(), 1e-30)
    return np.where(kept, np.clip(drawn / overall, 0.0, _LARGEST), 0.0) if overall > 0 else shown.astype(np.float64)


def _outliers(score: Floats, outlier_sd: float) -> Marks:
    """Mark the images of each tilt that agree much worse than the others of the same tilt."""
    shown = np.isfinite(score)
    count = np.maximum(shown.sum(axis=0), 1)
    mean = np.where(shown, score, 0.0).sum(axis=0) / count
    sd = np.sqrt(np.where(shown, (score - mean) ** 2, 0.0).sum(axis=0) / count)
    return np.asarray(shown & (np.where(shown, score, mean) < mean - outlier_sd * sd))


def _drawn(strength: Floats, mean: Floats, power: Floats, kept: Marks) -> Floats:
    """Draw strengths towards the mean of their tilt, as the variance among them asks for."""
    total = power[kept].sum()
    beyond = np.sum(power[kept] * (strength - mean)[kept] ** 2) - 0.5 * kept.sum()
    variance = max(beyond / max(total, 1e-30), 0.0)
    trust = _ratio(2.0 * power * variance, 2.0 * power * variance + 1.0)
    return np.asarray(mean + trust * (strength - mean))


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.asarray(np.divide(over, under, out=np.zeros(np.shape(under)), where=under > 0))
