"""Schedulers of clusters: Parsl's providers made from the table [engine], and the jobs of a run found and ended.

Jobs carry the name of their run, so that one whose run was killed is told from every other.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ionscape.errors import InputError, MissingReferenceError
from ionscape.study.resources import EngineSettings, Resources

#: Seconds between two looks at the jobs of a run.
POLL = 20
#: Longest time that a command of a scheduler may take, s.
PATIENCE = 60


@dataclass(frozen=True)
class Scheduler:
    """A kind of cluster.

    Attributes
    ----------
    provider
        Makes the provider of jobs from settings, resources and the lines of shell before the workers.
    jobs
        Names of this user's jobs by their number, in a namespace where there are such.
    cancel
        Ends jobs by their numbers.
    needs
        Commands that must be there.
    """

    provider: Callable[[EngineSettings, Resources, str], Any]
    jobs: Callable[[str], dict[str, str]]
    cancel: Callable[[Sequence[str], str], object]
    needs: tuple[str, ...] = ()


def check_engine(settings: EngineSettings) -> None:
    """Raise `InputError` unless a cluster engine has what it needs: commands, packages, times that fit."""
    missing = [name for name in SCHEDULERS[settings.kind].needs if shutil.which(name) is None]
    if missing:
        raise MissingReferenceError(
            f"no command {missing[0]}",
            where=f"engine '{settings.kind}'",
            expected=f"the commands {', '.join(SCHEDULERS[settings.kind].needs)}",
            remedy="Run on a machine from which jobs can be submitted, or with --engine processes.",
        )
    if settings.kind == "kubernetes":
        _check_kubernetes(settings)
    for role in ("", "cheap", "dear", "fast", "learned"):
        wall = settings.of_role(role).wall_time_min
        if settings.margin_min >= wall:
            raise InputError(
                f"margin_min = {settings.margin_min:g} with a wall time of {wall} min",
                where=f"engine{'.' * bool(role)}{role}",
                expected="a margin shorter than the wall time",
                remedy="Set margin_min to a few minutes, or ask for a longer wall_time_min.",
            )


def _check_kubernetes(settings: EngineSettings) -> None:
    try:
        __import__("kubernetes")
    except ImportError:
        raise MissingReferenceError(
            "no package kubernetes",
            where="engine 'kubernetes'",
            expected="the client of Kubernetes",
            remedy="pip install kubernetes",
        ) from None
    if not settings.image:
        raise InputError(
            "missing",
            where="engine.image",
            expected="the name of a container image",
            remedy="Give an image that has ionscape installed.",
        )


def _walltime(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def _blocks(resources: Resources) -> dict[str, int]:
    return {"init_blocks": 1, "min_blocks": 0, "max_blocks": resources.jobs}


def _slurm(settings: EngineSettings, resources: Resources, lines: str) -> Any:
    from parsl.launchers import SimpleLauncher
    from parsl.providers import SlurmProvider

    class Slurm(SlurmProvider):
        status_polling_interval = POLL  # Parsl looks once a minute: a lost job is replaced sooner so

    together = resources.calculations_per_job
    return Slurm(
        partition=settings.queue or None,
        account=settings.account or None,
        cores_per_node=resources.cores * together,
        mem_per_node=resources.memory_GB * together or None,
        gpus_per_node=resources.gpus * together or None,
        walltime=_walltime(resources.wall_time_min),
        scheduler_options="\n".join(settings.options),
        worker_init=lines,
        exclusive=False,
        launcher=SimpleLauncher(),
        cmd_timeout=PATIENCE,
        **_blocks(resources),
    )


def _pbs(settings: EngineSettings, resources: Resources, lines: str) -> Any:
    from parsl.launchers import SimpleLauncher
    from parsl.providers import PBSProProvider

    class PBS(PBSProProvider):
        status_polling_interval = POLL

    together = resources.calculations_per_job
    chosen = [f"mem={resources.memory_GB * together}gb"] * bool(resources.memory_GB)
    chosen += [f"ngpus={resources.gpus * together}"] * bool(resources.gpus)
    return PBS(
        queue=settings.queue or None,
        account=settings.account or None,
        cpus_per_node=resources.cores * together,
        select_options=":".join(chosen),
        walltime=_walltime(resources.wall_time_min),
        scheduler_options="\n".join(settings.options),
        worker_init=lines,
        launcher=SimpleLauncher(),
        cmd_timeout=PATIENCE,
        **_blocks(resources),
    )


def _kubernetes(settings: EngineSettings, resources: Resources, lines: str) -> Any:
    from parsl.providers import KubernetesProvider

    together = resources.calculations_per_job
    memory = f"{resources.memory_GB * together}Gi" if resources.memory_GB else "2Gi"
    gpus = {"nvidia.com/gpu": str(resources.gpus * together)} if resources.gpus else None
    return KubernetesProvider(
        image=settings.image,
        namespace=settings.queue or "default",
        init_cpu=resources.cores * together,
        max_cpu=resources.cores * together,
        init_mem=memory,
        max_mem=memory,
        extra_limits=gpus,
        worker_init=lines,
        persistent_volumes=list(settings.volumes.items()),
        **_blocks(resources),
    )


def _slurm_jobs(namespace: str) -> dict[str, str]:
    del namespace
    lines = _told(["squeue", "--me", "--noheader", "--format=%i %j"]).splitlines()
    return dict(line.split(maxsplit=1) for line in lines if " " in line)


def _pbs_jobs(namespace: str) -> dict[str, str]:
    del namespace
    told = json.loads(_told(["qstat", "-f", "-F", "json"]) or "{}")
    return {number: str(job.get("Job_Name", "")) for number, job in told.get("Jobs", {}).items()}


def _pods(namespace: str) -> dict[str, str]:
    listed = _kubernetes_client().list_namespaced_pod(namespace=namespace or "default")
    return {pod.metadata.name: pod.metadata.name for pod in listed.items}


def _delete_pods(names: Sequence[str], namespace: str) -> None:
    for name in names:
        _kubernetes_client().delete_namespaced_pod(name=name, namespace=namespace or "default")


def _kubernetes_client() -> Any:
    import kubernetes

    try:
        kubernetes.config.load_kube_config()
    except kubernetes.config.ConfigException:
        kubernetes.config.load_incluster_config()
    return kubernetes.client.CoreV1Api()


def _told(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


#: The schedulers by the kind of engine.
SCHEDULERS = {
    "slurm": Scheduler(
        _slurm, _slurm_jobs, lambda jobs, _namespace: _told(["scancel", *jobs]), ("sbatch", "squeue", "scancel")
    ),
    "pbs": Scheduler(_pbs, _pbs_jobs, lambda jobs, _namespace: _told(["qdel", *jobs]), ("qsub", "qstat", "qdel")),
    "kubernetes": Scheduler(_kubernetes, _pods, _delete_pods),
}


def jobs_named(kind: str, part: str, namespace: str = "") -> list[str]:
    """Return the numbers of this user's jobs whose name holds `part`.

    Raises
    ------
    OSError, ValueError, subprocess.SubprocessError
        If the scheduler cannot be asked.
    """
    return [number for number, name in SCHEDULERS[kind].jobs(namespace).items() if part in name]
