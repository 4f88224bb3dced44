"""What the files of a tilt series say: the stack, its companions, and the files a person names.

A value from a file the person names goes before one from an mdoc, and that before a list of angles
beside the stack and its own header. Beside ``TS.mrc`` the companions are ``TS.mrc.mdoc``, ``TS.mdoc``,
``TS.rawtlt`` and ``TS.tlt``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import RawStack
from napari_tomoflow.io.alignments import read_alignment
from napari_tomoflow.io.eer import EerSums
from napari_tomoflow.io.foreign import BinnedBy, StackFacts
from napari_tomoflow.io.mdoc import Mdoc, read_mdoc
from napari_tomoflow.io.movies import are_the_series, is_movies, read_listed, read_movies
from napari_tomoflow.io.relion import STAR_SUFFIXES, read_relion_series, relion_raw_stack
from napari_tomoflow.io.stack_file import StackFile
from napari_tomoflow.io.stacks import open_stack, stem_of
from napari_tomoflow.io.tilts import match_angles, read_order, read_tilts

ORDERS = ("monotonic", "dose-symmetric")
"""Orders of acquisition known by name; any other text names a file."""

_SAME_TILT_DEG = 0.5
_SAME_PIXEL = 0.01


@dataclass(frozen=True)
class _Said:
    """What one file says, with what a person should know of it."""

    source: str
    values: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass
class _Misfits:
    """Companions passed over because they hold another number of tilts than the stack."""

    stack: Path
    n: int
    found: list[str] = field(default_factory=list)

    def add(self, file: Path, what: str, named: bool) -> None:
        """Note a misfit; one the person named is an error."""
        self.found.append(f"{file.name} holds {what}")
        if named:
            raise self.error()

    def error(self) -> DataError:
        """Say what does not fit together."""
        return DataError(
            f"{self.stack} holds {self.n} images but {' and '.join(self.found)}; "
            "give the file that belongs to the stack with --angles or --mdoc, or make the stack again."
        )


def read_raw_stack(
    path: Path,
    *,
    angles: Path | None = None,
    mdoc: Path | None = None,
    order: str | None = None,
    pixel_ang: float | None = None,
    aligned_binned_by: BinnedBy | None = None,
    frames: Sequence[Path] | None = None,
    gain: Path | None = None,
    eer_grouping: int | None = None,
    eer_upsampling: int = 1,
    **alignment: Path | None,
) -> RawStack:
    """Open a stack and gather everything its files say, without judging it.

    Parameters
    ----------
    path : Path
        Any stack `open_stack` opens, a RELION 5 STAR file included; or the mdoc of a series of movies, or
        the folder with one mdoc for each tilt; or the first of `frames`, which then need no mdoc.
    angles, mdoc : Path, optional
        Files to read instead of the companions; `mdoc` may be a folder with one mdoc for each tilt.
    order : str, optional
        File with the order of acquisition; "monotonic" and "dose-symmetric" are left to the import stage.
    pixel_ang : float, optional
        Pixel size the person gives, by which an alignment in pixels is read.
    aligned_binned_by : {"average", "crop"}, optional
        How the stack that was aligned was binned, if it was.
    frames : sequence of Path, optional
        Movies, folders with movies, and lists of movies; the mdoc's folder when left out.
    gain : Path, optional
        Gain reference of the movies.
    eer_grouping, eer_upsampling : int, optional
        What becomes of EER movies (`io.eer.EerSums`).
    **alignment : Path, optional
        One of ``from_imod``, ``from_aretomo``, ``from_relion5``, ``from_warp``, ``from_eman2``: another
        program's alignment of this stack.

    Returns
    -------
    RawStack
        Its ``said_by`` names the file of each value.

    Raises
    ------
    DataError
        A file is damaged, or holds another number of tilts than the stack.
    """
    eer = EerSums(eer_grouping, eer_upsampling)
    if frames and are_the_series(path, frames, mdoc):
        movies = read_listed(frames, angles, gain, eer)
    elif is_movies(path):
        movies = read_movies(path, frames, gain, eer)
    else:
        movies = None
    if movies is not None:
        return movies if order is None or order in ORDERS else _with_order(movies, Path(order))
    if frames is not None or gain is not None:
        raise DataError(f"{path} is no mdoc, so it names no movies; give the mdoc, and with --frames their folder.")
    if path.suffix.lower() in STAR_SUFFIXES:
        recorded = relion_raw_stack(read_relion_series(path))
        misfits = _Misfits(path, len(recorded.tilt_deg if recorded.tilt_deg is not None else ()))
    else:
        stack = open_stack(path)
        recorded, misfits = _from_header(stack), _Misfits(path, len(stack))
    listed = _read_list(angles, misfits)
    described = _read_mdoc(mdoc, angles, listed, recorded, misfits)
    gathered = _merged(recorded, [said for said in (listed, described) if said is not None])
    if gathered.tilt_deg is None and misfits.found:
        raise misfits.error()
    gathered = gathered.replace(notes=(*gathered.notes, *(f"{misfit}; it is not used." for misfit in misfits.found)))
    if order is not None and order not in ORDERS:
        gathered = _with_order(gathered, Path(order))
    for program, file in alignment.items():
        if file is not None:
            gathered = _with_alignment(gathered, program.removeprefix("from_"), file, pixel_ang, aligned_binned_by)
    return gathered


def _with_alignment(
    gathered: RawStack, program: str, file: Path, pixel_ang: float | None, binned_by: BinnedBy | None
) -> RawStack:
    """Read another program's alignment of the stack; it says angles and axis where nobody else does."""
    pixel_ang = pixel_ang or gathered.pixel_ang
    if pixel_ang is None:
        raise DataError(f"{gathered.source}: no file says the pixel size, by which {file} is read; give --pixel-ang.")
    n_tilts, ny, nx = (int(length) for length in gathered.images.shape)
    path = Path(gathered.source)
    stack = StackFacts(gathered.name, path, pixel_ang, (ny, nx), n_tilts, gathered.tilt_deg)
    alignment, source = read_alignment(program, file, stack, binned_by)
    values = {
        "alignment": alignment,
        "tilt_deg": alignment.tilt_deg if gathered.tilt_deg is None else None,
        "axis_deg": float(np.median(alignment.axis_deg)) if gathered.axis_deg is None else None,
    }
    return _merged(gathered, [_Said(source.name, values)])


