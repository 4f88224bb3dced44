"""The 1024 bytes at the head of an MRC file, in either byte order, and what they say."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError

HEADER_BYTES = 1024
OUR_LABEL = "napari-tomoflow"

DTYPE_OF_MODE = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
HALF_BYTES_MODE = 101
_REFUSED_MODES = {
    3: "complex 16-bit integers (a Fourier transform)",
    4: "complex numbers (a Fourier transform)",
    16: "colours",
}
_KNOWN_MODES = {*DTYPE_OF_MODE, *_REFUSED_MODES, HALF_BYTES_MODE}
_LARGEST = 1 << 20
_CUBIC_TO = 0.01
"""Edges of a voxel may differ by this fraction: headers hold rounded cells."""

# Fields IMOD keeps in the header's extra space (`extra2` starts at byte 112).
_IMOD_STAMP = slice(40, 44), 1146047817
_IMOD_FLAGS = slice(44, 48)
_SIGNED_BYTES = 1
_NINT_NREAL = slice(16, 20)


@dataclass(frozen=True)
class MrcHeader:
    """A header whose numbers make sense, with its byte order.

    Attributes
    ----------
    raw : numpy record of `mrcfile.dtypes.HEADER_DTYPE`
    order : {"<", ">"}
        Byte order of header and data.
    notes : tuple of str
        Oddities a person should know.
    """

    raw: Any
    order: Literal["<", ">"]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sections, rows and columns as they lie in the file."""
        return int(self.raw["nz"]), int(self.raw["ny"]), int(self.raw["nx"])

    @property
    def mode(self) -> int:
        """Number that stands for the type of the values."""
        return int(self.raw["mode"])

    @property
    def data_offset(self) -> int:
        """First byte of the values."""
        return HEADER_BYTES + max(int(self.raw["nsymbt"]), 0)

    @property
    def row_bytes(self) -> int:
        """Length of one row of values."""
        nx = self.shape[2]
        return (nx + 1) // 2 if self.mode == HALF_BYTES_MODE else nx * np.dtype(DTYPE_OF_MODE[self.mode]).itemsize

    @property
    def data_bytes(self) -> int:
        """Length of all values."""
        return self.shape[0] * self.shape[1] * self.row_bytes

    @property
    def axes_zyx(self) -> tuple[int, int, int]:
        """Which axis of the file runs along z, y and x: (0, 1, 2) but for maps stored in another order."""
        along = {int(self.raw[name]): axis for axis, name in enumerate(("maps", "mapr", "mapc"))}
        return (along[3], along[2], along[1]) if sorted(along) == [1, 2, 3] else (0, 1, 2)

    @property
    def labels(self) -> tuple[str, ...]:
        """Free text, without the empty lines."""
        texts = [bytes(label).decode("latin-1").strip(" \0") for label in self.raw["label"]]
        return tuple(text for text in texts if text)

    @property
    def is_ours(self) -> bool:
        """Whether this program wrote the file, so that its values can be taken at their word."""
        return any(label.startswith(OUR_LABEL) for label in self.labels)

    @property
    def imod_flags(self) -> int | None:
        """IMOD's flags, or None when IMOD did not write the file."""
        extra = bytes(self.raw["extra2"])
        where, stamp = _IMOD_STAMP
        return self._integer(extra[_IMOD_FLAGS]) if self._integer(extra[where]) == stamp else None

    @property
    def nint_nreal(self) -> tuple[int, int]:
        """The two numbers that describe an extended header of SerialEM or Agard kind."""
        nint, nreal = np.frombuffer(bytes(self.raw["extra2"])[_NINT_NREAL], f"{self.order}i2")
        return int(nint), int(nreal)

    @property
    def says_signed_bytes(self) -> bool | None:
        """Whether values of mode 0 are signed; None when the header does not tell."""
        if self.imod_flags is not None:
            return bool(self.imod_flags & _SIGNED_BYTES)
        low, high = float(self.raw["dmin"]), float(self.raw["dmax"])
        if low >= high:  # the standard's way to say that the statistics are not known
            return None
        return True if low < 0 else False if high > 127 else None

    def _integer(self, four_bytes: bytes) -> int:
        return int(np.frombuffer(four_bytes, f"{self.order}i4")[0])

    def voxel_ang_zyx(self) -> tuple[tuple[float, float, float] | None, str]:
        """Return the voxel's edges, or None and the reason why the header's are not to be believed."""
        edges = _edges(self.raw)
        text = " × ".join(f"{edge:g}" for edge in reversed(edges))
        if not (edges[1] > 0 and edges[2] > 0):
            return None, f"the header's pixel size is {text} Å"
        if edges[1] == edges[2] == 1.0 and not self.is_ours:
            return None, "the header's pixel size is 1 Å, which programs write when they do not know"
        return edges, ""


