"""What the CTF inspector says of a fit, in words and numbers."""

import numpy as np

from napari_tomoflow.core.model import CtfSeries
from napari_tomoflow.gui.ctf_inspector.session import Session


def quality_text(session: Session) -> str:
    """Sum up the fit as it now is."""
    ctf, kept = session.ctf, session.kept
    words = [f"{int(kept.sum())} of {ctf.n_tilts} tilts", f"defocus {1e-4 * np.median(ctf.defocus_ang[kept]):.2f} µm"]
    astigmatism_ang = float(np.median((ctf.defocus_u_ang - ctf.defocus_v_ang)[kept]))
    error_ang = ctf.quality.get("astigmatism_error_ang")
    words.append(f"astigmatism {astigmatism_ang:.0f}{'' if error_ang is None else f' ± {error_ang:.0f}'} Å")
    if np.any(ctf.phase_deg):
        words.append(f"phase shift {np.median(ctf.phase_deg[kept]):.0f}°")
    known = kept & np.isfinite(ctf.fit_ang)
    if known.any():
        words.append(f"rings to {np.median(ctf.fit_ang[known]):.1f} Å")
    if session.doubtful:
        words.append(f"{len(session.doubtful)} tilts to look at")
    return " · ".join(words)


def hand_text(ctf: CtfSeries) -> str:
    """Say what the fit says of the hand, and how sure it is."""
    quality = ctf.quality
    used = f"Defocus hand {ctf.hand:+d}" if ctf.hand else "Defocus hand undecided"
    if "hand_from_images" not in quality:
        return f"{used}."
    found = quality["hand_from_images"]
    shown = f"the images show {found:+d}" if found else "the images do not decide"
    words = [
        f"{used}; {shown}, sure to {quality['hand_confidence']:.1%}",
        f"log-likelihood {quality['hand_gain_over_other']:+.0f} over the other hand, "
        f"{quality['hand_gain_over_none']:+.0f} over no gradient",
    ]
    gradient, error = quality.get("defocus_gradient"), quality.get("defocus_gradient_error")
    if gradient is not None and error is not None:
        words.append(f"gradient {gradient:+.2f} ± {error:.2f} of what the geometry expects")
    return "; ".join(words) + "."


def tilt_words(session: Session, tilt: int) -> str:
    """Say what the fit says of one tilt."""
    ctf = session.ctf
    apart_ang = ctf.defocus_u_ang[tilt] - ctf.defocus_v_ang[tilt]
    words = [f"{session.tilt_deg[tilt]:+.1f}°: astigmatism {apart_ang:.0f} Å at {ctf.azimuth_deg[tilt]:.0f}°"]
    error_ang = (ctf.quality.get("defocus_error_ang") or [None] * ctf.n_tilts)[tilt]
    if error_ang is not None:
        words.append(f"defocus known to {error_ang:.0f} Å")
    if np.isfinite(ctf.score[tilt]):
        words.append(f"score {ctf.score[tilt]:.2f}")
    if tilt in session.doubtful:
        words.append(session.doubtful[tilt])
    return " · ".join(words)
