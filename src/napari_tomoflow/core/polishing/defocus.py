"""The CTF of every tilt, refined against the average, and the word of particles left out on whether it is better.

All particles of a tilt, of both halves, tell its defocus together (`defocus_sums`). What the tilts of a series have in
common is free; how far single tilts may be off it has a prior, whose width, or none at all, is chosen by particles that
the fit did not see. Whether they agree better than at the defocus that was known decides if anything is changed.

The hand of the series, whether what lies higher is seen with more or with less defocus, is asked in the same way: it
has no number to fit, so all particles may say.

References
----------
Zivanov et al. 2022, doi:10.7554/eLife.83724, for the scan of each tilt with a regulariser.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.averaging.images import Indices
from napari_tomoflow.core.averaging.series_images import DatasetImages
from napari_tomoflow.core.model import CtfSeries
from napari_tomoflow.core.ops.peaks import vertex
from napari_tomoflow.core.polishing.calibration import calibrated
from napari_tomoflow.core.polishing.defocus_sums import Band, Comparison, FringeSums, SumFringes, pooled
from napari_tomoflow.core.polishing.folds import in_folds
from napari_tomoflow.core.report import Report, part, silent
from napari_tomoflow.core.stage import MapBatches, in_order

Floats = NDArray[np.float64]
Reals = NDArray[np.float32]

LEAST_GAIN = 3.0
"""Log likelihood, of particles left out, that a change must gain: e³ to 1 in its favour."""

SURE = 3.0
"""Standard errors by which that must be more than nothing."""

_HAND_PARTICLES = 128
"""Particles of a series that are asked for its hand."""


@dataclass(frozen=True)
class DefocusSettings:
    """How the defocus is looked for.

    Attributes
    ----------
    reach_ang, step_ang : float
        Of the scan, to both sides of what is known.
    spreads_ang : tuple of float
        Standard deviations of single tilts about their series that are tried.
    folds : int
        Parts of the particles, each of which is left out once.
    coarse_ang : float
        Coarser detail, in which neighbours show, is not compared.
    """

    reach_ang: float = 3000.0
    step_ang: float = 50.0
    spreads_ang: tuple[float, ...] = (0.0, 100.0, 300.0, 1000.0)
    folds: int = 4
    coarse_ang: float = 30.0

    @property
    def offsets_ang(self) -> Floats:
        """The scan."""
        steps = int(self.reach_ang / self.step_ang)
        return np.asarray(np.arange(-steps, steps + 1) * self.step_ang, np.float64)


@dataclass(frozen=True, eq=False)
class RefinedCtf:
    """What refinement of a series' CTF came to.

    Attributes
    ----------
    ctf : CtfSeries
        The known one where nothing better was found.
    tilts : int64[T]
        Those in use.
    sums : FringeSums per fold
        Of all particles, at the known defocus.
    offset_ang : float64[T]
        By how much the defocus of each tilt in use was changed.
    record : dict
        In plain numbers.
    """

    ctf: CtfSeries
    tilts: Indices
    sums: tuple[FringeSums, ...]
    offset_ang: Floats
    record: dict[str, Any]


def refine_ctf(
    source: DatasetImages,
    halves: tuple[Reals, Reals],
    fine_ang: float,
    settings: DefocusSettings = DefocusSettings(),
    report: Report = silent,
    map_batches: MapBatches = in_order,
) -> dict[str, RefinedCtf]:
    """Refine the CTF of every series that has one.

    Parameters
    ----------
    source : DatasetImages
        Particles of both halves, on the grid of the maps.
    halves : pair of float32[n, n, n]
        Average of either half, filtered by how far the halves agree and masked. Images are compared with that of the
        other half.
    fine_ang : float
        Finest detail compared: how far the halves agree.
    settings : DefocusSettings
    report, map_batches
        See `core.report` and `core.stage`.
    """
    particles = source.particles
    names = [name for name in dict.fromkeys(particles.tomogram.tolist()) if name in source.dataset.ctfs]
    band = Band(settings.coarse_ang, fine_ang)
    known, told, sums = {}, {}, {}
    report(0, 1, "Refining the CTF")
    for number, name in enumerate(names):
        share = part(report, number, len(names))
        chosen = np.flatnonzero(particles.tomogram == name)
        hand, told[name] = _hand(source, halves, band, chosen, part(share, 0, 2), map_batches)
        known[name] = source.dataset.ctfs[name].replace(hand=hand)
        handed = _with_ctf(source, name, known[name])
        sums[name] = _folded(handed, halves, band, chosen, settings.folds, part(share, 1, 2), map_batches)
    refined = {}
    for name, folds in calibrated(sums).items():
        offset_ang, record = fit_offsets(folds, settings)
        tilts = source.of_series(name).tilts
        ctf = shifted(known[name], tilts, offset_ang)
        refined[name] = RefinedCtf(ctf, tilts, sums[name], offset_ang, told[name] | record)
    report(1, 1, "Refined the CTF")
    return refined


def fit_offsets(
    folds: Sequence[FringeSums], settings: DefocusSettings = DefocusSettings()
) -> tuple[Floats, dict[str, Any]]:
    """Find by how much the defocus of each tilt is off: float64[T], Å, zero unless particles left out agree.

    Parameters
    ----------
    folds : sequence of FringeSums
        Of different particles.
    settings : DefocusSettings
    """
    each = {spread_ang: _gains_left_out(folds, spread_ang, settings) for spread_ang in settings.spreads_ang}
    gains = {spread_ang: float(one.sum()) for spread_ang, one in each.items()}
    # Of spreads that do about as well the narrowest.
    best = min(spread for spread, gain in gains.items() if gain >= max(gains.values()) - LEAST_GAIN)
    error = float(each[best].std() * np.sqrt(each[best].size))
    taken = gains[best] > max(LEAST_GAIN, SURE * error)
    offset_ang = _best(pooled(folds), best, settings) if taken else np.zeros(len(folds[0].sums))
    record = {
        "defocus_taken": taken,
        "defocus_gain_left_out": {f"{spread:g}": round(gain, 2) for spread, gain in gains.items()},
        "defocus_gain_error": round(error, 2),
        "defocus_spread_ang": best if taken else None,
        "defocus_change_ang": np.round(offset_ang, 1).tolist(),
    }
    return offset_ang, record


def _gains_left_out(folds: Sequence[FringeSums], spread_ang: float, settings: DefocusSettings) -> Floats:
    """Return how much likelier each tilt of each fold is at the offsets that the others tell than at none."""
    gains = np.zeros((len(folds), len(folds[0].sums)))
    for number, one in enumerate(folds):
        rest = [other for other in folds if other is not one]
        if rest:
            others = pooled(rest)
            found = _best(others, spread_ang, settings)
            gains[number] = one.likelihood(found, others) - one.likelihood(np.zeros(len(found)), others)
    return gains


def shifted(ctf: CtfSeries, tilts: Indices, offset_ang: Floats) -> CtfSeries:
    """Add offsets to the defocus of some tilts."""
    u_ang, v_ang = ctf.defocus_u_ang.copy(), ctf.defocus_v_ang.copy()
    u_ang[tilts] += offset_ang
    v_ang[tilts] += offset_ang
    return ctf.replace(defocus_u_ang=u_ang, defocus_v_ang=v_ang)


def _best(sums: FringeSums, spread_ang: float, settings: DefocusSettings) -> Floats:
    """Return the likeliest offsets if tilts stray from what they have in common by a spread: float64[T]."""
    scan = settings.offsets_ang
    gain = sums.gain(np.tile(scan, (len(sums.sums), 1)))
    if spread_ang == 0:
        total = gain.sum(axis=0)
        return np.full(len(gain), _refined(total, int(total.argmax()), settings))
    # Rows: what the tilts have in common; the best of each tilt given that.
    penalty = 0.5 * ((scan[:, None] - scan) / spread_ang) ** 2
    common = int(np.argmax([np.max(gain - row, axis=1).sum() for row in penalty]))
    drawn = gain - penalty[common]
    return np.array([_refined(row, int(row.argmax()), settings) for row in drawn])


def _refined(values: Floats, at: int, settings: DefocusSettings) -> float:
    """Place a maximum of the scan between its steps."""
    inside = 0 < at < len(values) - 1
    return float(settings.offsets_ang[at] + settings.step_ang * (vertex(values[at - 1 : at + 2]) if inside else 0.0))


def _hand(
    source: DatasetImages,
    halves: tuple[Reals, Reals],
    band: Band,
    mine: Indices,
    report: Report,
    map_batches: MapBatches,
) -> tuple[int, dict[str, Any]]:
    """Ask some particles of a series for its hand; a known one is told from, not changed."""
    name = str(source.particles.tomogram[mine[0]])
    known = source.dataset.ctfs[name]
    some = mine[np.unique(np.linspace(0, len(mine) - 1, min(_HAND_PARTICLES, len(mine))).astype(np.int64))]
    gain = {}
    for number, hand in enumerate((-1, 1)):
        handed = _with_ctf(source, name, known.replace(hand=hand))
        sums = pooled(_folded(handed, halves, band, some, 1, part(report, number, 2), map_batches))
        # Series whose defocus is off alike must not be mistaken for ones of the other hand.
        gain[hand] = float(np.sum(sums.gain(_best(sums, 0.0, DefocusSettings()))))
    likelier = -1 if gain[-1] > gain[1] else 1
    evidence = abs(gain[1] - gain[-1])
    hand = likelier if known.hand == 0 and evidence > LEAST_GAIN else known.hand
    return hand, {"hand": hand, "hand_seen": likelier, "hand_evidence": round(evidence, 2)}


def _with_ctf(source: DatasetImages, name: str, ctf: CtfSeries) -> DatasetImages:
    """Return the same source with the CTF of a series changed."""
    dataset = source.dataset.replace(ctfs={**source.dataset.ctfs, name: ctf})
    return DatasetImages(dataset, source.sampling)


def _folded(
    source: DatasetImages,
    halves: tuple[Reals, Reals],
    band: Band,
    mine: Indices,
    n_folds: int,
    report: Report,
    map_batches: MapBatches,
) -> tuple[FringeSums, ...]:
    """Sum up what some particles of a series say, in folds."""
    particles = source.particles
    work = SumFringes(Comparison.of(source, str(particles.tomogram[mine[0]]), halves, band))
    return in_folds(work, particles, mine, n_folds, report, map_batches)
