"""Parameters of the `ctf` stage; they live below it because every step of the fit reads them."""

from typing import Literal, Self

from pydantic import model_validator

from napari_tomoflow.core.params import Params, param


class CtfParams(Params):
    """How the CTF of a tilt series is fitted."""

    defocus_min_um: float = param(0.3, unit="µm", low=0.05, high=50, help="Smallest underfocus to look for.")
    defocus_max_um: float = param(10.0, unit="µm", low=0.1, high=100, help="Largest underfocus to look for.")
    phase: Literal["fixed", "fit"] = param("fixed", help="Whether a phase plate's shift is taken as given, or found.")
    phase_deg: float = param(0.0, unit="°", low=-180, high=180, help="Phase shift, where it is fixed.")
    astigmatism: bool = param(True, help="Let the defocus depend on the direction.")
    hand: Literal["data", "declared"] = param(
        "data", help="Where the sign of the defocus gradient comes from: the images, or what the series declares."
    )

    low_resolution_ang: float = param(60.0, unit="Å", low=5, high=1000, help="Coarsest detail compared.")
    high_resolution_ang: float | None = param(
        None, unit="Å", low=1, high=100, help="Finest detail compared; left empty, 5 Å or 1.15 times Nyquist."
    )
    tile_ang: float = param(1500.0, unit="Å", low=100, high=1e5, expert=True, help="Width of the tiles.")
    max_change_um: float = param(
        0.5, unit="µm", low=0.05, high=10, expert=True, help="Farthest a tilt's defocus may be from its neighbours'."
    )
    max_slope_deg: float = param(
        20.0, unit="°", low=0, high=45, expert=True, help="Largest slope of the specimen; 0 takes it for flat."
    )

    @model_validator(mode="after")
    def check_together(self) -> Self:
        """Check what one field cannot know of another."""
        if not self.defocus_min_um < self.defocus_max_um:
            raise ValueError(
                f"defocus_min_um {self.defocus_min_um:g} is not below defocus_max_um {self.defocus_max_um:g}; "
                "swap them."
            )
        if self.high_resolution_ang is not None and not self.high_resolution_ang < self.low_resolution_ang:
            raise ValueError(
                f"high_resolution_ang {self.high_resolution_ang:g} is not finer than low_resolution_ang "
                f"{self.low_resolution_ang:g}; swap them."
            )
        return self
