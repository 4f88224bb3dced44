"""Every mode, byte order and oddity of an MRC header, in files made byte by byte."""

import bz2
import gzip
import pickle

import mrcfile
import numpy as np
import pytest
from mrcfile.dtypes import HEADER_DTYPE

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.mrc import open_mrc


def mrc_bytes(values, mode, order="<", extended=b"", **fields):
    """Lay out an MRC file by hand: header, extended header, values as they lie on disk."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))
    header["nz"], header["ny"], header["nx"] = header["mz"], header["my"], header["mx"] = values.shape
    header["mode"], header["nsymbt"] = mode, len(extended)
    header["cella"] = tuple(2.5 * n for n in values.shape[::-1])
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["map"], header["machst"] = b"MAP ", (0x44, 0x44, 0, 0) if order == "<" else (0x11, 0x11, 0, 0)
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + extended + values.tobytes()


def extra2(**at):
    """Fill the header's spare bytes: ``b128=...`` puts bytes at byte 128 of the file."""
    spare = bytearray(84)
    for place, content in at.items():
        start = int(place[1:]) - 112
        spare[start : start + len(content)] = content
    return np.void(bytes(spare))


@pytest.fixture
def written(tmp_path):
    def write(content, name="stack.mrc"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("mode", "kind"), [(0, "i1"), (1, "i2"), (2, "f4"), (6, "u2"), (12, "f2")])
def test_every_mode_is_read_in_both_byte_orders(written, mode, kind, order):
    values = np.arange(-30 if kind[0] != "u" else 0, 30).astype(kind)[:30].reshape(2, 3, 5)
    stack = open_mrc(written(mrc_bytes(values.astype(order + kind), mode, order)))
    assert stack.dtype == np.dtype(kind)
    assert stack.dtype.isnative
    np.testing.assert_array_equal(np.asarray(stack), values)
    assert stack.header.pixel_ang == 2.5


def test_values_of_four_bits_are_unpacked_low_bits_first(written):
    values = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [15, 0, 1]]])
    packed = np.array([[[0x21, 0x03], [0x54, 0x06]], [[0x87, 0x09], [0x0F, 0x01]]], np.uint8)
    stack = open_mrc(written(mrc_bytes(packed, 101, nx=3)))
    assert stack.shape == (2, 2, 3)
    np.testing.assert_array_equal(np.asarray(stack), values)
    np.testing.assert_array_equal(stack[1, :, 1:], values[1, :, 1:])
    np.testing.assert_array_equal(stack[::-1, 0], values[::-1, 0])
    assert stack[0, 1, 2] == 6


@pytest.mark.parametrize(("mode", "word"), [(3, "Fourier"), (4, "Fourier"), (16, "colours")])
def test_what_is_no_image_is_refused_by_name(written, mode, word):
    with pytest.raises(DataError, match=rf"stack\.mrc holds .*{word}.*mode {mode}.*give"):
        open_mrc(written(mrc_bytes(np.zeros((1, 2, 8), np.uint8), mode)))


SMOOTH = np.clip(128 + 100 * np.sin(np.linspace(0, 9, 4 * 32 * 32)), 0, 255).reshape(4, 32, 32)


def test_imods_flag_decides_whether_bytes_are_signed(written):
    values = SMOOTH.astype(np.uint8)
    stamp = (1146047817).to_bytes(4, "little")
    unsigned = open_mrc(written(mrc_bytes(values, 0, extra2=extra2(b152=stamp)), "a.mrc"))
    signed = open_mrc(written(mrc_bytes(values, 0, extra2=extra2(b152=stamp, b156=b"\x01\0\0\0")), "b.mrc"))
    assert (unsigned.dtype, signed.dtype) == (np.uint8, np.int8)
    np.testing.assert_array_equal(np.asarray(unsigned), values)
    assert "as the header says" in unsigned.header.notes[0]


@pytest.mark.parametrize(("low", "high", "kind"), [(-5, 90, np.int8), (0, 200, np.uint8)])
def test_the_headers_extremes_decide_where_imod_did_not(written, low, high, kind):
    assert open_mrc(written(mrc_bytes(SMOOTH.astype(np.uint8), 0, dmin=low, dmax=high))).dtype == kind


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_smoothness_decides_when_the_header_is_silent(written, kind):
    values = (SMOOTH if kind == np.uint8 else SMOOTH - 128).astype(kind)
    stack = open_mrc(written(mrc_bytes(values, 0, dmin=0, dmax=-1)))
    np.testing.assert_array_equal(np.asarray(stack), values)
    assert stack.dtype == kind
    assert "neighbouring pixels differ less" in stack.header.notes[0]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
def test_a_packed_file_is_unpacked_whatever_its_name(written, pack):
    values = np.arange(24, dtype="<i2").reshape(2, 3, 4)
    stack = open_mrc(written(pack(mrc_bytes(values, 1)), "odd name.mrc"))
    np.testing.assert_array_equal(np.asarray(stack), values)
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(stack))), values)


