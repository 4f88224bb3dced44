"""IMOD's ``.defocus`` (ctfplotter), in all its flavours.

A line holds first and last view (from 1), first and last tilt (°), and the defocus in nm; with astigmatism a second
defocus and its azimuth; with a phase plate the phase shift; with an aperture the frequency it begins at. Which of them
there are, and in which unit, the first number of version 3's first line says; version 2 ends its first line with 2.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.io.ctf_formats.ctffind import larger_first
from napari_tomoflow.io.files import write_text
from napari_tomoflow.io.tilts import read_rows

Floats = NDArray[np.float64]

_KIND = "an IMOD .defocus file"
_ASTIGMATISM, _AZIMUTH_IN_RAD, _PHASE, _PHASE_IN_RAD, _TURNED_TILTS, _CUT_ON = 1, 2, 4, 8, 16, 32
_KNOWN_FLAGS = 63
_ANG_PER_NM = 10.0


@dataclass(frozen=True)
class _Layout:
    """Which numbers a line holds."""

    flags: int

    @property
    def columns(self) -> int:
        return 5 + 2 * bool(self.flags & _ASTIGMATISM) + bool(self.flags & _PHASE) + bool(self.flags & _CUT_ON)


def read_imod_defocus(path: Path, tilt_deg: Floats, optics: Optics) -> CtfSeries:
    """Read the defocus of every view; views without an entry are interpolated over the tilt.

    Parameters
    ----------
    path : Path
    tilt_deg : float64[N]
        Of the stack's views, in its order.
    optics : Optics
        The file does not say them.

    Raises
    ------
    DataError
        A line is incomplete, or names a view the stack does not have.
    """
    rows = read_rows(path, _KIND)
    layout = _Layout(0)
    if len(rows[0]) == 6 and rows[0][5] == 3:
        layout = _Layout(int(rows[0][0]))
        rows = rows[1:]
    elif len(rows[0]) == 6 and rows[0][5] == 2:
        rows[0] = rows[0][:5]
    if layout.flags & ~_KNOWN_FLAGS:
        raise DataError(f"{path} has flags {layout.flags}, of a newer IMOD; write it again without unusual options.")
    values = _by_view(path, rows, layout, len(tilt_deg))
    known = np.isfinite(values[:, 0])
    by_tilt = np.flatnonzero(known)[np.argsort(tilt_deg[known], kind="stable")]
    whole = np.stack([np.interp(tilt_deg, tilt_deg[by_tilt], one[by_tilt]) for one in _without_angles(values).T])
    whole[:, known] = _without_angles(values).T[:, known]
    mean, along, across, phase = whole
    half = np.hypot(along, across)
    return larger_first(
        CtfSeries(
            optics=optics,
            defocus_u_ang=mean + half,
            defocus_v_ang=mean - half,
            azimuth_deg=np.rad2deg(np.arctan2(across, along)) / 2,
            phase_deg=phase,
        )
    )


def write_imod_defocus(path: Path, ctf: CtfSeries, tilt_deg: Floats) -> None:
    """Write a version 3 file: with astigmatism, and with the phase shift where there is one."""
    ctf = ctf.magnified()
    has_phase = bool(np.any(ctf.phase_deg != 0))
    lines = [f"{_ASTIGMATISM + _PHASE * has_phase}\t0\t0.0\t0.0\t0.0\t3"]
    for i, tilt in enumerate(tilt_deg):
        words = [str(i + 1)] * 2 + [f"{tilt:.2f}"] * 2
        words += [f"{ctf.defocus_u_ang[i] / _ANG_PER_NM:.2f}", f"{ctf.defocus_v_ang[i] / _ANG_PER_NM:.2f}"]
        words += [f"{ctf.azimuth_deg[i]:.2f}"] + [f"{ctf.phase_deg[i]:.2f}"] * has_phase
        lines.append("\t".join(words))
    write_text(path, "\n".join(lines) + "\n")


def _by_view(path: Path, rows: list[list[float]], layout: _Layout, n_tilts: int) -> Floats:
    """Average the entries of every view: (defocus 1, 2 in Å, azimuth in °, phase in °), NaN where there is none."""
    total, count = np.zeros((n_tilts, 4)), np.zeros(n_tilts)
    for number, row in enumerate(rows, start=1):
        if len(row) < layout.columns:
            raise DataError(f"{path}, entry {number}: {len(row)} numbers of {layout.columns}; give {_KIND}.")
        first, last = int(min(row[:2])), int(max(row[:2]))
        if not 1 <= first <= last <= n_tilts:
            raise DataError(
                f"{path}, entry {number} is for views {first} to {last} of {n_tilts}; give the file of this series."
            )
        total[first - 1 : last] += _entry(row, layout)
        count[first - 1 : last] += 1
    if not count.any():
        raise DataError(f"{path} holds no defocus; give {_KIND}.")
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count[:, None])


def _entry(row: list[float], layout: _Layout) -> Floats:
    flags, rest = layout.flags, row[5:]
    defocus2, azimuth, phase = row[4], 0.0, 0.0
    if flags & _ASTIGMATISM:
        defocus2, azimuth, *rest = rest
        azimuth = np.rad2deg(azimuth) if flags & _AZIMUTH_IN_RAD else azimuth
    if flags & _PHASE:
        phase = np.rad2deg(rest[0]) if flags & _PHASE_IN_RAD else rest[0]
    return np.array([_ANG_PER_NM * row[4], _ANG_PER_NM * defocus2, azimuth, phase])


def _without_angles(values: Floats) -> Floats:
    """Turn (defocus 1, 2, azimuth, phase) into what may be interpolated: (mean, half · cos, half · sin, phase)."""
    half, azimuth = (values[:, 0] - values[:, 1]) / 2, np.deg2rad(2 * values[:, 2])
    mean = (values[:, 0] + values[:, 1]) / 2
    return np.stack([mean, half * np.cos(azimuth), half * np.sin(azimuth), values[:, 3]], axis=1)
