"""TIFF: rows bottom to top, pixel size where it is said, refusals."""

import numpy as np
import pytest
import tifffile

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.tiff import open_tiff

IMAGES = np.arange(2 * 3 * 5, dtype=np.float32).reshape(2, 3, 5)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}], ids=str)
def test_the_last_row_of_the_file_is_our_first_and_that_is_said(tmp_path, options):
    tifffile.imwrite(tmp_path / "TS.tif", IMAGES, **options)
    stack = open_tiff(tmp_path / "TS.tif")
    np.testing.assert_array_equal(np.asarray(stack), IMAGES[:, ::-1])
    assert "bottom to top" in stack.header.notes[0]


def test_pages_written_one_by_one_are_one_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "TS.tif") as file:
        for image in IMAGES:
            file.write(image)
    np.testing.assert_array_equal(np.asarray(open_tiff(tmp_path / "TS.tif")), IMAGES[:, ::-1])


def test_a_single_image_is_a_stack_of_one(tmp_path):
    tifffile.imwrite(tmp_path / "one.tif", IMAGES[0])
    assert open_tiff(tmp_path / "one.tif").shape == (1, 3, 5)


def test_imagejs_pixel_size_is_taken_with_its_unit(tmp_path):
    tifffile.imwrite(tmp_path / "TS.tif", IMAGES, imagej=True, resolution=(1 / 0.35, 1 / 0.35), metadata={"unit": "nm"})
    assert open_tiff(tmp_path / "TS.tif").header.pixel_ang == pytest.approx(3.5, rel=1e-6)


def test_pixels_per_centimetre_are_taken_when_they_can_be_meant(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGES, resolution=(1e8 / 4.0, 1e8 / 4.0), resolutionunit="CENTIMETER")
    tifffile.imwrite(tmp_path / "b.tif", IMAGES, resolution=(72, 72), resolutionunit="INCH")
    assert open_tiff(tmp_path / "a.tif").header.pixel_ang == pytest.approx(4.0)
    assert open_tiff(tmp_path / "b.tif").header.pixel_ang is None


def test_colour_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(DataError, match=r"rgb\.tif is no stack of grey images"):
        open_tiff(tmp_path / "rgb.tif")


def test_pages_of_several_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as file:
        file.write(np.zeros((8, 8), np.uint8))
        file.write(np.zeros((9, 8), np.uint8))
    with pytest.raises(DataError, match=r"mixed\.tif is no stack"):
        open_tiff(tmp_path / "mixed.tif")