def _from_header(stack: StackFile) -> RawStack:
    header = stack.header
    values: dict[str, Any] = {
        "pixel_ang": header.pixel_ang,
        "axis_deg": header.axis_deg,
        "voltage_kv": header.voltage_kv,
        "tilt_deg": header.tilt_deg,
        "dose_of_tilt_e_ang2": header.dose_of_tilt_e_ang2,
    }
    source = f"header of {stack.path.name}"
    recorded = RawStack(name=stem_of(stack.path), source=str(stack.path), images=stack, notes=header.notes)
    return _merged(recorded, [_Said(source, values)])


def _read_list(named: Path | None, misfits: _Misfits) -> _Said | None:
    """Read the angles of the file the person names, or of the first beside the stack that fits it."""
    stack = misfits.stack
    beside = [stack.with_name(stem_of(stack) + ending) for ending in (".rawtlt", ".tlt")]
    for file in filter(Path.exists, beside) if named is None else [named]:
        tilt_deg = read_tilts(file)
        if len(tilt_deg) == misfits.n:
            return _Said(file.name, {"tilt_deg": tilt_deg})
        misfits.add(file, f"{len(tilt_deg)} angles", named is not None)
    return None


def _read_mdoc(
    named: Path | None, angles: Path | None, listed: _Said | None, recorded: RawStack, misfits: _Misfits
) -> _Said | None:
    """Read the mdoc the person names or the one beside the stack, its sections in the order of the stack.

    An mdoc that the person names, or that bears the stack's own name, has the stack's order. Any other
    may have been written before the stack was sorted or thinned: its sections are matched to the list
    of angles, and so they are when the person names such a list.
    """
    stack = misfits.stack
    own = stack.with_name(stack.name + ".mdoc")
    beside = [own, *(stack.with_name(stem_of(stack) + ending) for ending in (".mdoc", ".mrc.mdoc", ".st.mdoc"))]
    file = named or next(filter(Path.exists, beside), None)
    if file is None:
        return None
    mdoc = read_mdoc(file)
    as_it_is = len(mdoc.tilt_deg) == misfits.n
    if listed is not None and (angles is not None or not as_it_is or file not in (named, own)):
        found = match_angles(mdoc.tilt_deg, listed.values["tilt_deg"], _SAME_TILT_DEG)
        if found is None:
            misfits.add(file, f"{len(mdoc.tilt_deg)} tilts that are not those of {listed.source}", named is not None)
            return None
        return _said_by_mdoc(mdoc.rows(found), recorded, with_tilts=False)
    if not as_it_is:
        misfits.add(file, f"{len(mdoc.tilt_deg)} tilts", named is not None)
        return None
    return _said_by_mdoc(mdoc, recorded, with_tilts=True)


