"""The direction of imports, and what a fresh interpreter pays for them."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import napari_tomoflow

SOURCE = Path(napari_tomoflow.__file__).parent
ROOT = SOURCE.parents[1]
VIEWER = {"napari", "qtpy", "magicgui", "superqt", "pyqtgraph", "PyQt6", "PySide6", "vispy"}


def modules_after(statement):
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def lint_imports(root):
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_one_way():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contract_catches_a_viewer_in_the_core(tmp_path):
    import shutil

    shutil.copytree(SOURCE, tmp_path / "src" / "napari_tomoflow", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    guilty = tmp_path / "src" / "napari_tomoflow" / "core" / "ops" / "geometry.py"
    guilty.write_text("import napari\n" + guilty.read_text("utf-8"), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Only the gui knows a viewer BROKEN" in done.stdout
    assert "napari_tomoflow.core.ops.geometry -> napari" in done.stdout


def test_core_and_command_line_load_no_viewer():
    for statement in ("import napari_tomoflow.core.stages", "import napari_tomoflow.cli.main"):
        assert not modules_after(statement) & VIEWER, statement


def test_listing_the_stages_costs_only_numpy_and_pydantic():
    heavy = {"numba", "scipy", "pandas", "skimage", "sklearn", "matplotlib", "dask", "starfile", "mrcfile", "tifffile"}
    assert not modules_after("import napari_tomoflow.core.stages") & heavy


def test_the_gui_package_itself_imports_nothing():
    assert not modules_after("import napari_tomoflow.gui") & VIEWER


def test_nothing_prints_or_warns_in_the_core():
    for path in sorted((SOURCE / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"logging", "warnings", "tqdm"}, f"{path}:{node.lineno}"


def test_only_the_runner_catches_every_exception():
    allowed = {"project/runner.py", "cli/main.py"}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                bare = node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"}
                tidies_up = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
                where = path.relative_to(SOURCE).as_posix()
                assert not bare or tidies_up or where in allowed, f"{where}:{node.lineno} catches everything"


def test_modules_have_one_topic_and_a_readable_size():
    for path in sorted(SOURCE.rglob("*.py")):
        assert path.stem not in {"utils", "helpers", "misc", "common"}, path
        lines = path.read_text("utf-8").count("\n")
        assert lines <= 450, f"{path.relative_to(SOURCE)} has {lines} lines: split it by topic"


def test_function_bodies_stay_short():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                length = (body[-1].end_lineno or 0) - body[0].lineno + 1
                assert length <= 60, f"{path.relative_to(SOURCE)}:{node.lineno} {node.name} has {length} lines"
