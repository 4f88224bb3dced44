"""Modules and functions stay short enough to be read in one go."""

import ast
from pathlib import Path

import napari_tomoflow

MOST_LINES = 400
MOST_LINES_OF_A_BODY = 40
SOURCES = sorted(Path(napari_tomoflow.__file__).parent.rglob("*.py"))


def _lines_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.body[-1].end_lineno or 0) - first.lineno + 1


def test_no_module_is_longer_than_can_be_read_at_once():
    long = {str(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert not {path: lines for path, lines in long.items() if lines > MOST_LINES}


def test_no_function_is_longer_than_a_page():
    long = [
        f"{path}:{node.lineno} {node.name}: {_lines_of_body(node)} lines"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines_of_body(node) > MOST_LINES_OF_A_BODY
    ]
    assert not long, "\n".join(long)
