"""Particles grouped by where they lie along the components they differ in."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from napari_tomoflow.core.classification.components import Components
from napari_tomoflow.core.classification.contest import shares_of
from napari_tomoflow.core.classification.split import Split

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Clustering = Literal["k-means", "hierarchical"]

_STARTS = 10


def clustered(components: Components, n_classes: int, how: Clustering, seed: int) -> Split:
    """Group particles into classes.

    Parameters
    ----------
    components : Components
    n_classes : int
    how : {"k-means", "hierarchical"}
        Around centres, or joining what lies closest (Ward).
    seed : int
        Of the first centres.

    Returns
    -------
    Split
        Shares take each class for a ball of the common spread; ``merit`` is minus the squared distance from the
        centres, in particles' noise.
    """
    coordinates = components.coordinates
    number = _numbers(coordinates, n_classes, how, seed)
    centres = np.stack([coordinates[number == one].mean(axis=0) for one in range(n_classes)])
    squared = np.square(coordinates[:, None] - centres).sum(axis=2)
    own = squared[np.arange(len(number)), number].mean()
    spread = max(own / coordinates.shape[1], 1e-12)
    shares = shares_of(-squared / (2 * spread), np.bincount(number, minlength=n_classes) / len(number))
    features = {f"component_{one + 1}": column for one, column in enumerate(coordinates.T)}
    record = {"variance": np.round(components.variance, 4).tolist(), "iterations": components.iterations}
    return Split(shares, -float(own), features, record)


def _numbers(coordinates: Floats, n_classes: int, how: Clustering, seed: int) -> Indices:
    from sklearn.cluster import AgglomerativeClustering, KMeans

    groups: Any = AgglomerativeClustering(n_classes)
    if how == "k-means":
        groups = KMeans(n_classes, n_init=_STARTS, random_state=seed)
    with threadpool_limits(1):  # how many threads share a sum shows in its last digits
        return np.asarray(groups.fit_predict(coordinates), np.int64)
