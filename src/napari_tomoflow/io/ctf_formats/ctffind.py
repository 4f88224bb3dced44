"""Tables of CTFFIND 4 and 5 and of AreTomo (``…_CTF.txt``): one line per image.

Columns: number, defocus 1 and 2 (Å), azimuth (°), phase shift (rad), score, resolution (Å); CTFFIND 5 adds
tilt axis, tilt and thickness, AreTomo 3 its defocus hand in the eighth, which for the same axis and
angles is ours.
"""

import re
from pathlib import Path

import numpy as np

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.io.files import read_text, write_text
from napari_tomoflow.io.tilts import read_rows

_KIND = "a CTF table of CTFFIND or AreTomo"
_COLUMNS = 7
_OPTICS = {
    "voltage_kv": r"acceleration voltage:\s*([\d.]+)",
    "cs_mm": r"spherical aberration:\s*([\d.]+)",
    "amplitude_contrast": r"amplitude contrast:\s*([\d.]+)",
}


def read_ctffind(path: Path, optics: Optics) -> CtfSeries:
    """Read a table; `optics` stands in for what its head does not say.

    Raises
    ------
    DataError
        It is no such table, or a line is incomplete.
    """
    rows = read_rows(path, _KIND)
    short = next((number for number, row in enumerate(rows, start=1) if len(row) < _COLUMNS), 0)
    if short:
        raise DataError(f"{path}, image {short}: {len(rows[short - 1])} columns of {_COLUMNS}; give {_KIND}.")
    table = np.array([row[: min(map(len, rows))] for row in rows])
    head = "".join(line for line in read_text(path, _KIND).splitlines() if line.lstrip().startswith("#"))
    said = {name: re.search(pattern, head) for name, pattern in _OPTICS.items()}
    values = {name: float(found[1]) for name, found in said.items() if found}
    hands = set(np.sign(table[:, 7])) if table.shape[1] == 8 and "dfhand" in head.lower() else {0}
    return larger_first(
        CtfSeries(
            optics=Optics(**{**vars(optics), **values}),
            defocus_u_ang=table[:, 1],
            defocus_v_ang=table[:, 2],
            azimuth_deg=table[:, 3],
            phase_deg=np.rad2deg(table[:, 4]),
            score=table[:, 5],
            fit_ang=np.where(np.isfinite(table[:, 6]), table[:, 6], np.nan),
            hand=int(hands.pop()) if len(hands) == 1 else 0,
        )
    )


def write_ctffind(path: Path, ctf: CtfSeries, pixel_ang: float) -> None:
    """Write a table as CTFFIND 4 does; what is not known of score and resolution is written as 0 and inf."""
    ctf = ctf.magnified()
    lines = [
        "# Output in the format of CTFFind 4, by napari-tomoflow",
        f"# Number of micrographs: {ctf.n_tilts}",
        f"# Pixel size: {pixel_ang:.4f} Angstroms ; acceleration voltage: {ctf.optics.voltage_kv:.1f} keV ; "
        f"spherical aberration: {ctf.optics.cs_mm:.2f} mm ; amplitude contrast: {ctf.optics.amplitude_contrast:.4f}",
        "# Columns: #1 - micrograph number; #2 - defocus 1 [Angstroms]; #3 - defocus 2; #4 - azimuth of astigmatism; "
        "#5 - additional phase shift [radians]; #6 - cross correlation; #7 - spacing (in Angstroms) up to which CTF "
        "rings were fit successfully",
    ]
    for i in range(ctf.n_tilts):
        score, fit_ang = np.nan_to_num(ctf.score[i]), np.nan_to_num(ctf.fit_ang[i], nan=np.inf)
        lines.append(
            f"{i + 1:.6f} {ctf.defocus_u_ang[i]:.6f} {ctf.defocus_v_ang[i]:.6f} {ctf.azimuth_deg[i]:.6f} "
            f"{np.deg2rad(ctf.phase_deg[i]):.8f} {score:.6f} {fit_ang:.6f}"
        )
    write_text(path, "\n".join(lines) + "\n")


def larger_first(ctf: CtfSeries) -> CtfSeries:
    """Let u be the larger defocus, as some programs do not, and the azimuth be in 0 to 180°."""
    swapped = ctf.defocus_v_ang > ctf.defocus_u_ang
    return ctf.replace(
        defocus_u_ang=np.maximum(ctf.defocus_u_ang, ctf.defocus_v_ang),
        defocus_v_ang=np.minimum(ctf.defocus_u_ang, ctf.defocus_v_ang),
        azimuth_deg=(ctf.azimuth_deg + 90.0 * swapped) % 180.0,
    )
