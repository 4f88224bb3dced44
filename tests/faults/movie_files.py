"""Movies in files, the way SerialEM leaves them: frames of each tilt, an mdoc that names them, a gain."""

from pathlib import Path

import numpy as np
import tifffile

from napari_tomoflow.io.mrc import write_mrc
from truth.movies import movie

TILTS = (-20.0, -10.0, 0.0, 10.0, 20.0)
SHAPE = (256, 288)


def write_frames(path: Path, frames, **options):
    """Write the frames of one tilt: MRC, or TIFF with a compression; TIFF starts with the top row."""
    if path.suffix == ".mrc":
        write_mrc(path, frames, 2.0, stack=True)
    else:
        with tifffile.TiffWriter(path) as file:
            for frame in frames:
                file.write(frame[::-1], contiguous=False, **options)


def make_movies(folder: Path, ending=".tif", doses=(3.0,) * 5, gain=None, **options):
    """Write five tilts of four frames and ``TS_01.mrc.mdoc`` beside them; return the mdoc and the paths."""
    rng = np.random.default_rng(11)
    folder.mkdir(parents=True, exist_ok=True)
    sections, paths = [], []
    for number, (tilt, dose) in enumerate(zip(TILTS, doses, strict=True)):
        frames, path = movie(rng, SHAPE, n_frames=4, counts=2.0)
        paths.append(path)
        recorded = frames if gain is None else 20 * frames / gain
        name = f"TS_01_{number:03d}_{tilt:.1f}{ending}"
        write_frames(folder / name, np.clip(recorded, 0, 65535).astype(np.uint16), **options)
        sections.append(
            f"[ZValue = {number}]\nTiltAngle = {tilt}\nExposureDose = {dose}\nPixelSpacing = 2.0\n"
            f"DateTime = 21-Nov-26  10:{number:02d}:00\nSubFramePath = D:\\DATA\\frames\\{name}\n"
        )
    ny, nx = SHAPE
    head = (
        f"PixelSpacing = 2\nVoltage = 300\nImageFile = TS_01.mrc\nImageSize = {nx} {ny}\nDataMode = 1\n\n"
        "[T =     Tilt axis angle = 85.0, binning = 1  spot = 9  camera = 0]\n"
    )
    mdoc = folder / "TS_01.mrc.mdoc"
    mdoc.write_text(head + "\n" + "\n".join(sections))
    return mdoc, paths
