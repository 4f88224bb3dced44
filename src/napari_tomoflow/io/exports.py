"""What other programs are given: one `Exporter` for each, which says what it needs and writes its files.

A new program is a function and a line in `EXPORTERS`; the nouns it takes are read off that line. Tables of
particles are written by `io.particle_tables`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, CtfSeries, Noun, ParticleSet, SubtiltSet, TiltSeries, Tomogram
from napari_tomoflow.io.aretomo import write_aln
from napari_tomoflow.io.eman2 import write_info
from napari_tomoflow.io.imod import write_imod_alignment
from napari_tomoflow.io.imod_com import write_tilt_com
from napari_tomoflow.io.imod_fid import tracks_of_landmarks, write_fid
from napari_tomoflow.io.optics_groups import in_optics_groups, seen_through
from napari_tomoflow.io.particle_formats import TomogramFrame
from napari_tomoflow.io.particle_formats.numbering import MAP_SUFFIX
from napari_tomoflow.io.particle_tables import SPECIES, write_particle_table
from napari_tomoflow.io.particles import write_particles
from napari_tomoflow.io.relion_motion import with_names, write_trajectories
from napari_tomoflow.io.relion_stacks import write_relion_stacks
from napari_tomoflow.io.relion_write import relion_row, write_relion_series, write_relion_table
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.star import write_star
from napari_tomoflow.io.warp import write_warp_xml

N = TypeVar("N", bound=Noun)

_PARTICLES_STAR = "particles.star"
_TOMOGRAMS_STAR = "tomograms.star"
_TRAJECTORIES_STAR = "motion.star"
_THICKNESS_OF_FIELD = 0.25
_MARGIN_OVER_SPECIMEN = 1.3
"""Thickness of a volume when nobody said one: of the field, and of the specimen; as reconstruct takes them."""


@dataclass(frozen=True)
class ExportItem:
    """One series to export.

    Attributes
    ----------
    name : str
    nouns : mapping of kind to noun
        Those the exporter asked for, as far as they are there.
    hand : {-1, +1} or None
        What the person says of the sign of the defocus with height.
    """

    name: str
    nouns: Mapping[type[Noun], Noun]
    hand: int | None = None

    def get(self, kind: type[N]) -> N | None:
        """Return a noun, or None when the series has none of that kind."""
        noun = self.nouns.get(kind)
        return noun if isinstance(noun, kind) else None

    def need(self, kind: type[N]) -> N:
        """Return a noun that an exporter said it needs."""
        noun = self.get(kind)
        if noun is None:
            raise DataError(f"{self.name} has no {kind.__name__} to export; run its stage first.")
        return noun


@dataclass
class Exported:
    """What was written, and what could not be said.

    Attributes
    ----------
    files : list of Path
    warnings : dict of str to list of str
        Series → sentences.
    """

    files: list[Path] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, files: Sequence[Path], warnings: Sequence[str] = ()) -> None:
        """Note what was written of a series."""
        self.files += files
        self.warnings.setdefault(name, []).extend(warnings)


@dataclass(frozen=True)
class Exporter:
    """How one program is given its files.

    Attributes
    ----------
    needs, takes : tuple of noun types
        What a series must have, and what is written too if it is there.
    write : callable
        ``(items, folder) -> Exported``; the folder is there.
    """

    needs: tuple[type[Noun], ...]
    takes: tuple[type[Noun], ...]
    write: Callable[[Sequence[ExportItem], Path], Exported]


def _to_imod(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write ``.xf``, ``.tlt``, ``.xtilt`` and ``_tilt.com`` of each series; ``.fid`` and ``.mod`` where it has such."""
    done = Exported()
    for item in items:
        series, alignment = item.need(TiltSeries), _in_use(item)
        paths = {ending: folder / f"{item.name}{ending}" for ending in (".xf", ".tlt", ".xtilt", "_tilt.com", ".fid")}
        pixel_ang, shape_yx = series.pixel_ang, series.shape_yx
        warnings = write_imod_alignment(
            alignment, paths[".xf"], paths[".tlt"], xtilt=paths[".xtilt"], pixel_ang=pixel_ang, shape_yx=shape_yx
        )
        write_tilt_com(
            paths["_tilt.com"],
            item.name,
            shape_yx=shape_yx,
            thickness_px=_thickness_px(item),
            excluded=map(int, np.flatnonzero(~alignment.kept)),
        )
        landmarks = alignment.landmarks
        if landmarks is not None and landmarks.believed.any():
            tracks = tracks_of_landmarks(landmarks, pixel_ang=pixel_ang, shape_yx=shape_yx)
            write_fid(paths[".fid"], tracks, pixel_ang=pixel_ang)
        else:
            del paths[".fid"]
        done.add(item.name, list(paths.values()), warnings)
        _add_table(done, item, folder / f"{item.name}.mod", "imod")
    return done


