"""What an import found, shown to the person before anything is built on it."""

import sys
from collections.abc import Mapping
from typing import Any


def print_preview(qualities: Mapping[str, Mapping[str, Any]]) -> None:
    """Print."""
    print(qualities, file=sys.stderr)
