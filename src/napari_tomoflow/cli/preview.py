"""What an import found, shown to the person before anything is built on it."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_FACTS = ("pixel_ang", "axis_deg", "voltage_kv", "cs_mm", "amplitude_contrast", "tilt_deg", "order")


def print_preview(qualities: Mapping[str, Mapping[str, Any]]) -> None:
    """Print tables of the imported series and what their files want known, on standard error.

    Parameters
    ----------
    qualities
        Name of each series → what the import said of it; nothing for a series that failed.
    """
    from rich.console import Console

    console = Console(stderr=True)
    found = {name: quality for name, quality in qualities.items() if quality}
    if len(found) == 1:
        console.print(_table_of_tilts(*found.values()))
    if found:
        console.print(_table_of_series(found))
    for name, quality in found.items():
        for sentence in quality["notes"]:
            print(f"{name}: {sentence}", file=sys.stderr)


def _table_of_series(qualities: Mapping[str, Mapping[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table("series", "tilts kept", "from", "to", "pixel", "axis", "dose", "said by")
    for name, quality in qualities.items():
        axis_deg = quality["axis_deg"]
        sources = sorted({quality["said_by"][fact] for fact in _FACTS if fact in quality["said_by"]})
        table.add_row(
            name,
            f"{quality['n_kept']} of {quality['n_tilts']}",
            f"{quality['tilt_from_deg']:g}°",
            f"{quality['tilt_to_deg']:g}°",
            f"{quality['pixel_ang']:g} Å",
            "not known" if axis_deg is None else f"{axis_deg:g}°",
            f"{quality['dose_e_ang2']:g} e/Å²",
            ", ".join(sources),
        )
    return table


def _table_of_tilts(quality: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    table = Table("tilt", "angle", "dose before", "mean", "sd", "")
    for row in quality["preview"]:
        table.add_row(
            str(row["tilt"]),
            f"{row['tilt_deg']:.2f}°",
            f"{row['dose_before_e_ang2']:.1f} e/Å²",
            f"{row['mean']:.4g}",
            f"{row['sd']:.4g}",
            "" if row["kept"] else "left out",
        )
    return table