def _to_aretomo(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write an ``.aln`` for each series."""
    done = Exported()
    for item in items:
        series, path = item.need(TiltSeries), folder / f"{item.name}.aln"
        warnings = write_aln(path, _in_use(item), pixel_ang=series.pixel_ang, shape_yx=series.shape_yx)
        done.add(item.name, [path], warnings)
    return done


def _to_relion5(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write ``aligned_tilt_series.star``, a table for each series, and those of tomograms and particles there are."""
    done = Exported()
    rows, tomograms = [], []
    for item in items:
        series, ctf = item.need(TiltSeries), item.get(CtfSeries)
        hand = _hand(item)
        alignment = item.need(Alignment)
        path = write_relion_series(folder, series, alignment, ctf, _stack_of(series))
        if ctf is not None:
            series = series.replace(optics=ctf.optics)
        rows.append(relion_row(series, hand))
        if (tomogram := item.get(Tomogram)) is not None:
            tomograms.append(relion_row(series, hand, tomogram))
        bent = alignment.deformation is not None and item.get(ParticleSet) is None
        done.add(item.name, [path], ["The bending of the specimen is left out: no particle shows it."] if bent else [])
    tables = {"aligned_tilt_series.star": rows} | ({_TOMOGRAMS_STAR: tomograms} if tomograms else {})
    for name, table in tables.items():
        write_relion_table(folder / name, table)
        done.files.append(folder / name)
    if picked := [item for item in items if item.get(ParticleSet) is not None]:
        _add_relion_particles(done, picked, folder, bool(tomograms))
    return done


def _add_relion_particles(done: Exported, items: Sequence[ExportItem], folder: Path, has_tomograms: bool) -> None:
    """Write the particles of all series, their trajectories where they move, and the list of these tables."""
    particles = _add_table_of_all(done, items, folder / _PARTICLES_STAR, "relion5")
    _add_relion_set(done, items, folder, particles, has_tomograms)


def _add_relion_set(
    done: Exported, items: Sequence[ExportItem], folder: Path, particles: ParticleSet, has_tomograms: bool
) -> None:
    """Write how particles move, if they do, and the list of all tables RELION is to take together."""
    listed = {"rlnTomoParticlesFile": _PARTICLES_STAR, "rlnTomoTomogramsFile": _TOMOGRAMS_STAR}
    geometries = {item.name: (_in_use(item), item.need(TiltSeries)) for item in items}
    is_bent = any(alignment.deformation is not None for alignment, _ in geometries.values())
    if is_bent or particles.paths_ang_zyx is not None:
        write_trajectories(folder / _TRAJECTORIES_STAR, particles, geometries)
        done.files.append(folder / _TRAJECTORIES_STAR)
        listed["rlnTomoTrajectoriesFile"] = _TRAJECTORIES_STAR
    if has_tomograms:
        write_star(folder / "optimisation_set.star", {"optimisation_set": listed})
        done.files.append(folder / "optimisation_set.star")


def _to_relion5_stacks(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write a stack of 2-D images for each particle, and the tables RELION understands them by."""
    done = Exported()
    rows, sets = [], []
    for item in items:
        series, alignment, subtilts = item.need(TiltSeries), item.need(Alignment), item.need(SubtiltSet)
        table = write_relion_series(folder, series, alignment, item.need(CtfSeries), _stack_of(series))
        # The images tell of their lens: what could be taken out of them has been.
        lens = series.replace(optics=subtilts.optics)
        rows.append(relion_row(lens, _hand(item), item.get(Tomogram), _thickness_px(item)))
        particles, stacks = write_relion_stacks(folder, series, alignment, subtilts)
        lost = int((subtilts.particles.tomogram == series.name).sum()) - len(particles)
        told = [f"{lost} particles are left out: no tilt in use shows them."] if lost else []
        done.add(item.name, [table, *stacks], told)
        sets.append(particles)
    write_relion_table(folder / _TOMOGRAMS_STAR, rows)
    particles = in_optics_groups(ParticleSet.joined(sets))
    write_particles(folder / _PARTICLES_STAR, particles)
    done.files += [folder / _TOMOGRAMS_STAR, folder / _PARTICLES_STAR]
    _add_relion_set(done, items, folder, particles, has_tomograms=True)
    return done


def _to_warp(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write an ``.xml`` for each series."""
    done = Exported()
    for item in items:
        ctf = item.get(CtfSeries)
        hand = _hand(item) if ctf is not None else item.hand or item.need(TiltSeries).defocus_hand or 1
        path = folder / f"{item.name}.xml"
        series, alignment = item.need(TiltSeries), item.need(Alignment)
        done.add(item.name, [path], write_warp_xml(path, series, alignment, ctf, hand, _volume_ang_xyz(item)))
    return done


def _to_eman2(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write ``info/<series>_info.json`` for each series; EMAN2 fits its own CTF."""
    done = Exported()
    (folder / "info").mkdir(exist_ok=True)
    for item in items:
        series, path = item.need(TiltSeries), folder / "info" / f"{item.name}_info.json"
        stack = f"tiltseries/{item.name}.hdf"
        warnings = write_info(path, _in_use(item), pixel_ang=series.pixel_ang, stack=stack)
        wanted = f"EMAN2 wants the images in {stack}: make it of the stack of {item.name} with e2proc2d.py."
        done.add(item.name, [path], [*warnings, wanted])
        _add_table(done, item, path, "eman2")
    return done


def _table_of_all(program: str, name: str) -> Callable[[Sequence[ExportItem], Path], Exported]:
    """Make the writer of one table for the particles of all series."""

    def write(items: Sequence[ExportItem], folder: Path) -> Exported:
        done = Exported()
        _add_table_of_all(done, items, folder / name, program)
        return done

    return write


def _table_of_each(program: str, ending: str) -> Callable[[Sequence[ExportItem], Path], Exported]:
    """Make the writer of a table for the particles of each series."""

    def write(items: Sequence[ExportItem], folder: Path) -> Exported:
        done = Exported()
        for item in items:
            _add_table(done, item, folder / f"{item.name}{ending}", program)
        return done

    return write


def _to_copick(items: Sequence[ExportItem], folder: Path) -> Exported:
    """Write the picks of each kind of particle in each series where copick looks for them."""
    done = Exported()
    for item in items:
        particles = _particles(item)
        kinds = np.asarray(particles.features.get(SPECIES, np.full(len(particles), "particle")), np.str_)
        for kind in np.unique(kinds):
            path = folder / "ExperimentRuns" / item.name / "Picks" / f"tomoflow_0_{_plain_word(str(kind))}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            own = particles[kinds == kind]
            warnings = write_particle_table(path, own, frames=_frames([item]), program="copick")
            done.add(item.name, [path], warnings)
    return done


_SERIES = (TiltSeries, Alignment)
_PICKED = (ParticleSet, Tomogram)
_TAKEN = (TiltSeries,)

EXPORTERS: dict[str, Exporter] = {
    "imod": Exporter(_SERIES, _PICKED, _to_imod),
    "aretomo": Exporter(_SERIES, (), _to_aretomo),
    "relion5": Exporter(_SERIES, (CtfSeries, *_PICKED), _to_relion5),
    "relion5-stacks": Exporter((*_SERIES, CtfSeries, SubtiltSet), (Tomogram,), _to_relion5_stacks),
    "warp": Exporter(_SERIES, (CtfSeries, Tomogram), _to_warp),
    "eman2": Exporter(_SERIES, _PICKED, _to_eman2),
    "relion4": Exporter(_PICKED, _TAKEN, _table_of_all("relion4", _PARTICLES_STAR)),
    "dynamo": Exporter(_PICKED, _TAKEN, _table_of_all("dynamo", "particles.tbl")),
    "stopgap": Exporter(_PICKED, _TAKEN, _table_of_all("stopgap", "allmotl_1.star")),
    "motl": Exporter(_PICKED, _TAKEN, _table_of_all("motl", "motl_1.em")),
    "copick": Exporter(_PICKED, _TAKEN, _to_copick),
    "cbox": Exporter(_PICKED, _TAKEN, _table_of_each("cbox", ".cbox")),
    "coords": Exporter(_PICKED, _TAKEN, _table_of_each("coords", ".coords")),
    "csv": Exporter((ParticleSet,), (), _table_of_all("csv", "particles.csv")),
}
"""Programs results can be given to."""


def _add_table(done: Exported, item: ExportItem, path: Path, program: str) -> None:
    """Write the particles of a series, if it has any and its tomogram is known; note the file once."""
    if item.get(ParticleSet) is None:
        return
    if item.get(Tomogram) is None:
        done.add(item.name, [], [f"The particles of {item.name} are left out: there is no tomogram they lie in."])
        return
    warnings = write_particle_table(path, _particles(item), frames=_frames([item]), program=program)
    done.add(item.name, [path] if path not in done.files else [], warnings)


def _add_table_of_all(done: Exported, items: Sequence[ExportItem], path: Path, program: str) -> ParticleSet:
    """Write the particles of all series into one table, with the list of tomograms that some programs have beside."""
    of_item = _particles_with_lens if program == "relion5" else _particles
    particles = ParticleSet.joined([of_item(item) for item in items])
    features = {name: column for name, column in particles.features.items() if name != "id_before"}
    particles = particles.replace(features=features)
    if program == "relion5":
        particles = in_optics_groups(with_names(particles))
    warnings = write_particle_table(path, particles, frames=_frames(items), program=program)
    beside = path.with_suffix(MAP_SUFFIX)
    for item in items:
        done.add(item.name, [], warnings)
    done.files += [path, *([beside] if beside.exists() else [])]
    return particles


def _particles(item: ExportItem) -> ParticleSet:
    return item.need(ParticleSet).replace(tomogram=np.array(item.name))


def _particles_with_lens(item: ExportItem) -> ParticleSet:
    return seen_through(_particles(item), item.need(TiltSeries), item.get(CtfSeries))


def _frames(items: Sequence[ExportItem]) -> dict[str, TomogramFrame]:
    """Describe the tomograms of the series that have one."""
    frames = {}
    for item in items:
        tomogram, series = item.get(Tomogram), item.get(TiltSeries)
        if tomogram is not None:
            frames[item.name] = TomogramFrame.of(tomogram, None if series is None else series.pixel_ang)
    return frames


def _plain_word(text: str) -> str:
    """Make a name copick takes for an object: letters, digits and hyphens."""
    return re.sub(r"[^0-9A-Za-z]+", "-", text).strip("-") or "particle"


def _in_use(item: ExportItem) -> Alignment:
    """Return the alignment, with what the series leaves out left out as well."""
    alignment = item.need(Alignment)
    return alignment.replace(kept=alignment.kept & item.need(TiltSeries).kept)


def _hand(item: ExportItem) -> int:
    """Find the defocus hand: what the person says, what was measured, what was declared."""
    ctf = item.get(CtfSeries)
    hand = item.hand or (ctf.hand if ctf is not None else 0) or item.need(TiltSeries).defocus_hand
    if not hand:
        raise DataError(
            f"{item.name}: nobody said with which sign its defocus changes with height, which this export needs; "
            "give --hand -1 or --hand 1."
        )
    return hand


def _thickness_px(item: ExportItem) -> int:
    """Find a thickness for the volume: that of the tomogram, or of the specimen and a margin, or a usual one."""
    series, tomogram = item.need(TiltSeries), item.get(Tomogram)
    if tomogram is not None:
        return round(tomogram.volume.shape[0] * tomogram.voxel_ang / series.pixel_ang)
    thickness_ang = item.need(Alignment).thickness_ang
    if thickness_ang is not None:
        return round(_MARGIN_OVER_SPECIMEN * thickness_ang / series.pixel_ang)
    return round(_THICKNESS_OF_FIELD * series.shape_yx[1])


def _volume_ang_xyz(item: ExportItem) -> tuple[float, float, float]:
    """Find the size of the volume: of the tomogram, or of the field of the images with a thickness."""
    series, tomogram = item.need(TiltSeries), item.get(Tomogram)
    if tomogram is not None:
        nz, ny, nx = (n * tomogram.voxel_ang for n in tomogram.volume.shape)
        return nx, ny, nz
    ny, nx = (n * series.pixel_ang for n in series.shape_yx)
    return nx, ny, _thickness_px(item) * series.pixel_ang


def _stack_of(series: TiltSeries) -> Path:
    if not isinstance(series.images, StackFile):
        raise DataError(f"{series.name} has its images in memory only; save it in a project first, then export.")
    return series.images.path
