"""What a run of molecular dynamics is asked to be: ensemble, conditions, times, and what makes it stop."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ionscape.settings import Settings
from ionscape.units import Count

#: Temperature of a thermostat, K.
Kelvin = Annotated[float, Field(gt=0, le=1e5)]
Ensemble = Literal["nve", "nvt", "nvt-langevin", "npt", "npt-isotropic"]


class GuardSettings(Settings):
    """When a run has left the domain in which it means anything, and is stopped."""

    closest_approach: float = Field(
        0.5, ge=0, lt=1, description="Smallest distance of two atoms as a part of the sum of their covalent radii."
    )
    hottest: float = Field(
        3.0, gt=1, description="Largest instantaneous temperature in units of temperature_K; 1000 K are added."
    )
    largest_drift_meV_per_atom_per_ps: float = Field(
        5.0, gt=0, description="Largest drift of the conserved energy, meV per atom and ps."
    )
    host_melts_at: float = Field(
        0.5,
        gt=0,
        description="Root-mean-square displacement of the host at which it counts as molten, as a part of the "
        "mean distance between neighbours in it. Only looked at where mobile elements are named.",
    )
    volume_factor: float = Field(2.0, gt=1, description="Largest factor by which the volume may change.")


class MotionSettings(Settings):
    """How atoms are moved: all of a run of molecular dynamics but its temperature, seed and mobile elements.

    The times of the source study are the defaults.
    """

    ensemble: Ensemble = Field(
        "npt",
        description="nve (velocity Verlet), nvt (Nosé–Hoover chain), nvt-langevin, npt (Martyna–Tobias–Klein, "
        "full cell), npt-isotropic (the same, the cell keeps its shape).",
    )
    pressure_GPa: float = Field(0.0, ge=-100, le=1000, description="External pressure (npt), GPa.")
    timestep_fs: float = Field(1.0, gt=0, le=20, description="Time step, fs.")
    frame_interval_fs: float = Field(
        10.0, gt=0, description="Time between recorded frames, a multiple of the time step, fs."
    )
    equilibration_ps: float = Field(
        20.0,
        ge=0,
        description="Time before the production, recorded apart, ps; its first half with Langevin forces in a "
        "fixed cell, whatever the ensemble.",
    )
    production_ps: float = Field(100.0, gt=0, description="Time of the production, ps.")
    thermostat_time_fs: float = Field(100.0, gt=0, description="Time constant of the thermostat, fs.")
    barostat_time_fs: float = Field(1000.0, gt=0, description="Time constant of the barostat, fs.")
    precision: Literal["single", "double"] = Field("single", description="How positions are recorded.")
    independent_evaluations: bool = Field(
        True,
        description="Every evaluation starts from a calculator without memory, which exact continuation needs; "
        "false lets a DFT code start from its last density.",
    )
    guards: GuardSettings = Field(default_factory=GuardSettings, description="When the run is stopped.")

    @field_validator("frame_interval_fs")
    @classmethod
    def _whole_steps(cls, value: float, info: ValidationInfo) -> float:
        step = info.data.get("timestep_fs")
        if step and (round(value / step) < 1 or abs(value / step - round(value / step)) > 1e-6):
            raise PydanticCustomError("steps", "a multiple of the time step ({step} fs)", {"step": step})
        return value

    @field_validator("production_ps")
    @classmethod
    def _two_frames(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("frame_interval_fs")
        if interval and 1000 * value < 2 * interval * (1 - 1e-9):
            least = f"{2 * interval / 1000:g}"
            raise PydanticCustomError("frames", "at least two frame intervals ({least} ps)", {"least": least})
        return value

    @property
    def steps_per_frame(self) -> Count:
        """Number of steps between recorded frames."""
        return round(self.frame_interval_fs / self.timestep_fs)

    @property
    def equilibration_steps(self) -> Count:
        """Number of steps before the production."""
        return round(1000 * self.equilibration_ps / self.timestep_fs)

    @property
    def thermalisation_steps(self) -> Count:
        """Number of first steps with Langevin forces: half of those before the production."""
        return self.equilibration_steps // 2

    @property
    def steps(self) -> Count:
        """Number of steps in all."""
        return self.equilibration_steps + round(1000 * self.production_ps / self.timestep_fs)


class DynamicsSettings(MotionSettings):
    """A run of molecular dynamics."""

    temperature_K: float = Field(
        300.0, gt=0, le=1e5, description="Temperature of the start and of the thermostat, K."
    )
    seed: int = Field(0, ge=0, description="Seed of the first velocities and of the Langevin forces.")
    mobile: tuple[str, ...] = Field((), description="Elements that may diffuse; the others are the host.")


class DynamicsPlan(MotionSettings):
    """Molecular dynamics of every material at every temperature."""

    temperatures_K: Annotated[tuple[Kelvin, ...], Field(min_length=1, strict=False)] = Field(
        (600.0, 800.0, 1000.0, 1200.0, 1400.0), description="Temperatures, K; every material is run at each."
    )
    production_ps_at: dict[str, float] = Field(
        default_factory=dict,
        description="Temperature = time of the production there, ps, where it is not `production_ps`.",
    )
    replicas: int = Field(
        1, ge=1, le=1000, description="Runs of every material at every temperature, each with its own seed."
    )
    batch: bool = Field(
        False,
        description="Run all materials and temperatures as one batch: a step of all cells is one evaluation, by "
        "TorchSim, on a GPU where there is one. Only levels with a model of it, such as learned potentials.",
    )
    mobile: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        ("Li",), description="Elements that may diffuse; the others are the host, and a run stops when they melt."
    )

    @field_validator("production_ps_at")
    @classmethod
    def _at_temperatures(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        known = [f"{kelvin:g}" for kelvin in info.data.get("temperatures_K", ())]
        least = 2 * info.data.get("frame_interval_fs", 0.0) / 1000
        for name, time in value.items():
            if name not in known or not time >= least > 0:
                told = {"known": ", ".join(known), "least": f"{least:g}"}
                raise PydanticCustomError("times", "times of at least {least} ps by temperature ({known})", told)
        return value

    def run_settings(self, temperature_K: float, seed: int) -> DynamicsSettings:
        """Return the settings of one run."""
        shared = {name: getattr(self, name) for name in MotionSettings.model_fields}
        shared["production_ps"] = self.production_ps_at.get(f"{temperature_K:g}", self.production_ps)
        return DynamicsSettings(temperature_K=temperature_K, seed=seed, mobile=self.mobile, **shared)
