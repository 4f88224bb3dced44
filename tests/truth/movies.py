"""Movies made for tests: a moving specimen under a detector with gain, hot pixels and counting noise."""

import numpy as np
import scipy.fft
from scipy.ndimage import map_coordinates

from napari_tomoflow.core.model import Frames, Movies
from napari_tomoflow.core.ops.fourier import half_frequencies


def moved(image_yx, shift_px_yx):
    """Move a periodic image by fractions of a pixel."""
    y, x = half_frequencies(image_yx.shape)
    phase = np.exp(-2j * np.pi * (y * shift_px_yx[0] + x * shift_px_yx[1]))
    return scipy.fft.irfft2(scipy.fft.rfft2(image_yx) * phase, s=image_yx.shape)


def specimen(rng, shape_yx, contrast=0.3):
    """Draw blobs of about 50 Å at 2 Å per pixel: mean one, standard deviation `contrast`."""
    y, x = half_frequencies(shape_yx)
    noise = scipy.fft.rfft2(rng.normal(size=shape_yx)) * np.exp(-((np.hypot(y, x) / 0.03) ** 2))
    image = scipy.fft.irfft2(noise, s=shape_yx)
    return 1.0 + contrast * image / image.std()


def drift(rng, n_frames, first_px=2.0, jitter_px=0.05):
    """Draw a path that slows down, as ice does under the beam: float64[F, 2]."""
    speed = first_px * np.exp(-np.arange(n_frames) / 4.0)
    towards = rng.normal(size=2)
    steps = speed[:, None] * towards / np.linalg.norm(towards) + rng.normal(0, jitter_px, (n_frames, 2))
    return np.cumsum(steps, axis=0)


def movie(rng, shape_yx=(256, 288), n_frames=8, counts=1.0, contrast=0.3, path=None):
    """Expose frames of `counts` electrons per pixel: float64[F, ny, nx] and the path, float64[F, 2] px."""
    path = drift(rng, n_frames) if path is None else path
    image = specimen(rng, shape_yx, contrast)
    frames = np.stack([rng.poisson(counts * np.maximum(moved(image, step), 0)) for step in path])
    return frames.astype(np.float32), path


def bending_movie(rng, shape_yx=(640, 704), n_frames=8, counts=2.0, bend_px=4.0):
    """Expose a specimen that also bends, by up to `bend_px`: frames, and how far it moved, float64[F, ny, nx, 2] px."""
    image, path = specimen(rng, shape_yx), drift(rng, n_frames)
    places = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in shape_yx), indexing="ij"), axis=-1)
    y, x = np.moveaxis(places / shape_yx - 0.5, -1, 0)
    shapes = np.stack([y, x, y**2 - 1 / 12, y * x, x**2 - 1 / 12], axis=-1)
    bend = shapes @ (rng.normal(size=(5, 2)) * [[1.0], [1.0], [2.0], [2.0], [2.0]])
    bend *= bend_px / max(np.linalg.norm(bend, axis=-1).max(), 1e-12)
    pace = np.exp(-np.arange(n_frames) / 3.0)
    pace = (pace.mean() - pace) / np.ptp(pace)
    moves = bend * pace[:, None, None, None] + path[:, None, None]
    frames = [rng.poisson(counts * np.maximum(_carried(image, places, move), 0)) for move in moves]
    return np.stack(frames).astype(np.float32), moves


def _carried(image_yx, places, move):
    """Move each point of an image by its own distance."""
    came_from = places - move
    for _ in range(3):  # the distance is that of the point where it came from
        came_from = places - np.stack([_read(move[..., axis], came_from, order=1) for axis in (0, 1)], axis=-1)
    return _read(image_yx, came_from, order=3)


def _read(values_yx, places, order):
    return map_coordinates(values_yx, np.moveaxis(places, -1, 0), order=order, mode="grid-wrap")


def movies(*stacks, gain=None, **given):
    """Make a series of movies at 2 Å, 3 e/Å² a tilt."""
    values = {
        "name": "TS", "tilt_deg": 3.0 * np.arange(len(stacks)), "pixel_ang": 2.0, "dose_of_tilt_e_ang2": 3.0,
    }  # fmt: skip
    return Movies(images=Frames(tuple(stacks), gain), **(values | given))


def off_px(series, tilt, path_px):
    """Return by how much the path found is off, RMS over the frames, px; a constant does not count."""
    found = np.array(series.quality["tilts"][tilt]["shift_ang_yx"]) / series.pixel_ang
    off = (found - found.mean(axis=0)) - (path_px - path_px.mean(axis=0))
    return float(np.sqrt((off**2).sum(axis=1).mean()))
