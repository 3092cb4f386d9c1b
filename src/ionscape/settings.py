"""The base of all settings: tables of the study file, arguments of stages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every table of the study file: unknown keys and wrong types are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
