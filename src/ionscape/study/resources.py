"""The table [engine] of a study file: where calculations run, and what each level of theory gets there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ionscape.settings import Settings

Kind = Literal["processes", "threads", "slurm", "pbs", "kubernetes"]
Lines = Annotated[tuple[str, ...], Field(strict=False)]
#: What levels are for; each may have resources of its own.
ROLES = ("cheap", "dear", "fast", "learned")


class Resources(Settings):
    """What calculations get from a scheduler; short ones share a job, long ones go on in the next."""

    cores: int = Field(1, ge=1, le=4096, description="Cores of each calculation.")
    memory_GB: int = Field(
        0, ge=0, le=100_000, description="Memory of each calculation, GB; 0 asks for none (the site's default)."
    )
    gpus: int = Field(0, ge=0, le=64, description="GPUs of each calculation.")
    calculations_per_job: int = Field(1, ge=1, le=4096, description="Calculations side by side in one job.")
    jobs: int = Field(1, ge=1, le=10_000, description="Largest number of jobs at a time.")
    wall_time_min: int = Field(1440, ge=1, le=1_000_000, description="Wall time of a job, min.")
    environment: Lines = Field(
        (), description="Lines of shell before the workers of this level, after those of [engine]."
    )


class EngineSettings(Settings):
    """Where calculations run."""

    kind: Kind = Field(
        "processes",
        description="On this machine: 'processes' (workers side by side) or 'threads' (in the process of the run, "
        "one after another on all cores). On a cluster: 'slurm', 'pbs' or 'kubernetes'.",
    )
    workers: int = Field(0, ge=0, le=1024, description="Local worker processes; 0 means one per core available.")
    threads_per_worker: int = Field(
        0, ge=0, le=256, description="Threads of each local worker; 0 shares the cores equally between workers."
    )
    queue: str = Field("", description="Partition (Slurm), queue (PBS) or namespace (Kubernetes).")
    account: str = Field("", description="Account to be charged.")
    options: Lines = Field(
        (), description="Further lines for the scheduler, such as '#SBATCH --qos=long' or '#PBS -l place=excl'."
    )
    environment: Lines = Field(
        (), description="Lines of shell before the workers, such as 'module load openmpi' or 'export NAME=value'."
    )
    address: str = Field(
        "", description="Address by which jobs reach this machine; without it all of its own are tried."
    )
    image: str = Field("", description="Kubernetes: container image that has ionscape installed.")
    volumes: dict[str, str] = Field(
        default_factory=dict,
        description="Kubernetes: persistent volume claim = folder in the container. The store must be on one of "
        "them, at the same path as here.",
    )
    margin_min: float = Field(
        5.0, gt=0, le=1440, description="Long calculations stop, to go on in the next job, before its end, min."
    )
    lost_after_s: int = Field(
        60, ge=10, le=3600, description="A job without a sign for so long is taken as lost, s."
    )
    idle_s: int = Field(
        60, ge=1, le=86_400, description="A job that has had nothing to do for so long is given back, s."
    )
    retries: int = Field(
        2, ge=0, le=100, description="Further tries of a calculation whose worker was lost; failures have none."
    )
    resources: Resources = Field(default_factory=Resources, description="What calculations get from a scheduler.")
    cheap: Resources | None = Field(None, description="What differs for [levels.cheap].")
    dear: Resources | None = Field(None, description="What differs for [levels.dear].")
    fast: Resources | None = Field(None, description="What differs for [levels.fast].")
    learned: Resources | None = Field(None, description="What differs for the potential of [potential].")

    @property
    def is_local(self) -> bool:
        """Whether calculations run on this machine."""
        return self.kind in {"processes", "threads"}

    def of_role(self, role: str) -> Resources:
        """Return the resources of levels of `role`: what their table gives, else those of all."""
        own: Resources | None = getattr(self, role) if role in ROLES else None
        given = {name: getattr(own, name) for name in own.model_fields_set} if own else {}
        return self.resources.model_copy(update=given)