def test_axes_in_another_order_are_put_in_order(written):
    values = np.arange(24, dtype="<f4").reshape(2, 3, 4)  # along y, x, z of the specimen
    stack = open_mrc(written(mrc_bytes(values, 2, mapc=3, mapr=1, maps=2, mx=3, my=2, mz=4, cella=(6.0, 4.0, 8.0))))
    np.testing.assert_array_equal(np.asarray(stack), values.transpose(2, 0, 1))
    assert stack.header.pixel_ang == 2.0
    assert "put in order" in stack.header.notes[0]


@pytest.mark.parametrize("cell", [(0, 0, 0), (-10, -10, -10), (4, 3, 2), (np.nan, 1, 1)], ids=str)
def test_a_pixel_size_not_to_be_believed_is_unknown_and_said(written, cell):
    stack = open_mrc(written(mrc_bytes(np.zeros((2, 3, 4), "<f4"), 2, cella=cell)))
    assert stack.header.pixel_ang is None
    assert stack.header.notes[-1].startswith("The pixel size is unknown")


def test_oblong_pixels_are_unknown_and_said(written):
    stack = open_mrc(written(mrc_bytes(np.zeros((2, 3, 4), "<f4"), 2, cella=(8.0, 9.0, 4.0))))
    assert stack.header.pixel_ang is None
    assert "2 × 3 Å, not square" in stack.header.notes[-1]


def test_serialems_extended_header_gives_the_tilts(written):
    tilts = np.array([-60.01, 0.25, 59.99])
    records = b"".join(round(100 * float(tilt)).to_bytes(2, "little", signed=True) + bytes(6) for tilt in tilts)
    spare = extra2(b128=(8).to_bytes(2, "little") + (1 + 2).to_bytes(2, "little"))
    content = mrc_bytes(np.zeros((3, 2, 2), "<i2"), 1, extended=records, exttyp=b"SERI", extra2=spare)
    np.testing.assert_allclose(open_mrc(written(content)).header.tilt_deg, tilts, atol=1e-9)


def test_old_fei_records_give_tilts_pixel_and_voltage(written):
    records = np.zeros((1024, 32), "<f4")  # FEI wrote room for 1024 images
    records[:3, 0], records[:3, 11], records[:3, 13] = (-2.0, 0.0, 2.0), 3e-10, 3e5
    spare = extra2(b128=(0).to_bytes(2, "little") + (32).to_bytes(2, "little"))
    content = mrc_bytes(np.zeros((3, 2, 2), "<i2"), 1, extended=records.tobytes(), extra2=spare, cella=(0, 0, 0))
    header = open_mrc(written(content)).header
    np.testing.assert_array_equal(header.tilt_deg, [-2, 0, 2])
    assert header.pixel_ang == pytest.approx(3.0)
    assert header.voltage_kv == pytest.approx(300)


def test_fei_records_written_by_mrcfile_are_read(tmp_path):
    records = np.zeros(3, mrcfile.dtypes.get_ext_header_dtype(b"FEI1", "<"))
    records["Metadata size"], records["Alpha tilt"] = records.dtype.itemsize, (-30, 0, 30)
    records["Pixel size X"], records["HT"] = 1.7e-10, 2e5
    with mrcfile.new(tmp_path / "fei.mrc") as file:
        file.set_data(np.zeros((3, 2, 2), np.int16))
        file.set_extended_header(records)
        file.header.exttyp = b"FEI1"
    header = open_mrc(tmp_path / "fei.mrc").header
    np.testing.assert_array_equal(header.tilt_deg, [-30, 0, 30])
    assert header.pixel_ang == pytest.approx(1.7)
    assert header.voltage_kv == 200


def test_an_extended_header_of_zeros_gives_no_tilts(written):
    spare = extra2(b128=(0).to_bytes(2, "little") + (32).to_bytes(2, "little"))
    content = mrc_bytes(np.zeros((3, 2, 2), "<i2"), 1, extended=bytes(3 * 128), extra2=spare)
    assert open_mrc(written(content)).header.tilt_deg is None


def test_bytes_after_the_values_are_said_and_not_read(written):
    stack = open_mrc(written(mrc_bytes(np.ones((2, 3, 4), "<f4"), 2) + b"tail"))
    assert stack.shape == (2, 3, 4)
    assert "4 bytes more" in stack.header.notes[0]


def test_opening_maps_the_file_and_reads_nothing(tmp_path):
    path = tmp_path / "large.mrc"
    path.write_bytes(mrc_bytes(np.zeros((0, 1, 1), "<f4"), 2, nz=1 << 16, ny=512, nx=512))
    with path.open("r+b") as file:
        file.truncate(1024 + (1 << 16) * 512 * 512 * 4)  # 64 GiB that take no room
    stack = open_mrc(path)
    assert stack.shape == (1 << 16, 512, 512)
    assert stack[-1, 5, 5] == 0
