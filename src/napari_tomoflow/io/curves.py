"""Tables of a curve over frequency: MTFs and structure factors, as STAR or as columns of numbers."""

from pathlib import Path

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Curve
from napari_tomoflow.io.files import read_text
from napari_tomoflow.io.star import read_star, table_of

_MTF_COLUMNS = ("rlnResolutionInversePixel", "rlnMtfValue")


def read_curve(path: Path) -> Curve:
    """Read a curve.

    Parameters
    ----------
    path : Path
        STAR with RELION's columns of an MTF, or text whose first two columns are frequency and value, separated by
        spaces or commas; lines that begin otherwise are left out.

    Raises
    ------
    DataError
        The file is missing or holds no curve.
    """
    if path.suffix.lower() == ".star":
        table = table_of(read_star(path), _MTF_COLUMNS[1], path)
        columns = [table[name].to_numpy(np.float64) for name in _MTF_COLUMNS if name in table.columns]
        if len(columns) != len(_MTF_COLUMNS):
            raise DataError(f"{path} has no column {_MTF_COLUMNS[0]}; give a table with frequencies.")
    else:
        rows = [row for row in map(_numbers, read_text(path, "a table of numbers").splitlines()) if len(row) >= 2]
        if not rows:
            raise DataError(f"{path} holds no columns of numbers; give a frequency and a value in each line.")
        columns = [np.array(column) for column in zip(*(row[:2] for row in rows), strict=True)]
    return Curve(name=path.name, frequency=columns[0], value=columns[1])


def _numbers(line: str) -> list[float]:
    """Return the numbers of a line; none where one of its words is no number."""
    try:
        return [float(word) for word in line.replace(",", " ").split()]
    except ValueError:
        return []
