"""Every noun in its files, and back: what a job leaves in the folder of one series."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from napari_tomoflow.core.errors import DataError, MissingError
from napari_tomoflow.core.model import (
    AlignedMap,
    AlignedSeries,
    Alignment,
    Average,
    Classes,
    CtfSeries,
    DensityMap,
    FinishedMap,
    Labels,
    MappedBack,
    Movies,
    Noun,
    ParticleSet,
    Polished,
    Simulation,
    SubtiltSet,
    TiltSeries,
    Tomogram,
)
from napari_tomoflow.io import pyramids
from napari_tomoflow.io.alignment_star import ALIGNMENT_STAR, load_alignment, save_alignment
from napari_tomoflow.io.classes import CLASSES_FILE, load_classes, save_classes
from napari_tomoflow.io.columns import ctf_from_table, optics_columns, optics_from_columns, table_from_ctf
from napari_tomoflow.io.files import PARTS_FOLDER, read_json, write_json
from napari_tomoflow.io.finished_maps import FINISHED_FILE, load_finished_map, save_finished_map
from napari_tomoflow.io.maps import MAP_FILE, load_map, save_map
from napari_tomoflow.io.movies_star import MOVIES_STAR, load_movies, save_movies
from napari_tomoflow.io.mrc import open_mrc, write_mrc
from napari_tomoflow.io.particles import read_particles, write_particles
from napari_tomoflow.io.placement import PAINTED_FILE, load_mapped_back, save_mapped_back
from napari_tomoflow.io.series_star import SERIES_STAR, load_series, save_series
from napari_tomoflow.io.star import read_star, table_of, write_star
from napari_tomoflow.io.subtilts import SUBTILTS_STAR, load_subtilts, save_subtilts

N = TypeVar("N", bound=Noun)

QUALITY_FILE = "quality.json"
FILE_OF: Mapping[type[Noun], str] = {
    TiltSeries: SERIES_STAR,
    Movies: MOVIES_STAR,
    Alignment: ALIGNMENT_STAR,
    CtfSeries: "ctf.star",
    Tomogram: "tomogram.mrc",
    ParticleSet: "particles.star",
    Labels: "labels.mrc",
    DensityMap: MAP_FILE,
    Average: MAP_FILE,
    FinishedMap: FINISHED_FILE,
    Classes: CLASSES_FILE,
    SubtiltSet: SUBTILTS_STAR,
    Polished: "polished.json",
    MappedBack: PAINTED_FILE,
    Simulation: "truth",
}
"""Main file of each noun; of a simulation the folder with its truth."""

# What an MRC header has no place for.
_LABELS_ABOUT = "labels.json"
_TOMOGRAM_ABOUT = "tomogram.json"
_HALF_FILES = ("tomogram_half1.mrc", "tomogram_half2.mrc")
_TOMOGRAM_RECORD = ("name", "voxel_ang", "origin_ang_zyx", "half", "contrast")


def save(noun: Noun, folder: Path) -> dict[str, str]:
    """Write a noun into `folder`, its quality beside it as ``quality.json``.

    A simulation is written as its series, with the truth in a folder of its own, an aligned series as a
    series and an alignment, and an average or an aligned map as a map and its particles, so that later stages
    find them like any others. What belongs to other items is put into folders of these within ``parts``.

    Returns
    -------
    dict of str to str
        As `outputs_of`.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(noun, AlignedSeries):
        save_series(noun, folder)
        save_alignment(noun.alignment, folder)
    elif isinstance(noun, Average):
        save_map(noun.map, folder)
        write_particles(folder / FILE_OF[ParticleSet], noun.particles)
    elif isinstance(noun, AlignedMap):
        save_map(noun, folder)
        write_particles(folder / FILE_OF[ParticleSet], noun.particles)
    elif isinstance(noun, Simulation):
        _save_truth(noun, folder / FILE_OF[Simulation])
        save_series(noun.series, folder)
    else:
        _SAVERS[type(noun)](noun, folder)
    for name, nouns in noun.parts().items():
        for part in nouns:
            save(part, folder / PARTS_FOLDER / name)
    write_json(folder / QUALITY_FILE, _plain(noun.quality))
    return outputs_of(noun)


def outputs_of(noun: Noun) -> dict[str, str]:
    """Return what `save` writes of the noun itself: name of each noun → its main file, relative to the folder."""
    kinds: tuple[type[Noun], ...] = (type(noun),)
    if isinstance(noun, AlignedSeries):
        kinds = (TiltSeries, Alignment)
    elif isinstance(noun, Average | AlignedMap):
        kinds = (DensityMap, ParticleSet)
    elif isinstance(noun, Classes):
        kinds = (Classes, ParticleSet)
    elif isinstance(noun, Simulation):
        kinds = (Simulation, TiltSeries)
    elif isinstance(noun, Polished) and noun.subtilts is not None:
        kinds = (Polished, SubtiltSet)
    return {kind.__name__: FILE_OF[kind] for kind in kinds}


def load(kind: type[N], folder: Path) -> N:
    """Read a noun that `save` wrote; big arrays stay in their files.

    Raises
    ------
    MissingError
        The folder holds no such noun.
    DataError
        One of its files is damaged.
    """
    if not (folder / FILE_OF[kind]).exists():
        raise MissingError(f"{folder} holds no {kind.__name__}: {FILE_OF[kind]} is not there; run its stage first.")
    noun = cast(N, _LOADERS[kind](folder))
    return noun.replace(quality=load_quality(folder)) if (folder / QUALITY_FILE).exists() else noun


def load_quality(folder: Path) -> dict[str, Any]:
    """Read ``quality.json``."""
    return dict(read_json(folder / QUALITY_FILE))


