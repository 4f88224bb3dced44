"""How long alignment from disk takes, where the time goes and how much memory it needs, from 512² to 4096².

    python tests/benchmarks/bench_align.py --sizes 512 1024 2048 4096 --out FOLDER

The same simulated specimen is shown at every size: expected counts are simulated at up to 512², interpolated
to the size by padding their transform, and noise is added pixel by pixel. Rows are added to those of earlier runs,
and the last of each size is drawn.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import mrcfile
import numpy as np
import pytest
import scipy.fft

from napari_tomoflow.core.stages.align import align
from napari_tomoflow.core.stages.simulate import SimulateParams, simulate
from napari_tomoflow.io.stacks import open_stack

FIELD_ANG = 5530.0
COUNTS_PER_ANG2 = 2.0
N_TILTS = {4096: 60}
"""At sizes that are asked for with more tilts than 41."""

LIMITS_S = {(41, 1024): 20.0, (60, 4096): 240.0}
LIMIT_GB = 6.0


class Stopwatch:
    """A report that adds up the seconds between calls under what was being done."""

    def __init__(self):
        self.seconds = defaultdict(float)
        self._doing, self._since = "Starting", time.perf_counter()

    def __call__(self, done, total, doing):
        now = time.perf_counter()
        self.seconds[self._doing] += now - self._since
        self._doing, self._since = doing, now

    def __str__(self):
        longest_first = sorted(self.seconds.items(), key=lambda item: -item[1])
        return ", ".join(f"{doing} {seconds:.1f}" for doing, seconds in longest_first if seconds > 0.2)


def enlarged(image, size):
    """Interpolate a square image by padding its transform."""
    n = len(image)
    image_rft = scipy.fft.rfft2(image.astype(np.float32), workers=-1)
    padded = np.zeros((size, size // 2 + 1), np.complex64)
    half = n // 2
    padded[:half, :half], padded[-half:, :half] = image_rft[:half, :half], image_rft[-half:, :half]
    return scipy.fft.irfft2(padded, s=(size, size), workers=-1) * np.float32(size / n) ** 2


def write_series(path, n_tilts, size):
    """Write int16 counts of a series as a microscope does, image after image; return the series, read from disk."""
    seen_px = min(size, 512)
    made = simulate(
        SimulateParams(size_px=seen_px, pixel_ang=FIELD_ANG / seen_px, n_tilts=n_tilts, noise=False, axis_error_deg=2.0)
    ).series
    pixel_ang = FIELD_ANG / size
    rng = np.random.default_rng(0)
    with mrcfile.new_mmap(path, (n_tilts, size, size), mrc_mode=1) as mrc:
        for i, image in enumerate(made.images):
            expected = enlarged(image, size) * (COUNTS_PER_ANG2 * pixel_ang**2 / image.mean())
            noise = rng.standard_normal(expected.shape, np.float32) * np.sqrt(np.maximum(expected, 0.0))
            # Ten steps per electron keep what rounding would take from the few counts of a small pixel.
            mrc.data[i] = np.rint(10.0 * (expected + noise))
    return made.replace(images=open_stack(path), pixel_ang=pixel_ang)


class Row(NamedTuple):
    """What one alignment cost; the memory is the most the process ever held, making the series included."""

    n_tilts: int
    size_px: int
    seconds: float
    cpu_s: float
    gigabytes: float
    residual_px: float
    tilts_kept: int
    where: str

    def __str__(self):
        return (
            f"{self.n_tilts} × {self.size_px}²: {self.seconds:.1f} s ({self.cpu_s:.1f} CPU-s), at most "
            f"{self.gigabytes:.2f} GB; {self.where}; residual {self.residual_px} px"
        )


def measure(n_tilts, size, folder):
    """Write a series, align it from disk and take it away again."""
    path = Path(folder) / f"stack_{size}.mrc"
    try:
        series = write_series(path, n_tilts, size)
        watch, started, used = Stopwatch(), time.perf_counter(), time.process_time()
        alignment = align(series, report=watch)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - used
    finally:
        path.unlink(missing_ok=True)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    residual_px = alignment.quality["residual_px"]["mean"]
    return Row(n_tilts, size, seconds, cpu_s, gigabytes, residual_px, int(alignment.kept.sum()), str(watch))


@pytest.mark.slow
@pytest.mark.parametrize(("n_tilts", "size"), [(N_TILTS.get(size, 41), size) for size in (512, 1024, 2048, 4096)])
def test_time_and_memory_of_aligning_from_disk(n_tilts, size, tmp_path):
    row = measure(n_tilts, size, tmp_path)
    print(f"\n{row}")  # noqa: T201
    assert row.tilts_kept == n_tilts
    assert row.seconds < LIMITS_S.get((n_tilts, size), np.inf)
    assert row.gigabytes < LIMIT_GB


def plot(rows, path):
    """Draw time and memory against the width of the images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4), layout="constrained")
    sizes = [row.size_px for row in rows]
    for panel, drawn in zip(figure.subplots(1, 2), (("seconds", "cpu_s"), ("gigabytes",)), strict=True):
        for name in drawn:
            panel.plot(sizes, [getattr(row, name) for row in rows], "o-", label=name)
        panel.set(xscale="log", xlabel="width of the images, px", ylim=(0, None))
        panel.set_xticks(sizes, [f"{row.size_px}²\n× {row.n_tilts}" for row in rows])
        panel.set_xticks([], minor=True)
        panel.legend()
    figure.savefig(path, dpi=110)


def main():
    """Measure each size in a process of its own, add to the record, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 1024, 2048, 4096])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    record = given.out / "align_cost.jsonl"
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as pool, tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            row = pool.submit(measure, N_TILTS.get(size, 41), size, folder).result()
            with record.open("a") as lines:
                lines.write(json.dumps(row._asdict()) + "\n")
            sys.stdout.write(f"{row}\n")
    rows = [Row(**json.loads(line)) for line in record.read_text().splitlines()]
    plot(sorted({row.size_px: row for row in rows}.values(), key=lambda row: row.size_px), record.with_suffix(".png"))


if __name__ == "__main__":
    main()
