"""What a job found, as one line of JSON per series: for a facility's database."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tomoflow.io.files import write_text
from napari_tomoflow.project.record import ItemRecord, JobRecord

SUMMARY_NAME = "summary.jsonl"


def write_summary(record: JobRecord, folder: Path) -> None:
    """Write the lines of all items of a job that ended, whole or not at all, into its folder."""
    lines = [
        json.dumps(_line(record, folder / name, item), ensure_ascii=False, allow_nan=False)
        for name, item in record.items.items()
        if item.status in ("done", "failed")
    ]
    write_text(folder / SUMMARY_NAME, "".join(line + "\n" for line in lines))


def numbers_in(quality: Any, name: str = "") -> dict[str, float]:
    """Flatten the single numbers of a quality record: ``{"residual_px.mean": 0.3}``; lists and words are left out."""
    if isinstance(quality, Mapping):
        parts = (numbers_in(value, f"{name}.{key}" if name else str(key)) for key, value in quality.items())
        return {key: value for part in parts for key, value in part.items()}
    is_number = isinstance(quality, int | float) and not isinstance(quality, bool)
    return {name: quality} if is_number else {}


def _line(record: JobRecord, folder: Path, item: ItemRecord) -> dict[str, Any]:
    from napari_tomoflow.io.results import load_quality  # costs pandas

    quality = load_quality(folder) if item.status == "done" else {}
    return {
        "series": folder.name,
        "job": record.number,
        "stage": record.stage,
        "stage_version": record.stage_version,
        "software": record.software.get("napari-tomoflow", ""),
        "ended": record.ended.isoformat(timespec="seconds") if record.ended else None,
        "seconds": item.seconds,
        "status": item.status,
        "error": item.error,
        "warnings": list(quality.get("warnings", ())),
        "quality": numbers_in(quality),
    }
