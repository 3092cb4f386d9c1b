"""What a registry search asked for and what it was told, and the decision of when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ionscape.errors import CalculationError
from ionscape.results import Failure
from ionscape.units import Array, Count, Energy, LengthArray

#: Takes shifts (b, 3), Å, and returns an energy in eV or a failure for each, in order.
Objective = Callable[[Array], Sequence[float | Failure]]


@dataclass(frozen=True)
class Evaluation:
    """One evaluated shift: lateral and normal, Å, and its energy or why there is none.

    Attributes
    ----------
    reason
        Why it was chosen: ``start``, ``expected improvement``.
    """

    shift: LengthArray
    outcome: Energy | Failure
    reason: str


@dataclass(frozen=True)
class SearchTrace:
    """A registry search.

    Attributes
    ----------
    evaluations
        In their order.
    n_candidates
        Shifts that could be asked for.
    n_excluded
        Shifts left out beforehand because atoms would overlap.
    stopped
        Why it ended.
    """

    evaluations: tuple[Evaluation, ...]
    n_candidates: Count
    n_excluded: Count
    stopped: str

    @property
    def best(self) -> Evaluation:
        """The evaluation of lowest energy; of equals the first.

        Raises
        ------
        CalculationError
            If all evaluations failed.
        """
        done = [one for one in self.evaluations if not isinstance(one.outcome, Failure)]
        if not done:
            reasons = "; ".join(dict.fromkeys(str(getattr(e.outcome, "reason", "")) for e in self.evaluations))
            message = f"none of {len(self.evaluations)} shifts gave an energy ({reasons or 'none was allowed'})"
            raise CalculationError(message)
        return min(done, key=energy_of)


def energy_of(evaluation: Evaluation) -> float:
    """Return the energy of an evaluation that succeeded, eV."""
    if isinstance(evaluation.outcome, Failure):
        raise CalculationError(evaluation.outcome.reason)
    return float(evaluation.outcome)


class Visited:
    """The candidates asked for so far, with what came back.

    Parameters
    ----------
    candidates
        Shifts, (n, 3), Å.
    objective
        What evaluates them.
    """

    def __init__(self, candidates: Array, objective: Objective) -> None:
        self.candidates = np.asarray(candidates, dtype=float)
        self._objective = objective
        self.order: list[int] = []
        self.evaluations: list[Evaluation] = []

    def evaluate(self, chosen: Sequence[int], reason: str) -> None:
        """Ask for the candidates `chosen`, all in one batch."""
        outcomes = self._objective(self.candidates[list(chosen)])
        for index, outcome in zip(chosen, outcomes, strict=True):
            shift = self.candidates[index].copy()
            shift.setflags(write=False)
            self.order.append(int(index))
            self.evaluations.append(Evaluation(shift, outcome, reason))

    @property
    def known(self) -> tuple[list[int], Array]:
        """Candidates that gave an energy, and the energies, eV."""
        pairs = [
            (i, float(e.outcome))
            for i, e in zip(self.order, self.evaluations, strict=True)
            if not isinstance(e.outcome, Failure)
        ]
        return [i for i, _ in pairs], np.array([energy for _, energy in pairs])

    @property
    def failed(self) -> list[int]:
        """Candidates that gave no energy."""
        return [i for i, e in zip(self.order, self.evaluations, strict=True) if isinstance(e.outcome, Failure)]

    def trace(self, n_excluded: int, stopped: str) -> SearchTrace:
        """Return the search that ended now, because of `stopped`."""
        return SearchTrace(tuple(self.evaluations), len(self.candidates), n_excluded, stopped)
