"""How a potential learns on the fly: what it tolerates, how cautiously it begins, how it grows."""

from __future__ import annotations

from pydantic import Field

from ionscape.potential.settings import TrainingSettings
from ionscape.settings import Settings
from ionscape.units import Count


class LearningSettings(Settings):
    """When the dear level is asked, and what is made of its answers."""

    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(inducing=1000),
        description="The potential; no frames are held out.",
    )
    tolerance_eV_per_A: float = Field(
        0.3,
        gt=0,
        description="Largest calibrated standard deviation of a force component of any atom; beyond it the dear "
        "level is asked.",
    )
    far: float = Field(
        2.5, gt=1, description="So many times the tolerance, a run goes back to where it was last looked at."
    )
    look_fs: float = Field(20.0, gt=0, description="Longest time between looks at the uncertainty, fs.")
    first_look_fs: float = Field(
        2.0, gt=0, description="Time to the first look after the model has changed, fs; each look doubles it."
    )
    first_frames: int = Field(
        8, ge=2, description="Frames labelled before the model is used: the start, its atoms displaced at random."
    )
    flight_fs: float = Field(
        15.0, gt=0, description="Longest time of the free thermal flight by which they are displaced, fs."
    )
    environment_loss: float = Field(
        2e-5,
        gt=0,
        lt=1,
        description="Covariance loss above which an environment becomes inducing, as a part of the kernel's own.",
    )
    environment_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="At least this part of all environments becomes inducing, whatever its loss, until four "
        "fifths of the most are there.",
    )
    environments_per_frame: int = Field(40, ge=1, description="Most inducing environments that one frame adds.")
    refit_growth: float = Field(
        1.5, gt=1, description="The potential is fitted anew whenever the data have grown by this factor."
    )
    calibration_frames: int = Field(
        20, ge=2, description="The uncertainty is calibrated by the errors found on so many last frames."
    )

    def last_refit(self, frames: Count) -> Count:
        """Return after how many of `frames` ≥ 1 frames the potential was last fitted anew."""
        last = 1
        while (following := max(last + 1, round(self.refit_growth * last))) <= frames:
            last = following
        return last
