"""STAR files: what is text stays text, what is a number keeps its digits."""

import numpy as np
import pandas as pd
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.io.star import read_star, table_of, write_star


def test_names_that_look_like_numbers_stay_names(tmp_path):
    write_star(tmp_path / "a.star", {"x": pd.DataFrame({"rlnTomoName": ["017", "1e5", "nan", ""], "n": [1, 2, 3, 4]})})
    assert list(read_star(tmp_path / "a.star")["x"]["rlnTomoName"]) == ["017", "1e5", "nan", ""]


@pytest.mark.parametrize(
    "name",
    ["it's", 'say "x"', "a#b", "data_1", "loop_", "_x", "50%", "tab\there", "two  spaces ", "µ-Ångström", "\\", "%41"],
)
def test_awkward_names_come_back_as_they_were(tmp_path, name):
    write_star(tmp_path / "a.star", {"g": {"rlnTomoName": name}, "x": pd.DataFrame({"rlnTomoName": [name, name]})})
    blocks = read_star(tmp_path / "a.star")
    assert blocks["g"]["rlnTomoName"] == name
    assert list(blocks["x"]["rlnTomoName"]) == [name, name]


def test_other_programs_names_are_not_unquoted(tmp_path):
    (tmp_path / "a.star").write_text("data_x\n\nloop_\n_rlnTomoName #1\n_rlnN #2\nTS%41 1\n")
    assert list(read_star(tmp_path / "a.star")["x"]["rlnTomoName"]) == ["TS%41"]


def test_a_file_written_again_is_not_read_from_a_cache(tmp_path):
    for value in (1.5, 2.5):
        write_star(tmp_path / "a.star", {"x": pd.DataFrame({"a": [value], "b": [1]})})
        assert read_star(tmp_path / "a.star")["x"]["a"][0] == value


def test_numpy_scalars_are_written_as_plain_numbers(tmp_path):
    write_star(
        tmp_path / "a.star", {"g": {"a": np.float32(0.5), "b": np.int64(3), "c": np.True_, "d": np.float64("nan")}}
    )
    text = (tmp_path / "a.star").read_text()
    assert "np." not in text
    assert text.splitlines()[0].startswith("# napari-tomoflow")
    assert [read_star(tmp_path / "a.star")["g"][name] for name in "abc"] == [0.5, 3, 1]


@pytest.mark.parametrize("text", ["no star at all\n", "# only a comment\n", "data_x\n"])
def test_what_is_no_star_is_refused(tmp_path, text):
    (tmp_path / "a.star").write_text(text)
    with pytest.raises(DataError, match=r"a\.star is not a .*STAR file"):
        read_star(tmp_path / "a.star")


def test_rows_of_unequal_length_are_refused(tmp_path):
    (tmp_path / "a.star").write_text("data_x\n\nloop_\n_a #1\n_b #2\n1 2\n1 2 3 4\n")
    with pytest.raises(DataError, match=r"a\.star is not a readable STAR file"):
        read_star(tmp_path / "a.star")


def test_a_missing_column_is_named(tmp_path):
    write_star(tmp_path / "a.star", {"x": pd.DataFrame({"a": [1], "b": [2]})})
    with pytest.raises(DataError, match=r"a\.star has no column rlnTomoYTilt"):
        table_of(read_star(tmp_path / "a.star"), "rlnTomoYTilt", tmp_path / "a.star")
