"""A stack that stays in its file behaves like an array."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mrc import write_mrc
from napari_tomoflow.io.stacks import STACK_SUFFIXES, open_stack, stem_of, suffix_of

VALUES = np.random.default_rng(1).integers(0, 1000, (6, 8, 10)).astype(np.uint16)


def mrc(folder):
    write_mrc(folder / "TS.mrc", VALUES, 2.0, stack=True)
    return folder / "TS.mrc"


def tiff(folder):
    tifffile.imwrite(folder / "TS.tif", VALUES[:, ::-1])
    return folder / "TS.tif"


def packed_tiff(folder):
    tifffile.imwrite(folder / "TSz.tiff", VALUES[:, ::-1], compression="lzw")
    return folder / "TSz.tiff"


@pytest.fixture(params=[mrc, tiff, packed_tiff], ids=lambda make: make.__name__)
def stack(request, tmp_path):
    return open_stack(request.param(tmp_path))


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, 4), slice(None, None, -2), ..., (2, 3), (2, slice(1, 5), 4), (slice(2), ..., 3), (..., 0),
     ([4, 1], slice(3)), np.array([True, False, True, False, False, False]), slice(0, 0), (1, 2, 3)],
    ids=str,
)  # fmt: skip
def test_any_part_can_be_read(stack, key):
    part = stack[key]
    np.testing.assert_array_equal(part, VALUES[key])
    assert np.asarray(part).dtype == np.uint16


def test_it_has_what_an_array_has(stack):
    assert (stack.shape, stack.ndim, len(stack), stack.dtype) == ((6, 8, 10), 3, 6, np.uint16)
    np.testing.assert_array_equal(np.asarray(stack, np.float32), VALUES.astype(np.float32))


def test_an_index_beyond_the_end_is_an_error(stack):
    with pytest.raises(IndexError):
        stack[6]


def test_it_can_go_to_another_process_without_its_pixels(stack):
    sent = pickle.dumps(stack)
    assert len(sent) < VALUES.nbytes
    np.testing.assert_array_equal(np.asarray(pickle.loads(sent)), VALUES)


def test_threads_may_slice_it_at_once(stack):
    with ThreadPoolExecutor(8) as threads:
        for tilt, image in zip(list(range(6)) * 20, threads.map(stack.__getitem__, list(range(6)) * 20), strict=True):
            np.testing.assert_array_equal(image, VALUES[tilt])


@pytest.mark.parametrize(
    ("name", "suffix", "stem"),
    [
        ("TS_01.mrc", ".mrc", "TS_01"),
        ("a.b.ST", ".st", "a.b"),
        ("x.mrc.gz", ".mrc.gz", "x"),
        ("y.rec.bz2", ".rec.bz2", "y"),
    ],
)
def test_names_are_taken_apart_at_the_ending_that_tells_the_format(tmp_path, name, suffix, stem):
    assert suffix_of(tmp_path / name) == suffix
    assert suffix in STACK_SUFFIXES
    assert stem_of(tmp_path / name) == stem


def test_an_unknown_ending_is_refused_with_those_known(tmp_path):
    with pytest.raises(DataError, match=r"TS\.xyz has no ending we know; give one of \.mrc.*\.dm4"):
        open_stack(tmp_path / "TS.xyz")
