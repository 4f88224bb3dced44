"""Classes come back from their folder, damaged ones are named, and their figures show them."""

import numpy as np
import pytest

from napari_tomoflow.core.errors import DataError
from napari_tomoflow.core.model import Classes, DensityMap, ParticleSet
from napari_tomoflow.io import results
from napari_tomoflow.io.plots import save_figures
from napari_tomoflow.io.plots.classes import classes_figures

N = 12


def some_classes(**quality):
    rng = np.random.default_rng(1)
    mask = np.ones((N, N, N), np.float32)
    maps = tuple(
        DensityMap(
            name=f"ribosome class {one}", volume=volumes[0], voxel_ang=10.0, halves=tuple(volumes[1:]), mask=mask
        )
        for one, volumes in enumerate(rng.normal(size=(2, 3, N, N, N)).astype(np.float32), 1)
    )
    particles = ParticleSet(
        centers_ang_zyx=rng.normal(size=(5, 3)),
        class_ids=np.array([1, 1, 2, 1, 2]),
        features={"probability_1": np.linspace(1, 0, 5)},
    )
    return Classes(particles=particles, maps=maps, quality=quality)


def a_record(**more):
    """What `classify` leaves."""
    one = {
        "class": 1,
        "particles": 3,
        "resolution_ang": 21.0,
        "fsc": {"frequency_inv_ang": np.linspace(0, 0.05, 7).tolist(), "corrected": np.linspace(1, 0, 7).tolist()},
    }
    return {
        "method": "likelihood",
        "particles": 5,
        "classes": [one, {**one, "class": 2, "particles": 2, "resolution_ang": None}],
        "series": {"TS_1": [2, 1], "TS_2": [1, 1]},
        "score": {"edges": [0.1, 0.2, 0.3], "counts": [[1, 2], [2, 0]]},
        "stability": {"confusion": [[0.9, 0.1], [0.2, 0.8]], "agreement": [0.8, 0.9], "rand_index": [0.5, 0.6]},
        **more,
    }


def test_classes_come_back_from_their_folder(tmp_path):
    classes = some_classes(gain=0.5)
    outputs = results.save(classes, tmp_path)
    assert outputs == {"Classes": "classes.json", "ParticleSet": "particles.star"}
    assert (tmp_path / "class_002_half1.mrc").exists()
    again = results.load(Classes, tmp_path)
    assert [one.name for one in again.maps] == ["ribosome class 1", "ribosome class 2"]
    for one, other in zip(classes.maps, again.maps, strict=True):
        np.testing.assert_allclose(other.volume, one.volume)
        np.testing.assert_allclose(other.halves[1], one.halves[1])
        np.testing.assert_allclose(other.mask, one.mask)
    assert again.quality["gain"] == 0.5
    picks = results.load(ParticleSet, tmp_path)
    np.testing.assert_array_equal(picks.class_ids, classes.particles.class_ids)
    np.testing.assert_allclose(picks.features["probability_1"], classes.particles.features["probability_1"])


def test_a_damaged_list_of_classes_is_named(tmp_path):
    results.save(some_classes(), tmp_path)
    (tmp_path / "classes.json").write_text('{"maps": [{"name": "x"}', "utf-8")
    with pytest.raises(DataError, match=r"classes\.json is damaged"):
        results.load(Classes, tmp_path)


def test_a_particle_of_a_class_without_a_map_is_refused():
    classes = some_classes()
    with pytest.raises(DataError, match="classes 1 to 2, but there are 1 maps"):
        classes.replace(maps=classes.maps[:1])


def test_without_a_record_only_the_maps_are_drawn(tmp_path):
    assert [path.name for path in save_figures(some_classes(), None, tmp_path)] == ["montage.png"]
    figure = classes_figures(some_classes())["montage"]
    assert len(figure.axes) == 12
    assert figure.axes[0].get_ylabel() == "class 1: 3"


def test_the_record_of_a_competition_is_drawn(tmp_path):
    figures = classes_figures(some_classes(**a_record(gains=[0.0, 0.2, 0.3])))
    assert sorted(figures) == ["montage", "occupancy", "stability"]
    assert figures["stability"].axes[0].get_title() == "Repeats agree on 85%"
    np.testing.assert_allclose(figures["stability"].axes[1].lines[0].get_ydata(), [0.0, 0.2, 0.3])
    assert [one.get_height() for one in figures["occupancy"].axes[0].patches] == [3, 2]
    save_figures(some_classes(**a_record(gains=[0.1])), None, tmp_path)


def test_components_and_scores_are_drawn():
    classes = some_classes(**a_record(variance=[2.0, 0.1]))
    features = {**classes.particles.features, "component_1": np.arange(5.0), "component_2": np.zeros(5)}
    figures = classes_figures(classes.replace(particles=classes.particles.replace(features=features)))
    assert [len(line.get_xdata()) for line in figures["components"].axes[0].lines] == [3, 2]
    histogram = {"counts": [1, 3], "edges": [0.1, 0.2, 0.3]}
    record = a_record(histogram=histogram, threshold=0.15, threshold_by="two peaks")
    record.pop("stability")
    scores = classes_figures(some_classes(**record))["occupancy"].axes[2]
    assert scores.lines[0].get_xdata()[0] == 0.15
