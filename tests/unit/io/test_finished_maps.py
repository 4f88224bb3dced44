"""A finished map in its files and pictures, and the tables it may be given."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from half_maps import halves_of_two_resolutions, of_halves
from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Curve, FinishedMap
from napari_tomoflow.core.stages.postprocess import PostprocessParams, postprocess
from napari_tomoflow.io.given import read_given
from napari_tomoflow.io.maps import open_map
from napari_tomoflow.io.mrc import open_mrc
from napari_tomoflow.io.plots import figures_of, save_figures
from napari_tomoflow.io.results import load, save
from napari_tomoflow.io.star import read_star, write_star

VOLUMES = ("volume", "mask", "local_resolution_ang", "local_volume")


@pytest.fixture(scope="module")
def finished():
    halves = halves_of_two_resolutions(48, 3.0, 9.0, 14.0, np.random.default_rng(0), sharp=False)
    return postprocess(of_halves(halves, 3.0, symmetry="C2"))


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    assert save(finished, folder) == {"FinishedMap": "postprocessed.mrc"}
    return folder


def test_it_reads_back_as_it_was(finished, folder):
    found = load(FinishedMap, folder)
    assert (found.name, found.voxel_ang, found.symmetry) == ("made", 3.0, "C2")
    assert found.quality == finished.quality
    for name in VOLUMES:
        np.testing.assert_array_equal(getattr(found, name), getattr(finished, name))
    for old, new in zip(finished.halves, found.halves, strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_local_resolution_there_are_no_files_of_it(finished, tmp_path):
    save(finished.replace(local_resolution_ang=None, local_volume=None), tmp_path)
    assert not list(tmp_path.glob("local*"))
    assert load(FinishedMap, tmp_path).local_volume is None


def test_the_files_are_those_other_programs_ask_for(finished, folder):
    np.testing.assert_allclose(open_mrc(folder / "postprocessed_masked.mrc")[:], finished.volume * finished.mask)
    assert open_map(folder / "half_map_1.mrc").voxel_ang == 3.0
    blocks = read_star(folder / "fsc.star")
    assert blocks["general"]["rlnFinalResolution"] == finished.quality["resolution_ang"]
    assert blocks["general"]["rlnBfactorUsedForSharpening"] == -finished.quality["b_factor_ang2"]
    fsc = blocks["fsc"]
    assert fsc["rlnFourierShellCorrelationCorrected"].tolist() == finished.quality["fsc"]["corrected"]
    np.testing.assert_allclose(fsc["rlnAngstromResolution"][1:], 1 / fsc["rlnResolution"][1:])
    assert len(blocks["guinier"]) == len(fsc)


def test_the_data_bank_can_read_the_fsc(finished, folder):
    root = ElementTree.parse(folder / "fsc.xml").getroot()
    assert (root.tag, root.get("xaxis"), root.get("yaxis")) == ("fsc", "Resolution (A-1)", "Correlation Coefficient")
    points = [(float(one.find("x").text), float(one.find("y").text)) for one in root.findall("coordinate")]
    curves = finished.quality["fsc"]
    np.testing.assert_allclose(points, np.transpose([curves["frequency_inv_ang"], curves["corrected"]]), atol=1e-6)


def test_all_there_is_to_see_is_drawn(finished, folder, tmp_path):
    drawn = save_figures(load(FinishedMap, folder), None, tmp_path)
    assert [path.name for path in drawn] == [
        "slices.png", "fsc.png", "guinier.png", "directions.png", "local_resolution.png",
    ]  # fmt: skip
    subsets = {"particles": [100, 200, 400], "resolution_ang": [20.0, 15.0, 12.0], "b_factor_ang2": None}
    assert "subsets" in figures_of(finished.replace(quality={**finished.quality, "subsets": subsets}))
    assert list(figures_of(finished.replace(quality={}))) == ["slices"]


def test_a_map_without_resolution_is_drawn_too(finished):
    halves = np.random.default_rng(1).normal(size=(2, 24, 24, 24)).astype(np.float32)
    nothing = postprocess(of_halves(halves, 5.0), params=PostprocessParams())
    assert nothing.quality["resolution_ang"] is None
    assert "fsc" in figures_of(nothing)


def test_an_mtf_is_read_from_a_star_file(tmp_path):
    import pandas as pd

    path = tmp_path / "mtf.star"
    write_star(path, {"mtf": pd.DataFrame({"rlnResolutionInversePixel": [0.0, 0.5], "rlnMtfValue": [1.0, 0.3]})})
    curve = read_given(Curve, path)
    assert curve.at(np.array([0.25, 0.7])).tolist() == [0.65, 0.3]


def test_a_structure_factor_is_read_from_columns_of_text(tmp_path):
    path = tmp_path / "sf.txt"
    path.write_text("# s intensity\n0.01 5.0e3 0\n\n0.02, 2.5e3, 1\n", "utf-8")
    curve = read_given(Curve, path)
    assert (curve.frequency.tolist(), curve.value.tolist()) == ([0.01, 0.02], [5000.0, 2500.0])


@pytest.mark.parametrize("text", ["no numbers here\n", "0.1\n0.2\n", "0.1 1\n"])
def test_what_is_no_curve_is_refused_by_name(tmp_path, text):
    path = tmp_path / "sf.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=r"sf\.txt"):
        read_given(Curve, path)
