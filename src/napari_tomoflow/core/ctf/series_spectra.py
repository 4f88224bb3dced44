"""The spectra of all tilts of a series, measured image by image."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_tomoflow.core.ctf.gold import BeadProfiles, find_beads, without_beads
from napari_tomoflow.core.ctf.model import Geometry
from napari_tomoflow.core.ctf.params import CtfParams
from napari_tomoflow.core.ctf.spectra import SmoothPart, Spectra, TilePower, tile_power
from napari_tomoflow.core.ctf.tiles import TilePlan, plan_tiles
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Alignment, Optics, TiltSeries
from napari_tomoflow.core.report import Report, watched

Floats = NDArray[np.float64]

_FINE_END = 7
"""The finest of so many parts of the spectrum is nearly noise alone."""


@dataclass(frozen=True, eq=False)
class SeriesSpectra:
    """What the fit works on. Legend: N tilts in use.

    Attributes
    ----------
    tilts : int64[N]
        Their places in the series.
    tilt_deg : float64[N]
    spectra : list of Spectra
    plan : TilePlan
    smooth : SmoothPart
    geometry : Geometry
    optics : Optics
    beads : BeadProfiles or None
        Gold, which the spectra are without; none where it was left in the images.
    empty : tuple of int
        Tilts whose images hold nothing.
    """

    tilts: NDArray[np.int64]
    tilt_deg: Floats
    spectra: list[Spectra]
    plan: TilePlan
    smooth: SmoothPart
    geometry: Geometry
    optics: Optics
    beads: BeadProfiles | None
    empty: tuple[int, ...]

    @classmethod
    def measure(
        cls,
        series: TiltSeries,
        alignment: Alignment | None,
        params: CtfParams,
        report: Report,
        *,
        without_gold: bool = False,
    ) -> Self:
        """Read the images one at a time, and take the gold out of them if so wanted.

        Raises
        ------
        DataError
            The images are too small, hold nothing, or number otherwise than the alignment says.
        """
        if alignment is not None and alignment.n_tilts != series.n_tilts:
            raise DataError(
                f"{series.name}: the alignment is for {alignment.n_tilts} tilts, the series has {series.n_tilts}; "
                "align it again."
            )
        kept = np.flatnonzero(series.kept if alignment is None else series.kept & alignment.kept)
        plan = plan_tiles(series, params)
        tilts, powers, beads = _read(series, kept, plan, report, without_gold)
        if not powers:
            raise DataError(f"{series.name}: none of its {len(kept)} images in use holds anything; check the stack.")
        used = np.array(tilts, np.int64)
        if params.phase == "fit":
            plan, smooth, spectra = _one_background(powers, plan)
        else:
            smooth, spectra = _own_backgrounds(powers, plan)
        return cls(
            tilts=used,
            tilt_deg=(series.tilt_deg if alignment is None else alignment.tilt_deg)[used],
            spectra=spectra,
            plan=plan,
            smooth=smooth,
            geometry=Geometry(
                alignment=None if alignment is None else alignment.rigid_part(used),
                centres_ang_yx=plan.centres_ang_yx,
                time=_time(series.order[used]),
                cos2=plan.cos2,
                sin2=plan.sin2,
            ),
            optics=series.optics.unstretched(),
            beads=BeadProfiles.joined(beads) if beads else None,
            empty=tuple(int(tilt) for tilt in np.setdiff1d(kept, used)),
        )


def _read(
    series: TiltSeries, kept: NDArray[np.int64], plan: TilePlan, report: Report, without_gold: bool
) -> tuple[list[int], list[TilePower], list[BeadProfiles]]:
    """Measure the images that hold something: their places in the series, spectra, and gold if it is taken out."""
    tilts: list[int] = []
    powers: list[TilePower] = []
    beads: list[BeadProfiles] = []
    for tilt in watched([int(tilt) for tilt in kept], report, f"Measuring spectra of {series.name}"):
        if without_gold:
            image_yx, profiles = image_and_gold(series, tilt, len(tilts))
        else:
            image_yx, profiles = series.image(tilt), None
        power = tile_power(image_yx, plan)
        if power is None:
            continue
        tilts.append(tilt)
        powers.append(power)
        if profiles is not None:
            beads.append(profiles)
    return tilts, powers, beads


def image_and_gold(series: TiltSeries, tilt: int, place: int = 0) -> tuple[NDArray[np.float32], BeadProfiles]:
    """Read an image, its gold taken out, and the profiles of the gold; `place` is that among the tilts in use."""
    image_yx = series.image(tilt)
    dense_is_dark = image_yx if series.contrast == "dark" else -image_yx
    beads = find_beads(dense_is_dark, series.pixel_ang)
    profiles = BeadProfiles.of(dense_is_dark, beads, series.pixel_ang, place)
    return without_beads(image_yx, beads, series.pixel_ang), profiles


def _own_backgrounds(powers: list[TilePower], plan: TilePlan) -> tuple[SmoothPart, list[Spectra]]:
    """Take off each image's own background."""
    smooth = SmoothPart(plan)
    return smooth, [Spectra.of(one, smooth.fit(one.mean), plan, smooth) for one in powers]


def _one_background(powers: list[TilePower], plan: TilePlan) -> tuple[TilePlan, SmoothPart, list[Spectra]]:
    """Take off noise alone, relative to what all images have on average, where rings are few.

    Structure is then most of what is seen, and all tilts see the speckle of one specimen: the more of a ring is
    structure, the less it is trusted.
    """
    fine = slice(-max(1, len(plan.k_inv_ang) // _FINE_END), None)
    levels = [float(one.mean[fine].mean()) for one in powers]
    usual = SmoothPart(plan).fit(np.mean([one.mean / level for one, level in zip(powers, levels, strict=True)], axis=0))
    structure = np.maximum(1.0 - 1.0 / usual, 0.0)
    plan = replace(plan, counts=plan.counts / (1.0 + len(powers) * structure**2))
    noise = SmoothPart(plan, usual)
    return plan, noise, [Spectra.of(one, level * usual, plan, noise) for one, level in zip(powers, levels, strict=True)]


def _time(order: NDArray[np.int64]) -> Floats:
    """Scale places in the order of acquisition to −1 … 1."""
    place = np.argsort(np.argsort(order, kind="stable"), kind="stable")
    return np.asarray(2.0 * place / max(len(place) - 1, 1) - (len(place) > 1), np.float64)
