"""The registry search of the source study: Gaussian process, squared exponential, Expected Improvement.

As its text has it: a grid of shifts; three random starts; a Gaussian process with a radial-basis-function kernel
whose hyper-parameters minimise the mean square error with the Adam optimiser at a learning rate of 0.01; the next
shift is that of the largest Expected Improvement; the search ends when the best has not changed for two steps.

Where the text is silent we take the customary: energies standardised to mean 0 and variance 1, one correlation
length for all directions, parameters kept positive by softplus and started at softplus(0), 100 steps of Adam. The
mean square error is that of the posterior mean at the observed shifts; `loss` = "evidence" maximises the marginal
likelihood in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ionscape.interfaces.gaussian_process import expected_improvement
from ionscape.interfaces.registry_trace import Objective, SearchTrace, Visited
from ionscape.units import Array

#: Added to the diagonal for the factorisation, relative to a variance of 1.
JITTER = 1e-6
LEARNING_RATE = 0.01
ADAM_STEPS = 100

Loss = Literal["mse", "evidence"]


@dataclass(frozen=True)
class StudyRules:
    """Counts of the study's search: random starts, steps without change at which it ends, and its loss."""

    starts: int = 3
    patience: int = 2
    max_evaluations: int = 676
    loss: Loss = "mse"


def study_search(
    candidates: Array, objective: Objective, rng: np.random.Generator, rules: StudyRules | None = None
) -> SearchTrace:
    """Return the search of the study among `candidates`.

    A shift that gave no energy counts as a step; the process never sees it.

    Parameters
    ----------
    candidates
        The grid, (n, 3), Å.
    objective
        What evaluates shifts.
    rng
        Chooses the starts.
    rules
        Starts, end and loss; those of the study by default.
    """
    rules = rules or StudyRules()
    visited = Visited(candidates, objective)
    allowed = min(rules.max_evaluations, len(visited.candidates))
    starts = rng.permutation(len(visited.candidates))[: min(rules.starts, allowed)]
    visited.evaluate([int(i) for i in starts], "start")
    unchanged = 0
    while unchanged < rules.patience:
        if len(visited.order) >= allowed:
            return visited.trace(0, f"{allowed} evaluations were made")
        before = visited.known[1].min(initial=np.inf)
        visited.evaluate([_next(visited, rules.loss, rng)], "expected improvement")
        unchanged = 0 if visited.known[1].min(initial=np.inf) < before else unchanged + 1
    return visited.trace(0, f"the best has not changed for {rules.patience} steps")


def _next(visited: Visited, loss: Loss, rng: np.random.Generator) -> int:
    free = np.setdiff1d(np.arange(len(visited.candidates)), visited.order)
    known, energies = visited.known
    if len(known) < 2:
        return int(rng.choice(free))
    spread = energies.std() or 1.0
    values = (energies - energies.mean()) / spread
    mean, deviation = _predicted(visited.candidates[known], values, visited.candidates[free], loss)
    gain = expected_improvement(mean, deviation, float(values.min()))
    return int(free[np.argmax(gain)])


def _predicted(known: Array, values: Array, asked: Array, loss: Loss) -> tuple[Array, Array]:
    """Return mean and deviation at the points `asked` after fitting the process to the known ones."""
    x, y, new = (torch.as_tensor(np.array(part), dtype=torch.float64) for part in (known, values, asked))
    raw = _fitted(x, y, loss)
    with torch.no_grad():
        length, scale, noise = softplus(raw)
        factor = _factor(x, length, scale, noise)
        across = scale * _kernel(new, x, length)
        mean = (across @ torch.cholesky_solve(y[:, None], factor))[:, 0]
        white = torch.linalg.solve_triangular(factor, across.T, upper=False)
        variance = (scale - (white**2).sum(dim=0)).clamp_min(1e-12)
    return mean.numpy(), variance.sqrt().numpy()


def _fitted(x: Tensor, y: Tensor, loss: Loss) -> Tensor:
    raw = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=LEARNING_RATE)
    for _ in range(ADAM_STEPS):
        optimizer.zero_grad()
        length, scale, noise = softplus(raw)
        factor = _factor(x, length, scale, noise)
        weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
        if loss == "mse":
            error = ((scale * _kernel(x, x, length) @ weights - y) ** 2).mean()
        else:
            error = (0.5 * y @ weights + factor.diagonal().log().sum()) / len(y)
        error.backward()
        optimizer.step()
    return raw.detach()


def _factor(x: Tensor, length: Tensor, scale: Tensor, noise: Tensor) -> Tensor:
    return torch.linalg.cholesky(
        scale * _kernel(x, x, length) + (noise + JITTER) * torch.eye(len(x), dtype=torch.float64)
    )


def _kernel(one: Tensor, other: Tensor, length: Tensor) -> Tensor:
    square = ((one[:, None] - other[None, :]) ** 2).sum(dim=-1)
    return torch.exp(-0.5 * square / length**2)
