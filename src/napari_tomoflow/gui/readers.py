"""Files to layers. One reader for all endings; what a file is, its contents decide."""

from collections.abc import Callable
from pathlib import Path

import napari

from napari_tomoflow.core.model import Noun, ParticleSet, RawStack, TiltSeries
from napari_tomoflow.gui.canvas import attend
from napari_tomoflow.gui.layers import LayerTuple, to_layers
from napari_tomoflow.gui.tomograms_in_view import frames_in_view, warn
from napari_tomoflow.gui.units import read_asking
from napari_tomoflow.io.particle_tables import TABLE_SUFFIXES, is_particle_table, read_particle_table
from napari_tomoflow.io.relion import STAR_SUFFIXES
from napari_tomoflow.io.series_star import SERIES_STAR, load_series
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.io.stacks import suffix_of
from napari_tomoflow.io.volumes import VOLUME_SUFFIXES, open_volume

_NAMED_AS_STACKS = (".st", ".mrcs", ".ali", ".preali")
_NAMED_AS_VOLUMES = (".rec", ".map")
_ONLY_TABLES = tuple(suffix for suffix in TABLE_SUFFIXES if suffix not in STAR_SUFFIXES)


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerTuple]] | None:
    """Return the reader; napari asks only for names that match the manifest.

    Many files are called ``.txt`` or ``.json``: those that are no tables of particles are left to others.
    """
    paths = map(Path, [path] if isinstance(path, str) else path)
    foreign = any(one.suffix.lower() in _ONLY_TABLES and not is_particle_table(one) for one in paths)
    return None if foreign else read_layers


def read_layers(path: str | list[str]) -> list[LayerTuple]:
    """Read one file, or several one after the other."""
    viewer = napari.current_viewer()
    if viewer is not None:
        attend(viewer)
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for layer in _layers_of(Path(one))]


def read_noun(path: Path) -> Noun:
    """Find out what a file holds and read that.

    Tables of particles that count voxels are understood by the tomogram in view.

    Raises
    ------
    TomoflowError
        The file is damaged, or holds nothing that can be shown.
    """
    suffix = suffix_of(path)
    if path.name == SERIES_STAR:
        return load_series(path.parent)
    if suffix in TABLE_SUFFIXES and is_particle_table(path):
        return _read_table(path)
    if suffix in VOLUME_SUFFIXES and suffix.startswith(_NAMED_AS_VOLUMES):
        return open_volume(path)
    raw = read_raw_stack(path)
    if suffix in VOLUME_SUFFIXES and not suffix.startswith(_NAMED_AS_STACKS) and raw.tilt_deg is None:
        return open_volume(path)
    return _series_of(raw)


def _layers_of(path: Path) -> list[LayerTuple]:
    noun = read_noun(path)
    if not isinstance(noun, ParticleSet):
        return to_layers(noun)
    warn(path.name, noun.quality["warnings"])
    return to_layers(noun, frames_in_view().grid_ang)


def _read_table(path: Path) -> ParticleSet:
    view = frames_in_view()
    tomogram = view.meant(path.stem)
    return read_asking(path, lambda unit: read_particle_table(path, frames=view.frames, tomogram=tomogram, unit=unit))


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
