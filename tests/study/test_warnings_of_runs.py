"""What is told of runs beside their numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ionscape.dynamics.averages import RunAverages
from ionscape.dynamics.runs import SimulatedRun
from ionscape.dynamics.stage import MaterialRun, MaterialRuns, StartingCell
from ionscape.potential.calibration import calibration
from ionscape.potential.gate import GateResult
from ionscape.results import Failure
from ionscape.study.warnings_of_runs import warnings_of_runs

AVERAGES = RunAverages(
    frames=100, temperature=1000.0, temperature_error=2.0, pressure=0.0, pressure_error=1e-4, volume=80.0,
    volume_error=0.0, energy=-30.0, energy_error=0.01,
)  # fmt: skip
GATE = GateResult(
    frames=8, energy_mae=1e-3, energy_rmse=1e-3, energy_shift=0.0, force_mae=0.05, force_rmse=0.07, force_r2=0.99,
    softening=1.0, stress_mae=1e-3, energy_r2=0.9, calibration=calibration(np.ones(4), np.ones((4, 3))),
    failures=(), unjudged=(),
)  # fmt: skip


def told(gate: dict[str, Any], averages: dict[str, Any]) -> list[str]:
    cell = Structure(Lattice.cubic(4), ["Li"], [[0, 0, 0]])
    run = SimulatedRun(
        trajectory=Path("p"), equilibration=Path("e"), structure=cell, steps=100,
        averages=dataclasses.replace(AVERAGES, **averages), drift=0.0, ms_per_step=1.0,
    )  # fmt: skip
    of_run = MaterialRun(StartingCell("host", "Li1", 0.0, cell), 1000.0, 1, run, dataclasses.replace(GATE, **gate))
    return warnings_of_runs(MaterialRuns((of_run,), "learned"), None)


WITHOUT = {"stress_mae": Failure("none was given"), "unjudged": ("stress error: none was given",)}


@pytest.mark.parametrize(
    ("gate", "averages", "expected"),
    [
        ({}, {}, []),
        (WITHOUT, {}, ["host at 1000 K: its gate did not judge the stress error: none was given."]),
        (
            WITHOUT,
            {"volume_error": 0.1},
            [
                "host at 1000 K: its gate did not judge the stress error: none was given.",
                "host at 1000 K: its cell followed a stress that nothing judged; its volume may be wrong.",
            ],
        ),
    ],
)
def test_gate_without_a_stress_is_told(
    gate: dict[str, Any], averages: dict[str, Any], expected: list[str]
) -> None:
    assert told(gate, averages) == expected


def test_temperature_that_is_off_is_told() -> None:
    (text,) = told({}, {"temperature": 512.0})
    assert "the mean temperature is 512 K" in text
