"""STAR files: blocks of values and tables, names always text, numbers with every digit."""

import linecache
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from napari_tomoflow import __version__
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.files import read_text, require_file, write_text

if TYPE_CHECKING:
    import pandas as pd

Blocks = dict[str, "pd.DataFrame | dict[str, Any]"]

TEXT_COLUMNS = (
    "rlnTomoName", "rlnTomoTiltSeriesStarFile", "rlnMicrographName", "rlnMicrographMovieName",
    "rlnMicrographMetadata", "rlnOpticsGroupName", "rlnTomoReconstructedTomogram",
    "rlnMicrographGainName", "rlnMicrographGainNameAbsolute", "rlnMicrographMovieNameAbsolute",
    "tomoflowName", "tomoflowStack", "tomoflowStackAbsolute", "tomoflowStackOdd", "tomoflowStackOddAbsolute",
    "tomoflowStackEven", "tomoflowStackEvenAbsolute", "tomoflowContrast", "tomoflowExcludedBecause",
    "tomoflowAbsentBecause", "rlnOddZernike", "rlnEvenZernike",
)  # fmt: skip
"""Columns that are text even where they look like numbers: a series may be called 017."""

_KIND = "a STAR file"
_HEAD_BYTES = 1 << 20
_OUR_FIRST_LINE = "# napari-tomoflow"
# What the syntax or its parsers take for something else; written as %XX, in our own files only.
_AWKWARD = re.compile(r"""["'#%\\]|[^\S ]|[\x00-\x1f\x7f-\x9f]|^_|^(?=nan$|NaN$|<NA>$|data_|loop_).""")


def read_star(path: Path, text_columns: Iterable[str] = ()) -> Blocks:
    """Read all blocks: a table becomes a data frame, a list of values a dict.

    Parameters
    ----------
    path : Path
    text_columns : iterable of str
        Further columns to keep as text, besides `TEXT_COLUMNS`.

    Raises
    ------
    DataError
        The file is missing, empty or no STAR file.
    """
    import starfile

    first_line = read_text(path, _KIND).partition("\n")[0]
    texts = [*TEXT_COLUMNS, *text_columns]
    linecache.checkcache(str(path))  # starfile reads through this cache, which may hold an older file
    try:
        blocks: Blocks = starfile.read(path, always_dict=True, parse_as_string=texts)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        linecache.clearcache()
        reason = (str(error).splitlines() or ["it ends too early"])[0].rpartition("C error: ")[2].rstrip(". ")
        raise DataError(f"{path} is not a readable STAR file: {reason}; write it again with its program.") from error
    blocks = {name: block for name, block in blocks.items() if block is not None}
    if not blocks:
        raise DataError(f"{path} is not a STAR file: it has no data_ block; give one that has.")
    if first_line.startswith(_OUR_FIRST_LINE):
        for block in blocks.values():
            _decode(block)
    return blocks


def write_star(path: Path, blocks: Mapping[str, "pd.DataFrame | Mapping[str, Any]"]) -> None:
    """Write blocks, whole or not at all; every number reads back exactly.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written.
    """
    import pandas as pd
    from starfile.writer import StarWriter

    texts = {
        name: block.map(_written) if isinstance(block, pd.DataFrame) else {k: _written(v) for k, v in block.items()}
        for name, block in blocks.items()
    }
    lines = [f"{_OUR_FIRST_LINE} {__version__}", "", *StarWriter(texts).data_block_generator()]
    write_text(path, "\n".join(lines) + "\n")


def labels_of(path: Path) -> frozenset[str]:
    """Name the labels at the head of a STAR file, as it spells them, without reading the rest.

    Raises
    ------
    DataError
        The file is missing or empty.
    """
    require_file(path, _KIND)
    with path.open("rb") as file:
        lines = file.read(_HEAD_BYTES).decode("utf-8", "replace").splitlines()
    return frozenset(line.split()[0] for line in map(str.strip, lines) if line.startswith("_"))


def table_of(blocks: Blocks, column: str, path: Path) -> "pd.DataFrame":
    """Return the one table that has `column`.

    Raises
    ------
    DataError
        No table has it.
    """
    import pandas as pd

    for block in blocks.values():
        table = pd.DataFrame([block]) if isinstance(block, dict) else block
        if column in table.columns:
            return table
    raise DataError(f"{path} has no column {column}; give a file that has, or write it again with its program.")


def _written(value: Any) -> str:
    """Write one value: the shortest digits that read back the same, text as it is."""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return repr(float(value)) if not math.isnan(value) else "nan"
    return _AWKWARD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), str(value))


def _decode(block: "pd.DataFrame | dict[str, Any]") -> None:
    """Turn the texts of a block that we wrote back into what they were."""
    for name in map(str, block):
        values = block[name]
        if isinstance(block, dict):
            block[name] = _decoded(values)
        elif values.dtype.kind not in "iufb":
            block[name] = [_decoded(value) for value in values]


def _decoded(value: Any) -> Any:
    return unquote(value) if isinstance(value, str) else value
