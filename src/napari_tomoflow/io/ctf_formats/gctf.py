"""Gctf's table of micrographs: a STAR file with RELION's column names, one row per image."""

from pathlib import Path

import numpy as np

from napari_tomoflow.core.model import CtfSeries
from napari_tomoflow.io.columns import (
    column_if_any,
    ctf_from_table,
    optics_columns,
    optics_from_columns,
    table_from_ctf,
)
from napari_tomoflow.io.ctf_formats.ctffind import larger_first
from napari_tomoflow.io.star import read_star, table_of, write_star


def read_gctf(path: Path) -> CtfSeries:
    """Read Gctf's results, optics included.

    Raises
    ------
    DataError
        The file is no STAR file, or has no defocus or no optics.
    """
    blocks = read_star(path)
    table = table_of(blocks, "rlnDefocusU", path)
    ctf = ctf_from_table(table, optics_from_columns(table_of(blocks, "rlnVoltage", path).iloc[0]), hand=0)
    finest_ang = column_if_any(table, "rlnFinalResolution")
    return larger_first(ctf if finest_ang is None else ctf.replace(fit_ang=finest_ang))


def write_gctf(path: Path, ctf: CtfSeries, names: list[str]) -> None:
    """Write results as Gctf does, `names` being those of the images."""
    ctf = ctf.magnified()
    table = table_from_ctf(ctf).rename(columns={"rlnCtfMaxResolution": "rlnFinalResolution"})
    table.insert(0, "rlnMicrographName", names)
    for name, value in optics_columns(ctf.optics).items():
        table[name] = np.full(ctf.n_tilts, value)
    write_star(path, {"": table})
