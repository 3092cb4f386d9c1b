"""What a study asks of the transport stage."""

from __future__ import annotations

from pydantic import Field

from ionscape.transport.settings import TransportSettings


class TransportPlan(TransportSettings):
    """What is read off every run, and where the Arrhenius laws are extrapolated to."""

    at_K: float = Field(
        300.0, gt=0, le=1e5, description="Temperature to which diffusion and conductivity are extrapolated, K."
    )
    law_from_K: float = Field(
        0.0, ge=0, le=1e5, description="Coldest temperature whose runs enter the Arrhenius laws, K."
    )
    threads: int = Field(2, ge=1, description="Of `ionscape transport`; in a study [engine] tells.")
    memory_limit_GB: float = Field(1.0, gt=0, description="Of `ionscape transport`, GB; in a study always 1 GB.")

    @property
    def analysis(self) -> TransportSettings:
        """Settings of the analysis of one run."""
        return TransportSettings(**{name: getattr(self, name) for name in TransportSettings.model_fields})
