"""Which software computes: the versions a record needs for its result to be made again."""

import platform
from functools import cache
from importlib.metadata import version

_PACKAGES = ("napari-tomoflow", "numpy", "scipy", "numba")


@cache
def software() -> dict[str, str]:
    """Return name → version of everything that decides a result."""
    versions = {package: version(package) for package in _PACKAGES}
    return {**versions, "python": platform.python_version(), "platform": platform.platform()}
