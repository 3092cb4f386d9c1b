"""Molecular dynamics that teaches its own potential: looks at the uncertainty, questions, changes of potential.

Between two looks the engine runs on the potential as it is. A look finds it sure enough (the state is kept as
good, and the time to the next look is doubled), unsure (the dear level is asked, the potential learns, and the run
goes on from where it is), or far out: then the run goes back to the last good state and is looked at more closely
from there, and only where the closest look finds it far out it learns there, and goes back. So the frames taught
are the first beyond the tolerance, not the wreck that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import CalculationError
from ionscape.potential.active import Learner
from ionscape.units import Count, Energy, Temperature, Time

Verdict = Literal["sure", "unsure", "far"]
#: Times that a run may go back to one state.
MOST_RETURNS = 25
_GOOD = "good_"


@dataclass
class LearningRun:
    """What a run that learns remembers beside its engine.

    Attributes
    ----------
    learner
        The potential and the dear level.
    timestep
        fs.
    next_look
        Step of the next look.
    dear_steps
        Step of every lesson; 0 for those before the first.
    swaps
        Steps after which the potential was exchanged, with the lessons it had then and the jump of the conserved
        energy, which is taken off (``jump_eV``, None where none is conserved).
    """

    learner: Learner
    timestep: Time
    next_look: Count = 0
    dear_steps: list[Count] = field(default_factory=list)
    swaps: list[dict[str, Any]] = field(default_factory=list)
    _interval: Count = 1
    _offset: Energy = 0.0
    _returns: Count = 0
    _good: dict[str, NDArray[Any]] = field(default_factory=dict)
    _good_values: dict[str, Any] = field(default_factory=dict)

    @property
    def calculator(self) -> Any:
        """ASE calculator of the potential as it is now."""
        return self.learner.calculator

    def begin(self, atoms: Any, temperature: Temperature, seed: int) -> None:
        """Learn the first frames around ASE `atoms`, unless they were learned already."""
        self.learner.begin(atoms, temperature, seed)
        self.dear_steps = [0] * len(self.learner.lessons)
        self._look_soon(0)

    @property
    def may_look_closer(self) -> bool:
        """Whether the last look came later than the soonest one."""
        return self._interval > self._soonest

    @property
    def _soonest(self) -> Count:
        return max(1, round(self.learner.settings.first_look_fs / self.timestep))

    def judge(self, atoms: Any) -> Verdict:
        """Return how sure the potential is of ASE `atoms`."""
        asked = self.learner.settings
        worst = float(self.learner.deviations(atoms).max())
        if worst > asked.far * asked.tolerance_eV_per_A:
            return "far"
        return "unsure" if worst > asked.tolerance_eV_per_A else "sure"

    def learn(self, atoms: Any, step: Count) -> None:
        """Ask the dear level for ASE `atoms` at a step, and learn."""
        self.learner.ask(atoms)
        self.dear_steps.append(step)
        self._look_soon(step)

    def looked(self, step: Count) -> None:
        """Note that all is well at a step."""
        longest = max(1, round(self.learner.settings.look_fs / self.timestep))
        self._interval = min(2 * self._interval, longest)
        self.next_look = step + self._interval

    def _look_soon(self, step: Count) -> None:
        self._interval = self._soonest
        self.next_look = step + self._interval

    def keep(self, state: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Keep a state as good."""
        self._good, self._good_values = dict(state), dict(values)
        self._good_values["offset"] = self._offset
        self._returns = 0

    def good(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the last good state, to which the run goes back.

        Raises
        ------
        CalculationError
            If it went back there too often.
        """
        self._returns += 1
        if self._returns > MOST_RETURNS or not self._good:
            message = (
                f"the run left what the potential knows again and again after step "
                f"{self._good_values.get('step', 0)}, although {len(self.learner.lessons)} frames were learned: "
                "shorten the time step or the looks, or raise the tolerance"
            )
            raise CalculationError(message)
        self._offset = self._good_values["offset"]
        self._look_soon(self._good_values["step"])
        return dict(self._good), dict(self._good_values)

    def swapped(self, step: Count, before: Energy | None, after: Energy | None) -> None:
        """Note an exchange of the potential at a step, with the conserved energy before and after it, eV."""
        jump = None if before is None or after is None else after - before
        self._offset += jump or 0.0
        self.swaps.append({"step": step, "lessons": len(self.learner.lessons), "jump_eV": jump})

    def based(self, conserved: Energy | None) -> Energy | None:
        """Return the conserved energy without the jumps of exchanges, eV."""
        return None if conserved is None else conserved - self._offset

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return all that is remembered, arrays and plain values."""
        values = {
            "lessons": len(self.learner.lessons),
            "next_look": self.next_look,
            "interval": self._interval,
            "offset": self._offset,
            "returns": self._returns,
            "dear_steps": self.dear_steps,
            "swaps": self.swaps,
            "good": self._good_values,
        }
        return {_GOOD + name: array for name, array in self._good.items()}, values

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> bool:
        """Put back what `state` returned; the potential learns its lessons again from their record.

        Return False, with nothing learned, if lessons are missing.
        """
        if not 0 < values.get("lessons", 0) <= self.learner.recorded:
            return False
        self.learner.resume(values["lessons"])
        self.next_look, self._interval, self._offset = values["next_look"], values["interval"], values["offset"]
        self._returns, self._good_values = values["returns"], dict(values["good"])
        self.dear_steps, self.swaps = list(values["dear_steps"]), list(values["swaps"])
        good = {name: array for name, array in arrays.items() if name.startswith(_GOOD)}
        self._good = {name.removeprefix(_GOOD): np.array(array) for name, array in good.items()}
        return True
