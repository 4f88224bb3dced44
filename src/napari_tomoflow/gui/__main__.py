"""``python -m napari_tomoflow.gui PROJECT``: napari with the *Tomoflow* dock on a project."""

import sys
from pathlib import Path

from napari_tomoflow.gui.display import has_display

USAGE = "usage: python -m napari_tomoflow.gui [PROJECT]"


def main(words: list[str]) -> int:
    """Open the window and stay until it closes."""
    if len(words) > 1 or words[:1] in (["-h"], ["--help"]):
        sys.stderr.write(f"{USAGE}\n")
        return 2
    if not has_display():
        sys.stderr.write(
            "There is no display to open a window on; `python -m napari_tomoflow.gui.screenshots PROJECT FOLDER` "
            "makes pictures without one.\n"
        )
        return 2
    import napari

    from napari_tomoflow.gui.window import open_window

    open_window(Path(words[0]) if words else None)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
