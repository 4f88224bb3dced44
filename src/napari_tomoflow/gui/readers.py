"""Files to layers. One reader for all endings; what a file is, its contents decide."""

from collections.abc import Callable
from pathlib import Path

import napari

from napari_tomoflow.core.model import Noun, RawStack, TiltSeries
from napari_tomoflow.gui.canvas import attend
from napari_tomoflow.gui.layers import LayerTuple, to_layers
from napari_tomoflow.io.particles import read_particles
from napari_tomoflow.io.series_star import SERIES_STAR, load_series
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.io.stacks import suffix_of
from napari_tomoflow.io.star import read_star
from napari_tomoflow.io.volumes import VOLUME_SUFFIXES, open_volume

_NAMED_AS_STACKS = (".st", ".mrcs", ".ali", ".preali")
_NAMED_AS_VOLUMES = (".rec", ".map")
_PARTICLE_COLUMN = "rlnCenteredCoordinateXAngst"


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerTuple]]:
    """Return the reader; napari asks only for names that match the manifest."""
    return read_layers


def read_layers(path: str | list[str]) -> list[LayerTuple]:
    """Read one file, or several one after the other."""
    viewer = napari.current_viewer()
    if viewer is not None:
        attend(viewer)
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in to_layers(read_noun(Path(one)))]


def read_noun(path: Path) -> Noun:
    """Find out what a file holds and read that.

    Raises
    ------
    TomoflowError
        The file is damaged, or holds nothing that can be shown.
    """
    suffix = suffix_of(path)
    if suffix == ".star":
        return _read_star(path)
    if suffix in VOLUME_SUFFIXES and suffix.startswith(_NAMED_AS_VOLUMES):
        return open_volume(path)
    raw = read_raw_stack(path)
    if suffix in VOLUME_SUFFIXES and not suffix.startswith(_NAMED_AS_STACKS) and raw.tilt_deg is None:
        return open_volume(path)
    return _series_of(raw)


def _read_star(path: Path) -> Noun:
    if path.name == SERIES_STAR:
        return load_series(path.parent)
    if any(_PARTICLE_COLUMN in block for block in read_star(path).values()):
        return read_particles(path)
    return _series_of(read_raw_stack(path))


def _series_of(raw: RawStack) -> Noun:
    """Take a stack as a tilt series if it says enough; nothing is made up for one that does not."""
    if raw.tilt_deg is None or raw.pixel_ang is None:
        return raw
    series = TiltSeries(
        name=raw.name, images=raw.images, tilt_deg=raw.tilt_deg, pixel_ang=raw.pixel_ang, axis_deg=raw.axis_deg
    )
    if raw.dose_before_e_ang2 is None:
        return series
    return series.replace(dose_before_e_ang2=raw.dose_before_e_ang2)