def _edges(raw: Any) -> tuple[float, float, float]:
    # Through text, so that a cell of 102.88 Å stored as float32 is not 102.87999…
    edges = [float(str(raw["cella"][axis])) / int(raw[f"m{axis}"] or 1) for axis in "zyx"]
    return edges[0], edges[1], edges[2]


def is_cubic(edges_ang: tuple[float, ...]) -> bool:
    """Tell whether edges are the same but for rounding."""
    return max(edges_ang) - min(edges_ang) <= _CUBIC_TO * max(edges_ang)


def parse_header(raw_bytes: bytes, path: Path) -> MrcHeader:
    """Read the first 1024 bytes of `path`, in whichever byte order they make sense.

    Raises
    ------
    DataError
        They make sense in neither, or the values are of a type that is no image.
    """
    if len(raw_bytes) < HEADER_BYTES:
        raise DataError(
            f"{path} is too short for an MRC file: {len(raw_bytes)} bytes, its header alone has 1024; copy it again."
        )
    stamp = raw_bytes[212]
    orders: tuple[Literal["<", ">"], ...] = (">", "<") if stamp == 0x11 else ("<", ">")
    for order in orders:
        raw = np.frombuffer(raw_bytes[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))[0]
        if _makes_sense(raw):
            return _checked(MrcHeader(raw, order, _oddities(raw, order == orders[0], stamp)), path)
    raise DataError(
        f"{path} is not an MRC file: read as one it would have {_size_text(raw)} values of mode {int(raw['mode'])}; "
        "check that it is what its name says."
    )


def _makes_sense(raw: Any) -> bool:
    sizes = [int(raw[name]) for name in ("nx", "ny", "nz")]
    return int(raw["mode"]) in _KNOWN_MODES and all(0 < n <= _LARGEST for n in sizes) and int(raw["nsymbt"]) >= 0


def _oddities(raw: Any, as_stamped: bool, stamp: int) -> tuple[str, ...]:
    notes = []
    if not as_stamped:
        notes.append("The machine stamp contradicts the byte order; the order in which the header makes sense is used.")
    elif stamp not in (0x44, 0x11) or bytes(raw["map"])[:3] != b"MAP":
        notes.append("The header lacks the marks of an MRC file but makes sense as one.")
    return tuple(notes)


def _checked(header: MrcHeader, path: Path) -> MrcHeader:
    if header.mode in _REFUSED_MODES:
        raise DataError(
            f"{path} holds {_REFUSED_MODES[header.mode]} (MRC mode {header.mode}), not images; "
            "give the real-space file it was made from."
        )
    return header


def size_error(header: MrcHeader, found: int, path: Path) -> DataError:
    """Say by how much a file is shorter than its header promises."""
    return DataError(
        f"{path} is cut short: its header promises {_size_text(header.raw)} values of mode {header.mode} "
        f"({header.data_offset + header.data_bytes} bytes) but it holds {found} bytes; copy it again from its source."
    )


def _size_text(raw: Any) -> str:
    return " × ".join(str(int(raw[name])) for name in ("nx", "ny", "nz"))


def signed_by_smoothness(sample: NDArray[np.uint8]) -> bool:
    """Decide whether bytes are signed: read the right way, neighbouring pixels differ less.

    Read the wrong way, every step across zero (or across 127) becomes a jump of 255.
    """
    rows = sample.reshape(-1, sample.shape[-1])
    unsigned, signed = (
        sum(int(np.abs(np.diff(row.astype(np.int16))).sum()) for row in itertools.islice(rows.view(kind), 4096))
        for kind in (np.uint8, np.int8)
    )
    return signed <= unsigned
