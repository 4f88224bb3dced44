"""Write one reference page per stage, and their index, from `STAGES`. Run it with ``make docs``.

A test compares the pages with what this would write, so they cannot fall behind.
"""

import inspect
import re
from pathlib import Path

from napari_tomoflow.cli.stage_command import flag, help_text, usage
from napari_tomoflow.core.params import ANY_NUMBER, ParamSpec
from napari_tomoflow.core.stage import Stage
from napari_tomoflow.core.stages import STAGES

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py from the stage's declaration; change that, then run `make docs`. -->"
_SECTION = re.compile(r"^(?P<title>[A-Z]\w[\w ]*)\n-{3,}$", re.MULTILINE)


def pages() -> dict[str, str]:
    """Return the text of every generated page by its file name."""
    return {"README.md": _index()} | {f"{stage.name}.md": _page(stage) for stage in STAGES}


def _index() -> str:
    rows = [f"| [{stage.name}]({stage.name}.md) | {stage.summary} |" for stage in STAGES]
    return "\n".join([
        "# Stages", "", _NOTE, "",
        "Each stage is a command, a form in the napari dock, a Python function and a kind of job, "
        "all from one declaration.",
        "", "| stage | what it does |", "|---|---|", *rows, "",
    ])  # fmt: skip


def _page(stage: Stage) -> str:
    text, sections = _docstring(stage)
    plain = [spec for spec in stage.params.specs() if not spec.expert]
    expert = [spec for spec in stage.params.specs() if spec.expert]
    parts = [f"# {stage.name}", _NOTE, stage.summary, text, *_usage(stage), _flow(stage)]
    parts += ["## Parameters", _table(plain)] if plain else []
    parts += ["## Expert parameters", _table(expert)] if expert else []
    parts += [f"## {title}\n\n{sections[title]}" for title in ("Notes", "References") if title in sections]
    parts.append(f"Stage version {stage.version}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _docstring(stage: Stage) -> tuple[str, dict[str, str]]:
    """Split the docstring into what follows its first line, and its sections."""
    body = (inspect.getdoc(stage.function) or "").split("\n", 1)
    pieces = _SECTION.split(body[1] if len(body) > 1 else "")
    sections = {title: text.strip() for title, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    return pieces[0].strip(), sections


def _usage(stage: Stage) -> list[str]:
    needed = [name if need.required else f"{name}={name}" for name, need in stage.inputs.items()]
    function = stage.function
    python = f"from {function.__module__} import {stage.params.__name__}, {function.__name__}\n\n"
    python += f"result = {function.__name__}({', '.join([*needed, f'params={stage.params.__name__}(…)'])})"
    return [f"```console\n{usage(stage)}\n```", f"```python\n{python}\n```"]


def _flow(stage: Stage) -> str:
    needs = [f"`{need.kind.__name__}`" + ("" if need.required else " (optional)") for need in stage.inputs.values()]
    return f"Takes {', '.join(needs) or 'nothing'}; gives `{stage.result.__name__}`."


def _table(specs: list[ParamSpec]) -> str:
    rows = [f"| `{flag(spec.name)}` | {_allowed(spec)} | {_cell(help_text(spec))} |" for spec in specs]
    return "\n".join(["| option | values | meaning |", "|---|---|---|", *rows])


def _allowed(spec: ParamSpec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    if spec.kind is bool:
        return f"`{flag(spec.name)}` or `{flag('no_' + spec.name)}`"
    noun = {int: "whole number", float: "number", str: "text", Path: "file"}[spec.kind]
    if spec.length == ANY_NUMBER:
        return f"{noun}s {_bounds(spec)}".rstrip()
    count = f"{spec.length} × " if spec.length else ""
    return f"{count}{noun} {_bounds(spec)}".rstrip()


def _bounds(spec: ParamSpec) -> str:
    if spec.low is not None and spec.high is not None:
        return f"from {spec.low:g} to {spec.high:g}"
    return f"≥ {spec.low:g}" if spec.low is not None else f"≤ {spec.high:g}" if spec.high is not None else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, "utf-8")
