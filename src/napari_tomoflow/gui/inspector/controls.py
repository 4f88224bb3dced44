"""What the panel of the inspector is made of: its keys, its words."""

import numpy as np

from napari_tomoflow.gui.inspector.session import Session

KEYS = {
    "M": "mark a landmark: the next click is followed through all tilts",
    "N": "next largest residual",
    "B": "back to the one before",
    "X": "leave this tilt out, or take it in",
    "Shift-D": "delete the selected landmark",
    "Delete": "delete the selected measurements",
    "R": "solve again",
    "T": "before / after",
    "Control-Z": "undo",
    "Control-Shift-Z": "redo",
}
"""Keys of the inspector while one of its layers is active, and what each does. Delete is napari's own."""


def quality_text(session: Session) -> str:
    """Sum up the alignment as it now is."""
    alignment, landmarks = session.alignment, session.landmarks
    residual_nm = session.tilt_residuals_ang()[alignment.kept] / 10.0
    words = [f"{int(alignment.kept.sum())} of {alignment.n_tilts} tilts"]
    if np.isfinite(residual_nm).any():
        words.append(f"residual {np.nanmean(residual_nm):.3g} nm, at most {np.nanmax(residual_nm):.3g} nm")
    if landmarks is not None:
        used = len(np.unique(landmarks.point[landmarks.believed]))
        words.append(
            f"{used} landmarks, {int(landmarks.believed.sum())} of {len(landmarks.tilt)} measurements believed"
        )
    leave_out_nm = alignment.quality.get("leave_out_nm")
    if leave_out_nm is not None and not session.needs_solving:
        words.append(f"{leave_out_nm:.3g} nm when left out")
    return " · ".join(words)
