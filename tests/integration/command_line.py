"""The program as a person runs it: a process of its own, its output and its exit code."""

import subprocess
import sys
import time

import numpy as np

from napari_tomoflow.io.mrc import write_mrc

PROGRAM = (sys.executable, "-m", "napari_tomoflow.cli.main")
PIXEL_ANG = 10.0


def tomoflow(*words, **options):
    """Run one command to its end."""
    words = [*PROGRAM, *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)


def start(*words, **options):
    """Start one command and return its process."""
    words = [*PROGRAM, *map(str, words)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def make_stack(path, n_tilts=9, size_px=64, seed=1):
    """Write a stack of noise with a few dark beads and the ``.tlt`` beside it; return its path."""
    rng = np.random.default_rng(seed)
    tilt_deg = np.linspace(-40, 40, n_tilts)
    y, x = np.mgrid[:size_px, :size_px] - size_px // 2
    images = rng.normal(100, 1, (n_tilts, size_px, size_px)).astype(np.float32)
    for bead_zyx in rng.uniform(-0.3 * size_px, 0.3 * size_px, (12, 3)) * (0.3, 1, 1):
        for image, tilt in zip(images, np.deg2rad(tilt_deg), strict=True):
            u = bead_zyx[2] * np.cos(tilt) + bead_zyx[0] * np.sin(tilt)
            image -= 20 * np.exp(-((x - u) ** 2 + (y - bead_zyx[1]) ** 2) / 5)
    write_mrc(path, images, PIXEL_ANG, stack=True)
    path.with_suffix(".tlt").write_text("".join(f"{tilt:.2f}\n" for tilt in tilt_deg), "utf-8")
    return path


def files_in(folder):
    """List everything below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def wait_until(happened, timeout_s=60.0):
    """Wait for something another process does."""
    end_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)