def _said_by_mdoc(mdoc: Mdoc, recorded: RawStack, *, with_tilts: bool) -> _Said:
    pixel_ang, note = _pixel_of_stack(mdoc, recorded)
    values = {
        "pixel_ang": pixel_ang,
        "axis_deg": mdoc.axis_deg,
        "voltage_kv": mdoc.voltage_kv,
        "tilt_deg": mdoc.tilt_deg if with_tilts else None,
        "dose_of_tilt_e_ang2": mdoc.dose_of_tilt_e_ang2,
        "dose_before_e_ang2": mdoc.dose_before_e_ang2,
        "order": mdoc.order,
    }
    return _Said(mdoc.source, values, mdoc.notes + note)


def _pixel_of_stack(mdoc: Mdoc, recorded: RawStack) -> tuple[float | None, tuple[str, ...]]:
    """Return the mdoc's pixel size, unless it belongs to images of another size: those before binning."""
    if mdoc.pixel_ang is None or mdoc.image_size_xy is None:
        return mdoc.pixel_ang, ()
    ny, nx = recorded.images.shape[1:]
    if mdoc.image_size_xy != (nx, ny):
        size = " × ".join(map(str, mdoc.image_size_xy))
        return None, (f"The pixel size in {mdoc.source} is for images of {size}, these are {nx} × {ny}: not used.",)
    header_ang = recorded.pixel_ang
    if header_ang is not None and abs(header_ang / mdoc.pixel_ang - 1) > _SAME_PIXEL:
        return mdoc.pixel_ang, (f"The header's pixel size is {header_ang:g} Å, that of {mdoc.source} is used.",)
    return mdoc.pixel_ang, ()


def _merged(recorded: RawStack, sayings: Sequence[_Said]) -> RawStack:
    """Take over what files say, the later before the earlier."""
    values: dict[str, Any] = {}
    said_by, notes = dict(recorded.said_by or {}), list(recorded.notes)
    for said in sayings:
        known = {name: value for name, value in said.values.items() if value is not None}
        values.update(known)
        said_by.update(dict.fromkeys(known, said.source))
        notes.extend(said.notes)
    return recorded.replace(**values, said_by=said_by, notes=tuple(notes))


def _with_order(gathered: RawStack, file: Path) -> RawStack:
    if gathered.tilt_deg is None:
        raise DataError(f"{file} gives an order of tilts but {gathered.source} has no angles; give --angles or --mdoc.")
    order = read_order(file, gathered.tilt_deg)
    # Doses accumulated in another order would contradict it; they are summed anew.
    return _merged(gathered.replace(dose_before_e_ang2=None), [_Said(file.name, {"order": order})])
