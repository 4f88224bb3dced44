"""A finished map in its files: for the eye, for density modification, and for the data bank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from napari_tomoflow.core.model import FinishedMap
from napari_tomoflow.io.files import read_json, write_json, write_text
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.mrc_write import write_mrc
from napari_tomoflow.io.star import write_star

FINISHED_FILE = "postprocessed.mrc"
FSC_STAR, FSC_XML = "fsc.star", "fsc.xml"
_ABOUT = "finished_map.json"
_RECORD = ("name", "voxel_ang", "symmetry")
_FILES = {
    "volume": FINISHED_FILE,
    "mask": "mask.mrc",
    "local_resolution_ang": "local_resolution.mrc",
    "local_volume": "local_filtered.mrc",
}
_MASKED = "postprocessed_masked.mrc"
_HALVES = ("half_map_1.mrc", "half_map_2.mrc")


def save_finished_map(finished: FinishedMap, folder: Path) -> None:
    """Write a map, all that belongs to it, and its curves as RELION and EMDB have them, into `folder`.

    The FSC lies in ``fsc.star`` and ``fsc.xml``; a map that says nothing of its FSC has neither. The half maps are
    as they are deposited and given to density modification: neither filtered nor masked.
    """
    volumes = {file: getattr(finished, name) for name, file in _FILES.items() if getattr(finished, name) is not None}
    volumes |= {_MASKED: finished.masked, **dict(zip(_HALVES, finished.halves, strict=True))}
    for file, volume in volumes.items():
        write_mrc(folder / file, volume, finished.voxel_ang, label=file.removesuffix(".mrc"))
    about = {name: getattr(finished, name) for name in _RECORD}
    write_json(folder / _ABOUT, about)
    if "fsc" in finished.quality:
        write_star(folder / FSC_STAR, _star_blocks(finished))
        write_text(folder / FSC_XML, _emdb_xml(finished))


def load_finished_map(folder: Path) -> FinishedMap:
    """Read a map that `save_finished_map` wrote; the volumes stay in their files."""
    about = read_json(folder / _ABOUT)
    volumes: dict[str, Any] = {
        name: open_mrc(folder / file) for name, file in _FILES.items() if (folder / file).exists()
    }
    first, second = (open_mrc(folder / name) for name in _HALVES)
    return FinishedMap(halves=(first, second), **volumes, **{name: about[name] for name in _RECORD})


def _star_blocks(finished: FinishedMap) -> Mapping[str, Any]:
    """Arrange curves in RELION's columns."""
    import pandas as pd

    quality = finished.quality
    curves = {name: np.asarray(values, np.float64) for name, values in quality["fsc"].items()}
    k = curves["frequency_inv_ang"]
    general = {
        "rlnFinalResolution": quality["resolution_ang"] or float("nan"),
        "rlnBfactorUsedForSharpening": -quality["b_factor_ang2"],
        "rlnParticleBoxFractionSolventMask": 100.0 * quality["mask"]["share"],
        "rlnUnfilteredMapHalf1": _HALVES[0],
        "rlnUnfilteredMapHalf2": _HALVES[1],
        "rlnMaskName": _FILES["mask"],
    }
    fsc = pd.DataFrame({
        "rlnSpectralIndex": np.arange(len(k)),
        "rlnResolution": k,
        "rlnAngstromResolution": np.divide(1.0, k, out=np.full_like(k, 999.0), where=k > 0),
        "rlnFourierShellCorrelationCorrected": curves["corrected"],
        "rlnFourierShellCorrelationUnmaskedMaps": curves["unmasked"],
        "rlnFourierShellCorrelationMaskedMaps": curves["masked"],
        "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": curves["randomised"],
    })  # fmt: skip
    fall = quality["guinier"]
    if fall["b_factor_ang2"] is not None:
        general["rlnFittedSlopeGuinierPlot"] = -fall["b_factor_ang2"] / 4.0
        general["rlnFittedInterceptGuinierPlot"] = fall["intercept"]
    guinier = pd.DataFrame({
        "rlnResolutionSquared": fall["inv_ang2"],
        "rlnLogAmplitudesOriginal": fall["ln"]["amplitude"],
        "rlnLogAmplitudesMTFCorrected": fall["ln"]["mtf_corrected"],
        "rlnLogAmplitudesWeighted": fall["ln"]["weighted"],
    })  # fmt: skip
    return {"general": general, "fsc": fsc, "guinier": guinier}


def _emdb_xml(finished: FinishedMap) -> str:
    """Write the corrected FSC as the data bank takes it."""
    curves = finished.quality["fsc"]
    title = quoteattr(f"{finished.name}: FSC of masked half maps, corrected by phase randomisation")
    points = (
        f"  <coordinate>\n    <x>{x:.6f}</x>\n    <y>{y:.6f}</y>\n  </coordinate>"
        for x, y in zip(curves["frequency_inv_ang"], curves["corrected"], strict=True)
    )
    head = f'<fsc title={title} xaxis="Resolution (A-1)" yaxis="Correlation Coefficient">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *points, "</fsc>"]) + "\n"
