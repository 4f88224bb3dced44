"""How far fitted CTFs are from the truth, over many simulated series, and how near to what the noise allows.

    python tests/benchmarks/bench_ctf.py --case plain --seeds 1-20

Each series is simulated once and kept under ``--reuse``. The bound is the Cramér-Rao bound of each tilt's own
spectrum, for rings as high as they are measured with the true CTF: what a fit of single images could reach at best.

Cases, 41 tilts ±60° of a 100-nm slab with 200 ribosomes and vesicles, 3 e/Å² per tilt, 1024² at 4 Å, or the
same density in a smaller field:

plain   4 ± 0.3 µm with drift and 0.03 µm jitter, astigmatism 0 to 500 Å, either hand, the axis known
phase   1 µm behind a phase plate of 30 to 120°, both to be found
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.ctf.heights import RingHeights
from napari_tomoflow.core.ctf.likelihood import RingTable
from napari_tomoflow.core.ctf.model import CtfModel
from napari_tomoflow.core.ctf.series_spectra import SeriesSpectra
from napari_tomoflow.core.model import CtfSeries, Simulation
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.stages.ctf import CtfParams, ctf
from napari_tomoflow.core.stages.simulate import SimulateParams

CASES = ("plain", "phase")


def specimen(case: str, seed: int, size_px: int = 1024) -> SimulateParams:
    """Draw one series of a case; the same seed always gives the same."""
    rng = np.random.default_rng([seed, CASES.index(case)])
    share = (size_px / 1024) ** 2
    axis_deg, hand = float(rng.uniform(-90, 90)), int(rng.choice([-1, 1]))
    astigmatism_ang = float(rng.uniform(0, 500))
    if case == "plain":
        lenses = {"defocus_um": float(rng.normal(4, 0.3))}
    else:
        lenses = {"defocus_um": 1.0, "phase_deg": float(rng.uniform(30, 120))}
    return SimulateParams(
        name=f"{case}_{seed}", seed=seed + 1000, size_px=size_px, pixel_ang=4.0, n_tilts=41,
        dose_per_tilt_e_ang2=3.0, thickness_nm=100.0, n_ribosomes=round(200 * share), n_proteasomes=0, n_gold=0,
        n_vesicles=max(1, round(6 * share)), vesicle_diameter_nm=60.0, axis_deg=axis_deg, hand=hand,
        defocus_jitter_um=0.03, astigmatism_ang=astigmatism_ang, shift_px=10.0 * size_px / 1024, **lenses,
    )  # fmt: skip


def bound_ang(made: Simulation) -> np.ndarray[Any, Any]:
    """Return the Cramér-Rao bound of each tilt's defocus by its own rings, Å."""
    measured = SeriesSpectra.measure(made.series, made.alignment, CtfParams(), silent)
    model = true_model(made.ctf, measured)
    heights = RingHeights(measured).measure(model, np.abs(measured.tilt_deg) < 30)
    tables = [
        RingTable.of(spectra, measured.plan, measured.smooth, one, measured.optics, (1e4, 1.1e4))
        for spectra, one in zip(measured.spectra, heights, strict=True)
    ]
    return np.array([table.information_of_tilt**-0.5 for table in tables])


def true_model(truth: CtfSeries, measured: SeriesSpectra) -> CtfModel:
    """Describe the truth in the terms of the fit; the drift of the astigmatism's azimuth is left out."""
    half = (truth.defocus_u_ang - truth.defocus_v_ang) / 2
    azimuth = np.deg2rad(2 * truth.azimuth_deg)
    mean = [float(np.mean(half * np.cos(azimuth))), float(np.mean(half * np.sin(azimuth)))]
    return CtfModel(
        defocus_ang=truth.defocus_ang[measured.tilts],
        gradient=float(truth.hand),
        astigmatism_ang=np.array([mean, [0.0, 0.0]]),
        phase_rad=np.deg2rad([float(truth.phase_deg[0]), 0.0]),
    )


def measure(case: str, seed: int, size_px: int, reuse: Path) -> dict[str, Any]:
    """Fit one series and compare: one line of the record."""
    from benchmarks.bench_alignment_accuracy import simulated

    params = specimen(case, seed, size_px)
    made = simulated(params, reuse)
    begun_s = time.process_time()
    found = ctf(made.series, params=CtfParams(phase="fit" if case == "phase" else "fixed"))
    cpu_s = time.process_time() - begun_s
    error_ang = np.abs(found.defocus_ang - made.ctf.defocus_ang)
    steep, bound = np.abs(made.series.tilt_deg), bound_ang(made)
    phase_error = (found.phase_deg - made.ctf.phase_deg + 90) % 180 - 90
    return {
        "seed": seed,
        "hand": (params.hand, found.hand),
        "confidence": found.quality["hand_confidence"],
        "low_ang": float(np.median(error_ang[steep < 30])),
        "low_bound_ang": float(np.median(bound[steep < 30])),
        "high_ang": float(np.median(error_ang[steep > 58])),
        "high_bound_ang": float(np.median(bound[steep > 58])),
        "worst_ang": float(error_ang.max()),
        "phase_deg": float(np.median(np.abs(phase_error))),
        "trusted": not any("trust" in warning for warning in found.quality["warnings"]),
        "cpu_s": cpu_s,
    }


def summary(lines: list[dict[str, Any]]) -> str:
    """Put everything into words."""
    rows = ["seed  hand  sure   below 30°, Å (bound)   at 60°, Å (bound)   worst, Å   phase, °  trusted  CPU s"]
    for one in lines:
        low, high = (f"{one[part + '_ang']:8.0f} ({one[part + '_bound_ang']:4.0f})" for part in ("low", "high"))
        rows.append(
            f"{one['seed']:4d}  {one['hand'][0]:+d} {one['hand'][1]:+d}  {one['confidence']:.3f}  {low}  {high}"
            f"{one['worst_ang']:12.0f} {one['phase_deg']:9.1f}  {one['trusted']!s:>7s} {one['cpu_s']:6.1f}"
        )
    right = sum(one["hand"][0] == one["hand"][1] for one in lines)
    rows.append(
        f"median {np.median([one['low_ang'] for one in lines]):.0f} Å below 30°, "
        f"{np.median([one['high_ang'] for one in lines]):.0f} Å at 60°; hand right in {right} of {len(lines)}"
    )
    return "\n".join(rows)


def main() -> None:
    """Measure and sum up."""
    from benchmarks.bench_alignment_accuracy import seeds_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, default="plain")
    parser.add_argument("--seeds", type=seeds_of, default="1-20", help="for example 1-4,7")
    parser.add_argument("--size", type=int, default=1024, help="width of the images, px")
    parser.add_argument("--reuse", type=Path, default=Path(tempfile.gettempdir()) / "tomoflow_bench_series")
    given = parser.parse_args()
    given.reuse.mkdir(parents=True, exist_ok=True)
    lines = []
    for seed in given.seeds:
        lines.append(measure(given.case, seed, given.size, given.reuse))
        sys.stderr.write(f"seed {seed}: {lines[-1]['low_ang']:.0f} Å\n")
    sys.stdout.write(summary(lines) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
