"""Noun: what the files of a tilt series say, before anybody has judged it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.model.alignment import Alignment
from napari_tomoflow.core.model.noun import Array, Noun


@dataclass(frozen=True, eq=False, kw_only=True)
class RawStack(Noun):
    """A stack of tilt images and everything its header, mdoc and angle file say. None = they do not say.

    Attributes
    ----------
    name : str
        Name proposed for the series: the stem of the stack.
    source : str
        The file, for messages.
    images : array[N, ny, nx]
    pixel_ang, axis_deg, voltage_kv, cs_mm, amplitude_contrast : float or None
        `axis_deg` counter-clockwise from +y.
    tilt_deg, dose_of_tilt_e_ang2, dose_before_e_ang2 : float64[N] or None
    order : int64[N] or None
        Place of each image in the order of acquisition, from 0.
    said_by : dict of str to str
        Which file each value came from, for the preview table, e.g. ``{"tilt_deg": "TS_01.mdoc"}``.
    notes : tuple of str
        What a person should know, e.g. that TIFF rows were flipped.
    alignment : Alignment or None
        That of another program, one entry for each image; ``said_by["alignment"]`` names its file.
    """

    name: str
    source: str
    images: Array
    pixel_ang: float | None = None
    axis_deg: float | None = None
    voltage_kv: float | None = None
    cs_mm: float | None = None
    amplitude_contrast: float | None = None
    tilt_deg: NDArray[np.float64] | None = None
    dose_of_tilt_e_ang2: NDArray[np.float64] | None = None
    dose_before_e_ang2: NDArray[np.float64] | None = None
    order: NDArray[np.int64] | None = None
    said_by: dict[str, str] | None = None
    notes: tuple[str, ...] = ()
    alignment: Alignment | None = None
