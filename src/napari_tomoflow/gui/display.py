"""A display to draw on, also where there is none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from napari_tomoflow.core.errors import MissingError

_SCREEN = "1920x1200x24"


def has_display() -> bool:
    """Tell whether a window can be opened as things are."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def some_display() -> Iterator[None]:
    """Give the block a display: the one there is, else a virtual one that goes when the block ends.

    Raises
    ------
    MissingError
        There is neither a display nor Xvfb.
    """
    if has_display():
        yield
        return
    if shutil.which("Xvfb") is None:
        raise MissingError("There is no display and no Xvfb; `tomoflow doctor` prints the line that installs it.")
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", _SCREEN, "+extension", "GLX", "-nolisten", "tcp"],
        pass_fds=(write_end,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()
    before = {name: os.environ.get(name) for name in ("DISPLAY", "QT_QPA_PLATFORM")}
    try:
        if not number:
            raise MissingError("Xvfb did not start; run `Xvfb :99` by hand to see why.")
        os.environ.update(DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb")
        yield
    finally:
        server.terminate()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