def _save_ctf(ctf: CtfSeries, folder: Path) -> None:
    general = {**optics_columns(ctf.optics), "rlnTomoHand": ctf.hand}
    write_star(folder / FILE_OF[CtfSeries], {"general": general, "ctf": table_from_ctf(ctf)})


def _load_ctf(folder: Path) -> CtfSeries:
    path = folder / FILE_OF[CtfSeries]
    blocks = read_star(path)
    general = table_of(blocks, "rlnTomoHand", path).iloc[0]
    return ctf_from_table(
        table_of(blocks, "rlnDefocusU", path), optics_from_columns(general), int(general["rlnTomoHand"])
    )


def _save_tomogram(tomogram: Tomogram, folder: Path) -> None:
    volumes = {FILE_OF[Tomogram]: tomogram.volume, **dict(zip(_HALF_FILES, tomogram.halves or (), strict=False))}
    for name, volume in volumes.items():
        write_mrc(
            folder / name,
            volume,
            tomogram.voxel_ang,
            origin_ang_zyx=tomogram.origin_ang_zyx,
            label=name[: -len(".mrc")],
        )
    write_json(folder / _TOMOGRAM_ABOUT, _plain({name: getattr(tomogram, name) for name in _TOMOGRAM_RECORD}))
    if (folder / FILE_OF[Tomogram]).stat().st_size >= pyramids.WORTH_BYTES:
        with suppress(DataError):  # the disk is full: the tomogram is whole, only slower to look at
            pyramids.write_pyramid(folder / FILE_OF[Tomogram], tomogram.voxel_ang)


def _load_tomogram(folder: Path) -> Tomogram:
    about = read_json(folder / _TOMOGRAM_ABOUT)
    record = {name: about[name] for name in _TOMOGRAM_RECORD}
    record["origin_ang_zyx"] = tuple(record["origin_ang_zyx"])
    half1, half2 = (folder / name for name in _HALF_FILES)
    halves = (open_mrc(half1), open_mrc(half2)) if half1.exists() and half2.exists() else None
    return Tomogram(volume=open_mrc(folder / FILE_OF[Tomogram]), halves=halves, **record)


def _save_labels(labels: Labels, folder: Path) -> None:
    write_mrc(folder / FILE_OF[Labels], labels.volume, labels.voxel_ang, label="labels")
    about = {"name": labels.name, "voxel_ang": labels.voxel_ang, "names": labels.names}
    write_json(folder / _LABELS_ABOUT, _plain(about))


def _load_labels(folder: Path) -> Labels:
    about = read_json(folder / _LABELS_ABOUT)
    names = {int(number): str(name) for number, name in about["names"].items()}
    volume = open_mrc(folder / FILE_OF[Labels])
    return Labels(name=about["name"], volume=volume, voxel_ang=about["voxel_ang"], names=names)


def _save_truth(simulation: Simulation, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for noun in (simulation.alignment, simulation.ctf, simulation.particles, simulation.density):
        if noun is not None:
            _SAVERS[type(noun)](noun, folder)


def _load_simulation(folder: Path) -> Simulation:
    truth = folder / FILE_OF[Simulation]
    return Simulation(
        series=load_series(folder),
        alignment=load_alignment(truth),
        ctf=_load_ctf(truth),
        particles=read_particles(truth / FILE_OF[ParticleSet]),
        density=_load_tomogram(truth) if (truth / FILE_OF[Tomogram]).exists() else None,
    )


def _save_polished(polished: Polished, folder: Path) -> None:
    if polished.subtilts is not None:
        save_subtilts(polished.subtilts, folder)
    names = {field: list(getattr(polished, field)) for field in ("averages", "alignments", "ctfs")}
    write_json(folder / FILE_OF[Polished], _plain(names))


def _load_polished(folder: Path) -> Polished:
    names = read_json(folder / FILE_OF[Polished])
    # In a project the parts lie beside the item, among the other items of the job.
    parts = folder / PARTS_FOLDER if (folder / PARTS_FOLDER).exists() else folder.parent
    return Polished(
        averages={name: load(Average, parts / name) for name in names["averages"]},
        alignments={name: load(Alignment, parts / name) for name in names["alignments"]},
        ctfs={name: load(CtfSeries, parts / name) for name in names["ctfs"]},
        subtilts=load_subtilts(folder) if (folder / SUBTILTS_STAR).exists() else None,
    )


def _plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


_SAVERS: dict[type[Noun], Callable[[Any, Path], object]] = {
    TiltSeries: save_series,
    Movies: save_movies,
    Alignment: save_alignment,
    CtfSeries: _save_ctf,
    Tomogram: _save_tomogram,
    ParticleSet: lambda particles, folder: write_particles(folder / FILE_OF[ParticleSet], particles),
    Labels: _save_labels,
    DensityMap: save_map,
    FinishedMap: save_finished_map,
    SubtiltSet: save_subtilts,
    Polished: _save_polished,
    Classes: save_classes,
    MappedBack: save_mapped_back,
}
_LOADERS: dict[type[Noun], Callable[[Path], Noun]] = {
    TiltSeries: load_series,
    Movies: load_movies,
    Alignment: load_alignment,
    CtfSeries: _load_ctf,
    Tomogram: _load_tomogram,
    ParticleSet: lambda folder: read_particles(folder / FILE_OF[ParticleSet]),
    Labels: _load_labels,
    DensityMap: load_map,
    FinishedMap: load_finished_map,
    Average: lambda folder: Average(map=load_map(folder), particles=read_particles(folder / FILE_OF[ParticleSet])),
    SubtiltSet: load_subtilts,
    Polished: _load_polished,
    Classes: load_classes,
    MappedBack: load_mapped_back,
    Simulation: _load_simulation,
}
