"""The command that does what a form would do, word for word."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_tomoflow.core.params import Params
from napari_tomoflow.core.stage import Stage


def command_words(
    stage: Stage, project: Path, params: Params, *, series: Sequence[str] = (), sources: Sequence[Path] = ()
) -> list[str]:
    """Write a job as words of a command line; parameters left at their defaults are not spelled out."""
    words = ["tomoflow", stage.name, str(project), *map(str, sources)]
    if series:
        words += ["--series", *series]
    for name, value in params.changed().items():
        words += _option(name, value)
    return words


def command_text(words: Sequence[str]) -> str:
    """Join words so that a shell takes them apart again unchanged."""
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{flag}", *(repr(item) if isinstance(item, float) else str(item) for item in values)]
