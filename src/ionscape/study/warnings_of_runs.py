"""What a reader must know about runs of molecular dynamics and their analyses before using the numbers."""

from __future__ import annotations

from collections.abc import Iterator

from ionscape.dynamics.judgement import refusal
from ionscape.dynamics.runs import SimulatedRun
from ionscape.dynamics.stage import MaterialRun, MaterialRuns
from ionscape.potential.gate import GateResult
from ionscape.results import Failure
from ionscape.transport.stage import AnalysedRun, MaterialTransport, TransportRun

#: A mean temperature that is off by more than this share and so many of its standard errors is told.
OFF, ERRORS = 0.05, 3.0


def warnings_of_runs(dynamics: MaterialRuns | None, transport: MaterialTransport | None) -> list[str]:
    """Return in sentences what restricts runs, analyses and laws.

    Runs that did not come to their end or to their temperature, gates that passed without a comparison, hosts
    that moved, diffusion without a jump.
    """
    texts = [text for run in (dynamics.runs if dynamics else ()) for text in _of_run(run)]
    for analysed in transport.runs if transport else ():
        texts += _of_analysis(analysed)
    for law in transport.laws if transport else ():
        if not isinstance(law.law, Failure):
            texts += [f"Arrhenius law of {law.material}: {note}" for note in law.law.notes]
    return texts


def _of_run(run: MaterialRun) -> Iterator[str]:
    name = f"{run.cell.name} at {run.temperature:g} K"
    if not isinstance(run.outcome, SimulatedRun):
        yield f"{name}: the run did not come to its end: {run.outcome.reason}"
        return
    refused = refusal(run)
    if refused:
        yield f"{name}: its numbers are refused: {refused}."
    yield from _of_gate(name, run)
    mean, error = run.outcome.averages.temperature, run.outcome.averages.temperature_error
    if abs(mean - run.temperature) > max(OFF * run.temperature, ERRORS * error):
        yield f"{name}: the mean temperature is {mean:.0f} K; the run is not in equilibrium, equilibrate longer."


def _of_gate(name: str, run: MaterialRun) -> Iterator[str]:
    if not isinstance(run.gate, GateResult) or not isinstance(run.outcome, SimulatedRun):
        return
    for text in run.gate.unjudged:
        yield f"{name}: its gate did not judge the {text}."
    if isinstance(run.gate.stress_mae, Failure) and run.gate.passed and run.outcome.averages.volume_error > 0:
        yield f"{name}: its cell followed a stress that nothing judged; its volume may be wrong."


def _of_analysis(run: TransportRun) -> Iterator[str]:
    name = f"{run.of.material} at {run.of.temperature:g} K"
    if not isinstance(run.outcome, AnalysedRun):
        if not isinstance(run.of.run, Failure):
            yield f"{name}: the run could not be analysed: {run.outcome.reason}"
        return
    record = run.outcome.record
    moving = [
        element
        for element, found in record["host"].items()
        if isinstance(found, dict) and found.get("is_flat") is False
    ]
    if moving:
        yield f"{name}: the host moves ({', '.join(moving)}); its ions should stay where they are."
    jump = record["tau1_ps"]
    if "value" in record["D_cm2_per_s"] and isinstance(jump, dict) and jump["unavailable"].startswith("no jumps"):
        yield f"{name}: a diffusion coefficient without a jump that is seen: the run may be too short to tell one."
