"""``tomoflow doctor``: what this machine lacks for a window or for work, and the line that mends it."""

import ctypes
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_tomoflow.cli.exits import Exit

# What Qt's xcb platform plugin and an OpenGL canvas load at run time, with the Debian package of each.
_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}
_QT_BINDINGS = ("PyQt6", "PySide6")
_LITTLE_DISK_GB = 10.0
_LITTLE_MEMORY_GB = 4.0


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found and, when it will not do, how to mend it."""

    name: str
    found: str
    remedy: str = ""


def doctor(
    folder: Annotated[Path, Parameter(help="Where projects will be kept. [here]", show_default=False)] = Path("."),
    *,
    packages: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Say what this machine lacks for a window or for work, and how to get it.

    Parameters
    ----------
    packages
        Print only the names of the missing Debian packages.
    """
    if packages:
        print(*missing_packages())
        return Exit.DONE
    checks = list(_checks(folder))
    for check in checks:
        print(f"{'needs work' if check.remedy else 'ok':<11}{check.name:<15}{check.found}")
        if check.remedy:
            print(f"{'':<26}{check.remedy}")
    return Exit.MEND if any(check.remedy for check in checks) else Exit.DONE


def missing_packages() -> list[str]:
    """Name the Debian packages a napari window, or a virtual one, needs and this machine has not."""
    if sys.platform != "linux":
        return []
    missing = [package for library, package in _LIBRARIES.items() if not _loads(library)]
    return missing if shutil.which("Xvfb") else [*missing, "xvfb"]


def has_display() -> bool:
    """Tell whether a window could be opened for a person to see."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _checks(folder: Path) -> Iterator[Check]:
    yield _display()
    yield _window_libraries()
    yield _qt()
    yield _threads()
    yield _memory()
    yield _disk(folder)
    yield _write_access(folder)


def _display() -> Check:
    if has_display():
        return Check("display", os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "the Mac's own")
    return Check("display", "none: no window can open here, screenshots and all commands work (Xvfb stands in)")


def _window_libraries() -> Check:
    missing = missing_packages()
    if not missing:
        return Check("window parts", "all there")
    sudo = "" if os.geteuid() == 0 else "sudo "
    line = f"{sudo}apt-get install -y --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get"):
        line = f"Install what your system calls these Debian packages: {' '.join(missing)}"
    return Check("window parts", f"{len(missing)} missing", line)


def _qt() -> Check:
    found = [name for name in _QT_BINDINGS if importlib.util.find_spec(name)]
    if found:
        return Check("Qt", ", ".join(found))
    return Check("Qt", "no binding installed", "pip install 'napari-tomoflow[all]'")


def _threads() -> Check:
    import numba

    threads = f"{numba.config.NUMBA_NUM_THREADS} threads of {os.cpu_count()} processors"
    return Check("kernels", f"numba {numba.__version__}, {threads}")


def _memory() -> Check:
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    free_gb = os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") / 1e9
    remedy = "Close other programs, or use --binning." if free_gb < _LITTLE_MEMORY_GB else ""
    return Check("memory", f"{free_gb:.1f} GB free", remedy)


def _disk(folder: Path) -> Check:
    if not folder.is_dir():
        return Check("disk", f"{folder} is no folder", f"mkdir -p {folder}")
    free_gb = shutil.disk_usage(folder).free / 1e9
    remedy = "Free some space, or keep projects elsewhere." if free_gb < _LITTLE_DISK_GB else ""
    return Check("disk", f"{free_gb:.1f} GB free in {folder.resolve()}", remedy)


def _write_access(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("write access", f"yes, to {folder.resolve()}")
    except OSError as error:
        return Check("write access", f"{folder}: {error.strerror}", "Choose a folder you may write to.")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
