"""What each way to reconstruct shows of series simulated by another program: slices to look at, and their cost.

    python tests/benchmarks/bench_methods.py OUT DATA

DATA holds the folders sim_cell_C and sim_fiducial_A; their true geometry is used. OUT gets a picture of each.
"""

import json
import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.core.stages.reconstruct import ReconstructParams, reconstruct
from truth.test_align_simulated import third_party_series

SERIES = {"sim_cell_C": (3.0, 1200.0), "sim_fiducial_A": (85.0, 1000.0)}
"""Tilt axis in degrees from +x, and depth of the tomogram in Å."""

METHODS = {
    "ramp": {"weighting": "ramp"},
    "exact": {"weighting": "exact"},
    "sirt-like": {"weighting": "sirt-like"},
    "tiles": {"method": "tiles"},
    "sirt": {"method": "sirt"},
    "sart": {"method": "sart"},
    "sirt-like, flattened, deconvolved": {"weighting": "sirt-like", "flatten": True, "deconvolve": True},
}


def true_ctf(folder):
    """Read the defocus of every tilt."""
    tilts = json.loads((folder / "truth" / "truth.json").read_text())["tilts"]
    defocus_ang = np.array([tilt["defocus_um"] for tilt in tilts]) * 1e4
    return CtfSeries(optics=Optics(300.0, 2.7, 0.07), defocus_u_ang=defocus_ang, defocus_v_ang=defocus_ang, hand=1)


def computed(folder, axis_from_x_deg, thickness_ang, voxel_ang=10.0):
    """Reconstruct by every method: {name: (volume, CPU seconds, quality)}."""
    series, alignment = third_party_series(folder, axis_from_x_deg)
    found = {}
    for name, changes in METHODS.items():
        params = ReconstructParams(voxel_ang=voxel_ang, thickness_ang=thickness_ang).replace(**changes)
        start = time.process_time()
        tomogram = reconstruct(series, alignment, ctf=true_ctf(folder), params=params)
        found[name] = tomogram.volume, time.process_time() - start, tomogram.quality
    return found


def slices(volume, depth=5):
    """Average a few planes through the middle: x-y, x-z and y-z, the latter two stacked below and beside."""
    z, y, x = (slice(n // 2 - depth // 2, n // 2 + depth // 2 + 1) for n in volume.shape)
    xy, xz, yz = volume[z].mean(0), volume[:, y].mean(1), volume[:, :, x].mean(2).T
    return xy, xz, yz


def draw(found, title, path):
    """Draw the three slices of every method, contrast set by each slice's own percentiles."""
    across = -(-len(found) // 2)
    nz, ny, nx = next(iter(found.values()))[0].shape
    figure = plt.figure(figsize=(4.6 * across, 2 * 4.9 * (ny + nz) / (nx + nz)), layout="constrained")
    columns = figure.subfigures(2, across)
    for column, (name, (volume, seconds, _)) in zip(columns.flat, found.items(), strict=False):
        panels = column.subplots(2, 2, width_ratios=(nx, nz), height_ratios=(ny, nz))
        xy, xz, yz = slices(volume)
        for panel, picture in zip((panels[0, 0], panels[1, 0], panels[0, 1]), (xy, xz, yz), strict=True):
            low, high = np.percentile(picture, (1, 99))
            panel.imshow(picture, cmap="gray", vmin=low, vmax=high, origin="lower")
        for panel in panels.flat:
            panel.set_axis_off()
        column.suptitle(f"{name} ({seconds:.1f} CPU-s)", fontsize=10)
    figure.suptitle(title)
    figure.savefig(path, dpi=70)
    plt.close(figure)


def main():
    """Reconstruct, draw, and say how many iterations were chosen."""
    out, data = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name, geometry in SERIES.items():
        found = computed(data / name, *geometry)
        draw(found, name, out / f"methods_{name}.png")
        for method, (_, seconds, quality) in found.items():
            sys.stdout.write(f"{name}: {method}: {seconds:.1f} CPU-s, iterations {quality.get('iterations', '-')}\n")


if __name__ == "__main__":
    main()
