"""Registry searches by other packages, run by an interpreter that has them: one JSON line a run.

Run by ``benchmarks/registry_search.py`` as ``PYTHON registry_peers.py PEER MODEL.npz SEEDS EVALUATIONS``; imports
nothing of ionscape. MODEL.npz holds the pair model, the box of shifts (3, 2) and an origin (3,) for every seed.
PEER:

botorch   its standard loop: SingleTaskGP on the unit cube, standardised values, LogExpectedImprovement, 3 Sobol
starts skopt     gp_minimize of scikit-optimize with its defaults, 3 random starts (what InterOptimus uses)
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable

import numpy as np
from registry_pair_model import pair_energy

Objective = Callable[[np.ndarray], float]


def botorch(objective: Objective, box: np.ndarray, seed: int, evaluations: int) -> list[float]:
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from torch.quasirandom import SobolEngine

    torch.manual_seed(seed)
    low, width = box[:, 0], box[:, 1] - box[:, 0]
    x = SobolEngine(3, scramble=True, seed=seed).draw(3).double()
    y = [objective(low + width * row.numpy()) for row in x]
    unit = torch.stack([torch.zeros(3), torch.ones(3)]).double()
    while len(y) < evaluations:
        values = -torch.tensor(y, dtype=torch.double)[:, None]
        model = SingleTaskGP(x, values, outcome_transform=Standardize(m=1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        gain = LogExpectedImprovement(model, best_f=values.max())
        new, _ = optimize_acqf(gain, bounds=unit, q=1, num_restarts=5, raw_samples=64)
        x = torch.cat([x, new])
        y.append(objective(low + width * new[0].numpy()))
    return y


def skopt(objective: Objective, box: np.ndarray, seed: int, evaluations: int) -> list[float]:
    from skopt import gp_minimize

    found = gp_minimize(
        lambda x: objective(np.array(x)),
        [tuple(map(float, side)) for side in box],
        n_calls=evaluations,
        n_initial_points=3,
        random_state=seed,
    )
    return [float(value) for value in found.func_vals]


def main(peer: str, path: str, seeds: int, evaluations: int) -> None:
    """Run one peer on one landscape for every seed."""
    warnings.filterwarnings("ignore")
    data = dict(np.load(path))
    for seed in range(seeds):
        origin = data["origins"][seed]
        energies = PEERS[peer](lambda x, o=origin: pair_energy(data, x + o), data["box"], seed, evaluations)
        print(json.dumps({"seed": seed, "energies": energies}), flush=True)


PEERS = {"botorch": botorch, "skopt": skopt}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
