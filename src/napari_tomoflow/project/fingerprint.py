"""Fingerprints: equal ones promise equal results, without reading a single pixel."""

import glob
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tomoflow.core.errors import MissingError
from napari_tomoflow.core.params import Params
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages.import_ import FOREIGN
from napari_tomoflow.io.stacks import stem_of
from napari_tomoflow.project.files import plainly, portable
from napari_tomoflow.project.record import Reference

_LENGTH = 16
"""Hex digits kept: 64 bits, so that a million results clash with a chance of 3e-8."""

READER_OPTIONS = (
    "angles", "mdoc", "frames", "gain", "eer_grouping", "eer_upsampling", "order", "pixel_ang", *FOREIGN,
    "aligned_binned_by",
)  # fmt: skip
"""Parameters that the reader of raw images takes besides the stage itself."""

_COMPANIONS = (".mdoc", ".rawtlt", ".tlt")


def fingerprint(value: Any) -> str:
    """Digest any JSON-able value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def reference_to_file(path: Path, folder: Path, kind: str) -> Reference:
    """Refer to a file outside the book by path, size and time of change.

    Raises
    ------
    MissingError
        There is no such file.
    """
    if not path.exists():
        raise MissingError(f"There is no file {path}; check the path.")
    with plainly(path):
        stat = path.stat()
    facts = {"path": portable(path, folder), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return Reference(kind=kind, fingerprint=fingerprint(facts), **facts)


def companions(stack: Path, folder: Path) -> dict[str, Reference]:
    """Refer to the angle lists and mdocs beside a stack, as ``beside.<name>``: they decide what is read too."""
    beside = sorted(stack.parent.glob(glob.escape(stem_of(stack)) + ".*"))
    files = [path for path in beside if path.suffix in _COMPANIONS]
    return {f"beside.{path.name}": reference_to_file(path, folder, "File") for path in files}


def item_fingerprints(
    stage: Stage, params: Mapping[str, Any], items: Mapping[str, Mapping[str, Reference]]
) -> dict[str, str]:
    """Digest everything that decides the result of each item: stage, version, parameters and inputs."""
    return {
        name: fingerprint(
            [stage.name, stage.version, params, {given: source.fingerprint for given, source in inputs.items()}]
        )
        for name, inputs in items.items()
    }


def stored_params(params: Params, folder: Path) -> dict[str, Any]:
    """Write parameters as JSON values; paths so that they survive a move of the project."""
    values: dict[str, Any] = params.model_dump(mode="json")
    for name, value in params:
        if isinstance(value, Path):
            values[name] = portable(value, folder)
        elif _are_paths(value):
            values[name] = [portable(path, folder) for path in value]
    return values


def referenced_files(params: Params, folder: Path) -> dict[str, Reference]:
    """Refer to every file that a parameter names, as ``params.<name>``, so that a change of it is noticed."""
    files = {name: Path(value) for name, value in params if isinstance(value, Path) or _is_read(name, value)}
    for name, value in params:
        if _are_paths(value):
            files |= {f"{name}.{number}": path for number, path in enumerate(value)}
    return {f"params.{name}": reference_to_file(path, folder, "File") for name, path in files.items()}


def _are_paths(value: Any) -> bool:
    """Tell whether a value is a tuple of paths."""
    return isinstance(value, tuple) and any(isinstance(one, Path) for one in value)


def _is_read(name: str, value: Any) -> bool:
    """Tell whether a text that may be a word or a path is a path to read."""
    return name in READER_OPTIONS and isinstance(value, str) and Path(value).is_file()
