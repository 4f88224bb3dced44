"""What CTF correction gains in a thick slab: Fourier shell correlation with the truth, and its cost.

A 300-nm slab of ribosomes and hooks is imaged at 2 Å/px by the simulator, every height with its own
defocus. A column through its middle is reconstructed with every kind of correction, without noise and
with counting noise, and compared with the true density. The first run simulates for some minutes and keeps the images.

    python tests/benchmarks/bench_ctf_correction.py FOLDER [--column 1500 512 512] [--step-deg 4]
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_tomoflow.core.kernels.splat import splat_volume
from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.ops.fsc import shell_sums
from napari_tomoflow.core.reconstruction.density_store import DensityStore
from napari_tomoflow.core.reconstruction.params import ReconstructParams
from napari_tomoflow.core.reconstruction.setting import Setting
from napari_tomoflow.core.reconstruction.wbp import weighted_backprojection
from napari_tomoflow.core.reconstruction.wbp_by_depth import DepthwiseBackprojection
from napari_tomoflow.core.report import silent
from napari_tomoflow.core.simulation.exposure import set_up
from napari_tomoflow.core.simulation.params import SimulateParams
from napari_tomoflow.core.simulation.view import look

PIXEL_ANG = 2.0


def specimen(column_zyx, step_deg, max_tilt_deg):
    """Choose images wide enough for the whole column to be seen at every tilt."""
    nz, ny, nx = column_zyx
    tilt = np.deg2rad(max_tilt_deg)
    across = max(nx, nx * np.cos(tilt) + nz * np.sin(tilt))
    size_px = 2 * int(np.ceil((max(across, ny) + 0.09 * ny + 30) / 2))
    field_um2 = (size_px * PIXEL_ANG / 1e4) ** 2
    thickness_nm = nz * PIXEL_ANG / 10
    return SimulateParams(
        size_px=size_px, pixel_ang=PIXEL_ANG, thickness_nm=thickness_nm, n_tilts=round(2 * max_tilt_deg / step_deg) + 1,
        tilt_min_deg=-max_tilt_deg, tilt_max_deg=max_tilt_deg, damage="none", defocus_um=3.0,
        n_ribosomes=round(8 * field_um2 * thickness_nm), n_hooks=max(20, round(4 * field_um2 * thickness_nm)),
        n_proteasomes=0, n_gold=0, n_vesicles=0,
    )  # fmt: skip


def simulated(folder, params):
    """Make the expected counts of every tilt, or find those of an earlier run: (scene, images)."""
    scene = set_up(params, np.random.SeedSequence(params.seed).spawn(2)[0])
    path = folder / f"expected_{params.size_px}px_{params.n_tilts}tilts.npy"
    if not path.exists():
        images = np.empty((params.n_tilts, params.size_px, params.size_px), np.float32)
        for tilt in range(params.n_tilts):
            images[tilt] = scene.expected(tilt, silent)
        np.save(f"{path}.partial.npy", images)
        os.replace(f"{path}.partial.npy", path)
    return scene, np.load(path, mmap_mode="r")


def true_column(scene, column_zyx):
    """Draw the true density of the column; matter is dark."""
    column = np.zeros(column_zyx, np.float32)
    matrix, half = np.eye(3, 4), PIXEL_ANG * (np.array(column_zyx) / 2 + 2.0)
    view = look(scene.populations, "soft", matrix, half)
    points = view.points_ang_zyx / np.float32(PIXEL_ANG) + np.array(column_zyx, np.float32) // 2
    sigmas = np.maximum(view.sigmas_ang / np.float32(PIXEL_ANG), np.float32(0.8))
    splat_volume(column, points, -view.weights / np.float32(PIXEL_ANG**3), sigmas)
    return column


def choices(ctf):
    """List what is compared: name → (CTF, kind)."""
    return {
        "3D-CTF": (ctf, "slabs"),
        "strips": (ctf, "strips"),
        "none": (ctf, "none"),
        "one defocus per tilt": (ctf.replace(hand=0), "strips"),
        "3D-CTF, wrong hand": (ctf.replace(hand=-ctf.hand), "slabs"),
    }


def reconstructed(series, alignment, ctf, kind, column_zyx):
    """Reconstruct the column: (volume, CPU seconds)."""
    params = ReconstructParams(weighting="ramp", ctf=kind, bin=1)
    setting = Setting(series, alignment, np.flatnonzero(series.kept), 1, column_zyx, ctf)
    start = time.process_time()
    method = DepthwiseBackprojection if kind == "slabs" else weighted_backprojection
    volume = np.empty(column_zyx, np.float32)
    method(setting, params, silent).write(DensityStore(volume, 1.0), silent)
    return volume, time.process_time() - start


def fsc(volume, truth):
    """Correlate in cubes from top to bottom, so that no transform is larger than a cube."""
    size = volume.shape[1]
    window = np.hanning(size).astype(np.float32)
    total = None
    n_cubes = -(-len(volume) // size)
    for first in np.linspace(0, len(volume) - size, n_cubes).astype(int) if n_cubes > 1 else [0]:
        part = slice(first, first + size)
        along_z = np.hanning(len(volume[part])).astype(np.float32)[:, None, None]
        cubes = (
            cube[part] * along_z * window[:, None] * np.hanning(cube.shape[2]).astype(np.float32)
            for cube in (volume, truth)
        )
        sums = shell_sums(*cubes, n_shells=128)
        total = sums if total is None else total + sums
    return total


def measure(folder, column_zyx, step_deg=4.0, max_tilt_deg=60.0):
    """Reconstruct with every correction, without noise and with: {noise: {name: (fsc, CPU seconds)}}, frequencies."""
    params = specimen(column_zyx, step_deg, max_tilt_deg)
    scene, expected = simulated(folder, params)
    acquisition = scene.acquisition
    truth = true_column(scene, column_zyx)
    rng = np.random.default_rng(1)
    found = {}
    for noise in ("noise-free", f"{params.dose_per_tilt_e_ang2:g} e/Å² per tilt"):
        images = expected if noise == "noise-free" else rng.poisson(expected).astype(np.float32)
        series = TiltSeries(
            name=noise, images=images, tilt_deg=acquisition.tilt_deg, pixel_ang=PIXEL_ANG, axis_deg=params.axis_deg
        )
        found[noise] = {}
        for name, (ctf, kind) in choices(acquisition.ctf).items():
            volume, seconds = reconstructed(series, acquisition.alignment, ctf, kind, column_zyx)
            sums = fsc(volume, truth)
            found[noise][name] = {"fsc": sums.fsc.tolist(), "cpu_s": seconds}
            (folder / "fsc.json").write_text(json.dumps(found))
    return found, sums.frequency_per_px / PIXEL_ANG, acquisition.ctf


def first_zero_inv_ang(ctf):
    """Return where the CTF of the mean defocus first crosses zero, without the small terms."""
    return float(1 / np.sqrt(ctf.optics.wavelength_ang * ctf.defocus_ang.mean()))


def plot(found, k_inv_ang, zero_inv_ang, path):
    """Draw one panel per noise."""
    figure, panels = plt.subplots(1, len(found), figsize=(7 * len(found), 5), sharey=True, layout="constrained")
    for panel, (noise, curves) in zip(np.atleast_1d(panels), found.items(), strict=True):
        for name, curve in curves.items():
            panel.plot(k_inv_ang, curve["fsc"], label=f"{name} ({curve['cpu_s']:.0f} CPU-s)")
        panel.axvline(zero_inv_ang, color="gray", ls=":", label="first zero")
        panel.set(title=noise, xlabel="frequency, 1/Å", xlim=(0, 0.22))
        panel.legend()
    np.atleast_1d(panels)[0].set_ylabel("correlation with the true density")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def summary(found, k_inv_ang, zero_inv_ang):
    """Return the mean correlation beyond the first zero, and the cost, as text."""
    beyond = (k_inv_ang > zero_inv_ang) & (k_inv_ang < 0.2)
    lines = [
        f"{noise}: {name}: mean FSC {np.array(curve['fsc'])[beyond].mean():.4f} from {1 / zero_inv_ang:.1f} to 5 Å, "
        f"{curve['cpu_s']:.0f} CPU-s"
        for noise, curves in found.items()
        for name, curve in curves.items()
    ]
    return "\n".join(lines)


def main():
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--column", type=int, nargs=3, default=(1500, 512, 512))
    parser.add_argument("--step-deg", type=float, default=4.0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    found, k_inv_ang, ctf = measure(arguments.folder, tuple(arguments.column), arguments.step_deg)
    plot(found, k_inv_ang, first_zero_inv_ang(ctf), arguments.folder / "fsc.png")
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(f"{summary(found, k_inv_ang, first_zero_inv_ang(ctf))}\npeak memory {memory_gb:.1f} GB\n")


if __name__ == "__main__":
    main()
