"""The tilts whose CTF is inspected, with what their fit says as the text on the canvas."""

from typing import Any

import numpy as np

from napari_tomoflow.gui.canvas import show_text, tilt_text
from napari_tomoflow.gui.ctf_inspector.session import Session
from napari_tomoflow.gui.layers import tilt_series_to_layer
from napari_tomoflow.gui.tilt_order import in_tilt_order
from napari_tomoflow.gui.tilt_scene import TiltScene


class Scene(TiltScene):
    """The layer that shows the tilts of a session.

    Parameters
    ----------
    viewer
    session : Session
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        self.session = session
        order = np.argsort(session.tilt_deg, kind="stable")
        data, attributes, kind = tilt_series_to_layer(in_tilt_order(session.series, order))
        stack = (data, attributes | {"name": f"{session.series.name} CTF"}, kind)
        super().__init__(viewer, session.series, session.tilt_deg, {"stack": stack})
        viewer.layers.selection.active = self.layer("stack")
        self.refresh()

    def refresh(self) -> None:
        """Bring the text on the canvas in step with the session."""
        show_text(self.viewer)

    def caption(self, tilt: int) -> str:
        """Say what is to be known of a tilt."""
        session = self.session
        series = session.changed_series.replace(tilt_deg=session.tilt_deg)
        words = [tilt_text(in_tilt_order(series, self.order), int(self.rank[tilt]))]
        words.append(f"defocus {1e-4 * session.ctf.defocus_ang[tilt]:.3f} µm")
        if np.isfinite(session.ctf.fit_ang[tilt]):
            words.append(f"rings to {session.ctf.fit_ang[tilt]:.1f} Å")
        return "    ".join(words)
