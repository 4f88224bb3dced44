"""Bad files and bad disks: one sentence that names file and remedy, and nothing left behind."""

import errno
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import napari_tomoflow
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import CtfSeries, Optics
from napari_tomoflow.io.files import written_aside
from napari_tomoflow.io.mdoc import read_mdoc
from napari_tomoflow.io.mrc import allocate_mrc, write_mrc
from napari_tomoflow.io.results import save
from napari_tomoflow.io.sources import read_raw_stack
from napari_tomoflow.io.stacks import open_stack
from napari_tomoflow.io.star import read_star
from napari_tomoflow.io.tilts import read_tilts
from napari_tomoflow.io.volumes import open_volume

READERS = {
    "mrc": (open_stack, "TS.mrc"), "packed": (open_stack, "TS.mrc.gz"), "tiff": (open_stack, "TS.tif"),
    "dm3": (open_stack, "TS.dm3"), "dm4": (open_stack, "TS.dm4"), "star stack": (open_stack, "TS.star"),
    "volume": (open_volume, "TS.rec"), "raw stack": (read_raw_stack, "TS.st"), "mdoc": (read_mdoc, "TS.mdoc"),
    "tilts": (read_tilts, "TS.tlt"), "star": (read_star, "TS.star"),
}  # fmt: skip
every_reader = pytest.mark.parametrize(("read", "name"), READERS.values(), ids=READERS)


def refused(read, path):
    """Return the one sentence with which `path` is refused."""
    with pytest.raises(DataError) as caught:
        read(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@every_reader
def test_a_file_of_zero_bytes_is_called_empty(tmp_path, read, name):
    (tmp_path / name).touch()
    assert "is empty (0 bytes)" in refused(read, tmp_path / name)


@every_reader
def test_a_missing_file_is_called_missing(tmp_path, read, name):
    assert "does not exist; give the path of" in refused(read, tmp_path / name)


@every_reader
def test_a_folder_is_not_taken_for_a_file(tmp_path, read, name):
    (tmp_path / name).mkdir()
    assert "folder" in refused(read, tmp_path / name) or read is read_mdoc


@every_reader
@pytest.mark.parametrize("seed", range(6))
def test_noise_is_refused(tmp_path, read, name, seed):
    rng = np.random.default_rng(seed)
    (tmp_path / name).write_bytes(rng.bytes(int(rng.integers(1, 5000))))
    refused(read, tmp_path / name)


@pytest.mark.parametrize("name", ["TS.mrc", "TS.tif", "TS.dm3", "TS.dm4", "TS.rec.gz"])
def test_text_under_the_name_of_an_image_is_refused(tmp_path, name):
    (tmp_path / name).write_text("These are notes on the experiment, not an image. " * 100)
    refused(open_stack, tmp_path / name)


def made(kind, folder):
    """Make a sound file to be cut."""
    import gzip

    import tifffile

    images = np.random.default_rng(0).integers(0, 999, (5, 16, 16)).astype(np.uint16)
    path = folder / f"TS.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, images)
    elif kind == "tiff":
        tifffile.imwrite(path, images, compression="zlib")
    else:
        write_mrc(folder / "TS.mrc", images, 2.0, stack=True)
        if kind == "mrc.gz":
            path.write_bytes(gzip.compress((folder / "TS.mrc").read_bytes()))
    return path


@pytest.mark.parametrize("kind", ["mrc", "mrc.gz", "tif", "tiff"])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.97])
def test_a_file_cut_short_is_refused_at_the_latest_when_it_is_read(tmp_path, kind, left):
    path = made(kind, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    refused(lambda cut: np.asarray(open_stack(cut)), path)


def test_a_dm3_cut_short_is_refused(shared_data, tmp_path):
    whole = shared_data("real_tilt_etspy_needle/HAADF.dm3").read_bytes()
    for left in (20, 5000, 80_000, 500_000):
        (tmp_path / "TS.dm3").write_bytes(whole[:left])
        refused(open_stack, tmp_path / "TS.dm3")


def test_the_sentence_about_a_cut_file_has_both_sizes(tmp_path):
    path = made("mrc", tmp_path)
    with path.open("r+b") as file:
        file.truncate(2000)
    assert refused(open_stack, path) == (
        f"{path} is cut short: its header promises 16 × 16 × 5 values of mode 6 (3584 bytes) but it holds 2000 bytes; "
        "copy it again from its source."
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk or quota is full"),
        (errno.EDQUOT, "disk or quota is full"),
        (errno.EROFS, "is read-only for you"),
        (errno.EACCES, "is read-only for you"),
        (errno.EIO, "Input/output error; check"),
    ],
)
@pytest.mark.parametrize("call", ["posix_fallocate", "fsync", "replace"])
def test_a_failing_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, call, code, words):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(DataError, match=rf"^{tmp_path}/out\.mrc cannot be written: .*{words}"):
        write_mrc(tmp_path / "out.mrc", np.zeros((3, 4, 5), np.float32), 1.0)
    assert not list(tmp_path.iterdir())


def test_an_old_result_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    ctf = CtfSeries(optics=Optics(), defocus_u_ang=np.full(3, 3e4), defocus_v_ang=np.full(3, 3e4))
    save(ctf, tmp_path)
    before = (tmp_path / "ctf.star").read_text()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"ctf\.star cannot be written"):
        save(ctf.replace(hand=1), tmp_path)
    assert (tmp_path / "ctf.star").read_text() == before
    assert not list(tmp_path.glob("*.partial"))


def test_an_error_while_writing_leaves_nothing_and_is_passed_on(tmp_path):
    def write_half():
        with written_aside(tmp_path / "a.txt") as aside:
            aside.write_text("half of it")
            raise KeyError("bug")

    with pytest.raises(KeyError):
        write_half()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere/a\.mrc cannot be written: No such file or directory; check that"):
        allocate_mrc(tmp_path / "nowhere" / "a.mrc", (1, 1, 1), np.float32)


def test_a_real_limit_on_file_size_is_met_before_a_map_is_written_into(tmp_path):
    # Writing into a map beyond the disk's end kills a process outright; reserving the room first does not.
    code = f"""
        import numpy as np, pathlib
        from napari_tomoflow.core.errors import DataError
        from napari_tomoflow.io.mrc import write_mrc
        try:
            write_mrc(pathlib.Path({str(tmp_path / "big.mrc")!r}), np.ones((64, 256, 256), np.float32), 1.0)
        except DataError as error:
            print(error)
    """
    done = run_limited(code, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert done.returncode == 0, done.stderr
    assert "big.mrc cannot be written: the disk or quota is full" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody who may not write")
def test_a_read_only_folder_is_said_to_be_so(tmp_path):
    code = f"""
        import os, pathlib, numpy as np
        from napari_tomoflow.core.errors import DataError
        from napari_tomoflow.io.mrc import write_mrc
        folder = pathlib.Path({str(tmp_path)!r})
        os.chdir(folder)
        folder.chmod(0o555)
        os.setuid(65534)
        try:
            write_mrc(pathlib.Path("a.mrc"), np.ones((4, 5, 6), np.float32), 1.0)
        except DataError as error:
            print(error)
    """
    done = run_limited(code, None)
    assert done.returncode == 0, done.stderr
    assert "a.mrc cannot be written: . is read-only for you; change its permissions or the folder." in done.stdout
    assert not list(tmp_path.iterdir())


def run_limited(code, prepare):
    environment = {**os.environ, "PYTHONPATH": str(Path(napari_tomoflow.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], preexec_fn=prepare, env=environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
