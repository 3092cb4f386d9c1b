"""GPAW on several cores: a session under mpiexec, spoken to through its standard input and output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from typing import Any

from ionscape.errors import CalculationError
from ionscape.levels.gpaw.worker import MARK
from ionscape.units import Count, Energy


def useful_processes(asked: Count, channels: Count) -> Count:
    """Return how many of the `asked` processes help: 1 without mpiexec; one per k-point without ScaLAPACK."""
    from gpaw import cgpaw

    if shutil.which("mpiexec") is None or not cgpaw.have_mpi:
        return 1
    return asked if hasattr(cgpaw, "new_blacs_context") else min(asked, channels)


class MPISession:
    """A `Session` in `processes` processes.

    Parameters
    ----------
    processes
        Number of MPI processes.
    log, restart
        As those of `Session`.
    """

    def __init__(self, processes: Count, log: str | None, restart: str | None) -> None:
        self.processes, self._log, self._restart = processes, log, restart
        self._worker: Any = None
        self._errors: Any = None

    def forget(self) -> None:
        """Drop density and wave functions."""
        if self._worker is not None:
            self._exchange({"forget": True})

    def evaluate(self, atoms: Any, asked: dict[str, Any], cutoffs: Sequence[Energy] = ()) -> dict[str, Any]:
        """Return what `Session.evaluate` returns.

        Raises
        ------
        CalculationError
            If no mixer reaches self-consistency, or the processes end before they answer.
        """
        answer = self._exchange(
            {
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.array.tolist(),
                "asked": asked,
                "cutoffs": list(cutoffs),
            }
        )
        if "failure" in answer:
            raise CalculationError(answer["failure"])
        return answer

    def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            self._start()
        try:
            self._worker.stdin.write(json.dumps({**request, "log": self._log, "restart": self._restart}) + "\n")
            self._worker.stdin.flush()
            for line in self._worker.stdout:
                if line.startswith(MARK):
                    answer: dict[str, Any] = json.loads(line.removeprefix(MARK))
                    return answer
        except BrokenPipeError:
            pass
        raise self._ended()

    def _ended(self) -> CalculationError:
        code = self._worker.wait()
        self._errors.seek(0)
        lines = self._errors.read().splitlines()
        told = next((line for line in lines if "Error" in line), " ".join(lines[-3:]))[:300]
        self._worker = None
        return CalculationError(f"GPAW's processes ended without an answer (code {code}): {told}")

    def _start(self) -> None:
        from gpaw import setup_paths

        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  lives as long as the worker
        command = ["mpiexec", "--oversubscribe", "--bind-to", "none", "-n", str(self.processes)]
        command += ["--allow-run-as-root"] if os.geteuid() == 0 else []
        command += [sys.executable, "-m", "gpaw", "python", "-m", "ionscape.levels.gpaw.worker"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GPAW_MPI_BACKEND": "cgpaw"}
        environment["GPAW_SETUP_PATH"] = os.pathsep.join(str(path) for path in setup_paths)
        self._worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        weakref.finalize(self, _stop, self._worker, self._errors)


def _stop(worker: Any, errors: Any) -> None:
    """End the processes: their standard input ends, then they."""
    worker.stdin.close()
    worker.stdout.close()
    try:
        worker.wait(timeout=5)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()
    errors.close()
