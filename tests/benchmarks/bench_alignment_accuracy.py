"""How far alignments are from the truth, over many simulated series, and whether they know it.

    python tests/benchmarks/bench_alignment_accuracy.py --case gold --seeds 1-20 --out FOLDER

Each series is simulated once and kept under ``--reuse``. It is aligned as a user would; the error is the RMS
distance, over the volume of the specimen, between where alignment and truth project, after the best rigid motion.
Set ``NUMBA_NUM_THREADS`` and ``OMP_NUM_THREADS`` for CPU seconds that do not depend on the machine.

Cases, 1024² × 41 tilts at 5 Å unless ``--size`` says otherwise:

gold    6 to 20 beads, shifts to 40 px, tilt errors 0.3°, rotation jitter 0.2°, 3 e/Å² per tilt
cell    the same microscope; molecules, vesicles and ice contamination, no gold
easy    13 beads of 4 noise sigma, no tilt error, no jitter, no CTF
faults  as gold, and two dead tilts, two tilts swapped, a grid bar, the axis on file wrong by 90° (odd seeds) or in sign
hard    no gold, little to see and less light to see it by: 0.3 to 1.5 e/Å² per tilt, a few objects, shifts to a fifth
        of the field; made to fail, so that it shows whether failures are reported
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Simulation
from napari_tomoflow.core.stages.align import AlignParams, align
from napari_tomoflow.core.stages.simulate import SIMULATE, SimulateParams, simulate
from napari_tomoflow.project.summary import numbers_in

CASES = ("gold", "cell", "easy", "faults", "hard")
FAILED_PX = 3.0
"""An error beyond which an alignment is a failure that must be said."""

_BELIEVES_NOT = re.compile(r"trust|reliabl|may be wrong|failed|not aligned", re.IGNORECASE)
_CLAIMS = ("claimed_error_px", "total_error_px", "expected_error_px", "leave_out_px", "residual_px.mean")
"""What an alignment says of its own error, the best figure first."""

_MICROSCOPE = {
    "pixel_ang": 5.0, "n_tilts": 41, "dose_per_tilt_e_ang2": 3.0,
    "shift_px": 40.0, "tilt_error_deg": 0.3, "axis_jitter_deg": 0.2,
}  # fmt: skip
_NO_CTF = {
    "phase_deg": 90.0, "defocus_um": 0.0, "cs_mm": 0.0,
    "defocus_jitter_um": 0.0, "defocus_drift_um": 0.0, "astigmatism_ang": 0.0,
}  # fmt: skip
_FOUR_SIGMA_E_ANG2 = 1.05
"""Exposure at which a black bead of full contrast stands out by four noise sigma in 5 Å pixels under 150 nm of ice."""


def specimen(case: str, seed: int, size_px: int) -> SimulateParams:
    """Draw one series of a case; the same seed always gives the same."""
    rng = np.random.default_rng([CASES.index(case), seed])
    share = (size_px / 1024) ** 2
    axis_deg = float(rng.choice([-1, 1]) * rng.uniform(15, 75))
    common: dict[str, Any] = {"seed": seed, "size_px": size_px, "axis_deg": axis_deg, **_MICROSCOPE}
    molecules = {"n_ribosomes": round(60 * share), "n_proteasomes": round(20 * share), "n_vesicles": 2}
    if case == "cell":
        objects = {"n_ribosomes": round(150 * share), "n_proteasomes": round(60 * share), "n_gold": 0,
                   "n_vesicles": max(2, round(6 * share)), "n_contaminants": max(2, round(6 * share))}  # fmt: skip
        return SimulateParams(
            **common, **objects, thickness_nm=rng.uniform(120, 200), axis_error_deg=rng.uniform(-2, 2)
        )
    if case == "hard":
        few = {"n_ribosomes": int(rng.integers(2, 25)), "n_proteasomes": int(rng.integers(0, 10)), "n_gold": 0,
               "n_vesicles": int(rng.integers(0, 2)), "n_contaminants": int(rng.integers(0, 2))}  # fmt: skip
        dim = {"dose_per_tilt_e_ang2": float(np.exp(rng.uniform(np.log(0.3), np.log(1.5)))), "shift_px": 0.2 * size_px}
        return SimulateParams(**{**common, **few, **dim}, axis_error_deg=rng.uniform(-2, 2))
    if case == "easy":
        calm = {**common, **_NO_CTF, "tilt_error_deg": 0.0, "axis_jitter_deg": 0.0}
        return SimulateParams(**{**calm, "dose_per_tilt_e_ang2": _FOUR_SIGMA_E_ANG2}, **molecules, n_gold=13)
    beads = {"n_gold": int(rng.integers(6, 21)), "axis_error_deg": rng.uniform(-2, 2)}
    if case == "gold":
        return SimulateParams(**common, **molecules, **beads)
    wrong_axis = {"axis_error_deg": 90.0 if seed % 2 else -2 * axis_deg}
    spoilt = {"n_dead_tilts": 2, "n_swapped_tilts": 1, "n_shadowed_tilts": 1}
    return SimulateParams(**common, **molecules, **{**beads, **wrong_axis}, **spoilt)


def simulated(params: SimulateParams, reuse: Path) -> Simulation:
    """Make a series, or find the one of an earlier run."""
    from napari_tomoflow.io.results import load, save

    key = hashlib.sha256(f"{SIMULATE.version} {params.model_dump_json()}".encode()).hexdigest()[:16]
    folder = reuse / f"series_{key}"
    if not folder.exists():
        aside = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        save(simulate(params), aside)
        try:
            aside.replace(folder)
        except OSError:  # another process was faster
            shutil.rmtree(aside)
    return load(Simulation, folder)


def true_error(alignment: Any, made: Simulation, params: SimulateParams, *, may_mirror: bool) -> dict[str, Any]:
    """Compare with the truth over the volume of the specimen."""
    from truth.rigid_motion import error_after_rigid_motion

    rng = np.random.default_rng(0)
    half_ang_zyx = np.array([params.thickness_ang, params.field_ang, params.field_ang]) / 2
    points = rng.uniform(-1, 1, (60, 3)) * half_ang_zyx
    compare = partial(
        error_after_rigid_motion, truth=made.alignment, points_ang_zyx=points, pixel_ang=params.pixel_ang,
        shape_yx=made.series.shape_yx, may_mirror=may_mirror,
    )  # fmt: skip
    found = compare(alignment)
    axis_deg = alignment.quality.get("axis_deg", float(np.median(alignment.axis_deg)))
    errors = {
        "true_px": found.rms_px,
        "worst_tilt_px": float(found.per_tilt_px.max()),
        "mirrored": found.is_mirrored,
        "axis_error_deg": abs((axis_deg - params.axis_deg + 90) % 180 - 90),
    }
    faults = made.quality["faults"]
    spoilt = [*faults["dead"], *faults["shadowed"], *(tilt for pair in faults["swapped"] for tilt in pair)]
    if spoilt:
        sound = ~np.isin(np.arange(params.n_tilts), spoilt)
        errors["sound_tilts_px"] = compare(alignment.replace(kept=alignment.kept & sound)).rms_px
    return errors


def faults_named(made: Simulation, quality: Mapping[str, Any]) -> dict[str, bool]:
    """Tell which faults of the microscope the report names, by the number of the tilt or by the axis."""
    text = " ".join(quality["warnings"])
    named = {int(tilt) for tilt in quality["tilts_excluded"]} | {int(n) for n in re.findall(r"[Tt]ilts? (\d+)", text)}
    named |= {int(second) for second in re.findall(r"[Tt]ilts \d+ and (\d+)", text)}
    faults = made.quality["faults"]
    swapped = [tilt for pair in faults["swapped"] for tilt in pair]
    return {
        "dead": named >= set(faults["dead"]),
        "shadowed": named >= set(faults["shadowed"]),
        "swapped": named >= set(swapped),
        "axis": "axis is at" in text,
    }


def measure(case: str, seed: int, size_px: int, align_with: AlignParams, blind: bool, reuse: Path) -> dict[str, Any]:
    """Align one series and compare: one line of the record."""
    params = specimen(case, seed, size_px)
    made = simulated(params, reuse)
    series = made.series.replace(axis_deg=None) if blind else made.series
    found: dict[str, Any] = {"case": case, "seed": seed, "n_gold": params.n_gold, "blind": blind}
    start = time.process_time()
    try:
        alignment = align(series, align_with)
    except DataError as error:
        return found | {"cpu_s": time.process_time() - start, "refused": str(error)}
    found["cpu_s"] = time.process_time() - start
    found |= true_error(alignment, made, params, may_mirror=blind or case == "faults")
    quality = alignment.quality
    found |= {"kept": int(alignment.kept.sum()), "claims": numbers_in(quality), "warnings": quality["warnings"]}
    if case == "faults":
        found["faults_named"] = faults_named(made, quality)
    return found


def claim_of(line: dict[str, Any]) -> str | None:
    """Name the figure by which an alignment states its own error."""
    return next((name for name in _CLAIMS if name in line.get("claims", {})), None)


def is_reported(line: dict[str, Any]) -> bool:
    """Tell whether the program itself says that an alignment is not to be believed."""
    name = claim_of(line)
    too_large = name is not None and name != _CLAIMS[-1] and line["claims"][name] > FAILED_PX
    return "refused" in line or too_large or bool(_BELIEVES_NOT.search(" ".join(line["warnings"])))


def rank_correlations(lines: list[dict[str, Any]]) -> dict[str, tuple[float, int]]:
    """Correlate the ranks of each claimed figure with those of the true error: (Spearman's ρ, series)."""
    from scipy.stats import spearmanr

    done = [line for line in lines if "true_px" in line]
    found = {}
    for name in sorted({name for line in done for name in line["claims"]}):
        pairs = [(line["claims"][name], line["true_px"]) for line in done if name in line["claims"]]
        if len(pairs) > 2 and len({claimed for claimed, _ in pairs}) > 1:
            found[name] = float(spearmanr(pairs)[0]), len(pairs)
    return dict(sorted(found.items(), key=lambda pair: -abs(pair[1][0])))


def summary(lines: list[dict[str, Any]]) -> str:
    """Put everything into words: a row per series, the spread, the claims."""
    rows = ["case    seed gold  true px  worst tilt  axis°  mirrored  kept   CPU s  claimed px"]
    for line in lines:
        head = f"{line['case']:7s} {line['seed']:4d} {line['n_gold']:4d}"
        if "refused" in line:
            rows.append(f"{head}  refused after {line['cpu_s']:.1f} CPU s: {line['refused']}")
            continue
        claim = claim_of(line)
        claimed = f"{line['claims'][claim]:.3f} ({claim})" if claim else "nothing"
        rows.append(
            f"{head} {line['true_px']:8.3f} {line['worst_tilt_px']:11.3f} {line['axis_error_deg']:6.3f} "
            f"{line['mirrored']!s:>9s} {line['kept']:5d} {line['cpu_s']:7.1f}  {claimed}"
            f"{_about_faults(line)}"
        )
    return "\n".join([*rows, *_totals(lines)])


def _about_faults(line: dict[str, Any]) -> str:
    if "faults_named" not in line:
        return ""
    unnamed = ", ".join(name for name, is_named in line["faults_named"].items() if not is_named)
    return f"; sound tilts {line['sound_tilts_px']:.3f} px; unnamed: {unnamed or 'none'}"


def _totals(lines: list[dict[str, Any]]) -> list[str]:
    done = [line for line in lines if "true_px" in line]
    rows = [f"{len(lines)} series, {len(lines) - len(done)} refused"]
    if done:
        error = np.array([line["true_px"] for line in done])
        axis = np.array([line["axis_error_deg"] for line in done])
        rows.append(f"true error: median {np.median(error):.3f} px, worst {error.max():.3f} px")
        rows.append(f"axis error: median {np.median(axis):.3f}°, worst {axis.max():.3f}°")
    failures = [line for line in done if line["true_px"] > FAILED_PX]
    silent = [line["seed"] for line in failures if not is_reported(line)]
    false = [line["seed"] for line in done if line["true_px"] <= FAILED_PX and is_reported(line)]
    rows.append(f"beyond {FAILED_PX:g} px: {len(failures)}, of these unreported: {len(silent)} {silent or ''}")
    rows.append(f"within {FAILED_PX:g} px but reported as failed: {len(false)} {false or ''}")
    rows.append("rank correlation of the true error with")
    return [*rows, *(f"  {value:6.2f}  {name}, {n} series" for name, (value, n) in rank_correlations(lines).items())]


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Draw the claimed figures, in px, against the true error: a panel each, both axes logarithmic.

    Crosses are alignments that the program itself says are not to be believed.
    """
    from matplotlib.figure import Figure

    done = [line for line in lines if "true_px" in line]
    names = sorted({name for line in done for name in line["claims"] if "_px" in name})
    n_columns = min(3, max(1, len(names)))
    n_rows = -(-max(1, len(names)) // n_columns)
    figure = Figure(figsize=(4.2 * n_columns, 4 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    span = [0.01, max([10.0, *(2 * line["true_px"] for line in done)])]
    for panel, name in zip(panels, names, strict=False):
        seen = [line for line in done if name in line["claims"]]
        for number, case in enumerate(sorted({line["case"] for line in seen})):
            for reported, marker in ((False, "o"), (True, "x")):
                some = [line for line in seen if line["case"] == case and is_reported(line) is reported]
                if not some:
                    continue
                label = f"{case}, reported as failed" if reported else case
                true_px, claimed_px = [line["true_px"] for line in some], [line["claims"][name] for line in some]
                panel.plot(true_px, claimed_px, marker, color=f"C{number}", ms=5, alpha=0.8, label=label)
        panel.plot(span, span, "-", color="gray", lw=0.8)
        panel.axvline(FAILED_PX, color="C3", lw=0.8, ls="--")
        panel.axhline(FAILED_PX, color="C3", lw=0.8, ls="--")
        panel.set(xscale="log", yscale="log", xlim=span, ylim=span, xlabel="true error, px", ylabel=name)
        panel.legend(loc="upper left", fontsize="x-small")
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    figure.savefig(path, dpi=110)


def seeds_of(text: str) -> list[int]:
    """Read ``1-4,7``."""
    parts = [part.split("-") for part in text.split(",")]
    return [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, nargs="+", default=["gold"], help="several are summed up together")
    parser.add_argument("--seeds", type=seeds_of, default="1-20", help="for example 1-4,7")
    parser.add_argument("--size", type=int, default=1024, help="width of the images, px")
    parser.add_argument("--axis", choices=["blind", "nominal"], help="default: nominal for faults, else blind")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the align stage")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--reuse", type=Path, default=Path(tempfile.gettempdir()) / "tomoflow_bench_series")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


def _measured(which: tuple[str, int], axis: str | None, **settings: Any) -> dict[str, Any]:
    """Measure a seed of a case: the axis is searched blind, but for faults, unless told otherwise."""
    case, seed = which
    return measure(case, seed, blind=(axis or ("nominal" if case == "faults" else "blind")) == "blind", **settings)


def main() -> None:
    """Measure, write a line per series as it comes, and sum up."""
    given = _arguments()
    for folder in (given.out, given.reuse):
        folder.mkdir(parents=True, exist_ok=True)
    align_with = AlignParams(**dict(word.split("=", 1) for word in given.set))
    work = partial(_measured, size_px=given.size, align_with=align_with, axis=given.axis, reuse=given.reuse)
    name = "_".join([*given.case, str(given.size), *([given.axis] if given.axis else [])])
    lines = []
    # A process per series, so that none gains from what another has compiled or holds.
    pool = ProcessPoolExecutor(given.processes, max_tasks_per_child=1)
    with pool, (given.out / f"{name}.jsonl").open("w") as record:
        for line in pool.map(work, [(case, seed) for case in given.case for seed in given.seeds]):
            lines.append(line)
            record.write(json.dumps(line) + "\n")
            record.flush()
            sys.stderr.write(f"{line['case']} {line['seed']}: {line.get('true_px', float('nan')):.3f} px\n")
    text = summary(lines)
    (given.out / f"{name}.txt").write_text(text + "\n")
    plot(lines, given.out / f"{name}.png")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
