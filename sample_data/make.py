"""Make the sample series anew: ``python sample_data/make.py [FOLDER]``."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tomoflow.core.model import TiltSeries
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.results import save

SAMPLE: Mapping[str, Any] = {
    "name": "ribosomes",
    "seed": 11,
    "size_px": 256,
    "pixel_ang": 13.5,
    "n_tilts": 31,
    "thickness_nm": 120.0,
    "n_ribosomes": 24,
    "n_proteasomes": 8,
    "n_gold": 12,
    "n_vesicles": 1,
    "vesicle_diameter_nm": 80.0,
    "defocus_um": 5.0,
    "shift_px": 9.0,
    "axis_deg": 85.3,
    "axis_jitter_deg": 0.15,
    "tilt_error_deg": 0.1,
    "specimen_tilt_deg": 4.0,
}
"""What differs from the defaults of ``tomoflow simulate``."""


def command() -> str:
    """Return the command line that simulates the same series in a project."""
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in SAMPLE.items())
    return f"tomoflow simulate PROJECT {flags}"


def make(folder: Path) -> None:
    """Write the series as a microscope leaves it, a stack and its mdoc, and the truth beside them."""
    simulation = simulate(SimulateParams(**SAMPLE))
    series = simulation.series
    with tempfile.TemporaryDirectory(dir=folder) as made:
        save(simulation, Path(made))
        (Path(made) / "stack.mrc").replace(folder / f"{series.name}.mrc")
        (folder / "truth").mkdir(exist_ok=True)
        for file in (Path(made) / "truth").iterdir():
            file.replace(folder / "truth" / file.name)
    write_text(folder / f"{series.name}.mrc.mdoc", mdoc(series))


def mdoc(series: TiltSeries) -> str:
    """Describe a series the way SerialEM does."""
    ny, nx = series.shape_yx
    pixel = f"PixelSpacing = {series.pixel_ang:g}"
    axis_deg = series.axis_deg or 0.0
    head = [
        pixel,
        f"Voltage = {series.optics.voltage_kv:g}",
        f"ImageFile = {series.name}.mrc",
        f"ImageSize = {nx} {ny}",
        "DataMode = 1",
        "",
        "[T = Simulated by tomoflow]",
        "",
        f"[T =     Tilt axis angle = {axis_deg:.1f}, binning = 1  spot = 8  camera = 0]",
    ]
    sections = [
        [
            "",
            f"[ZValue = {tilt}]",
            f"TiltAngle = {series.tilt_deg[tilt]:.2f}",
            pixel,
            f"ExposureDose = {series.dose_of_tilt_e_ang2[tilt]:g}",
            f"PriorRecordDose = {series.dose_before_e_ang2[tilt]:g}",
            f"RotationAngle = {axis_deg + 90.0:.1f}",
        ]
        for tilt in range(series.n_tilts)
    ]
    return "\n".join([*head, *(line for section in sections for line in section), ""])


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
