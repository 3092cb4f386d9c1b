"""Random tables of competing phases, the same for pymatgen, and what a written reaction says."""

from __future__ import annotations

import re

import numpy as np
from pymatgen.analysis.phase_diagram import PDEntry
from pymatgen.core import Composition
from scipy.optimize import linprog

from ionscape.phases.competing import CompetingPhases, phases_from_rows, row_of
from ionscape.phases.table import unabbreviated

SYMBOLS = ("Li", "O", "Co", "Zr", "N", "P", "Na", "Mg", "S", "Fe", "Y", "Cl")
TERM = re.compile(r"^(?:(\d[\d.e+-]*) )?(\S+)$")


def competing(counts, energies, elements) -> CompetingPhases:
    """Phases with `counts` atoms of `elements` and `energies` per atom."""
    rows = [
        row_of(Composition(dict(zip(elements, map(int, row), strict=True))), float(energy))
        for row, energy in zip(counts, energies, strict=True)
    ]
    return phases_from_rows(rows, elements, level="toy", scheme="toy", references={}, excluded={})


def random_counts(rng, n_elements: int, n_phases: int, most: int = 4) -> np.ndarray:
    """Every element, and compounds of 2 to `most` of them with small whole numbers of atoms."""
    counts = np.zeros((n_phases, n_elements), dtype=int)
    for row in counts:
        chosen = rng.choice(n_elements, rng.integers(min(2, n_elements), min(n_elements, most) + 1), replace=False)
        row[chosen] = rng.integers(1, 6, len(chosen))
    return np.vstack([np.eye(n_elements, dtype=int), counts])


def random_phases(rng, n_elements: int, n_phases: int, elements=SYMBOLS) -> CompetingPhases:
    """Elements and compounds, most of them with a negative formation energy, many of them on the hull."""
    counts = random_counts(rng, n_elements, n_phases)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    formation = -(1 - (fractions**2).sum(axis=1)) * rng.uniform(0.5, 2.0, len(counts))
    references = rng.uniform(-9.0, -1.0, n_elements)
    return competing(counts, formation + fractions @ references, elements[:n_elements])


def pymatgen_entries(phases: CompetingPhases, elements=None) -> list[PDEntry]:
    """The phases that consist of `elements`, as pymatgen takes them."""
    pairs = [(Composition(formula), e) for formula, e in zip(phases.formulas, phases.energies, strict=True)]
    kept = set(elements or phases.elements)
    return [PDEntry(c, e * c.num_atoms) for c, e in pairs if {x.symbol for x in c.elements} <= kept]


def highs(composition, fractions, energies) -> float | None:
    """The plain reference: the lowest energy at a composition by HiGHS; None if no mixture has it."""
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(energies, A_eq=fractions.T, b_eq=composition, method="highs-ds", options=tight)
    return float(found.fun) if found.status == 0 else None


def terms(reaction: str) -> tuple[dict[str, float], dict[str, float]]:
    """Coefficients on both sides of a reaction, read from its text."""
    sides = []
    for text in reaction.split(" → "):
        side: dict[str, float] = {}
        for term in text.split(" + "):
            coefficient, formula = TERM.match(term).groups()
            side[formula] = side.get(formula, 0.0) + float(coefficient or 1)
        sides.append(side)
    return sides[0], sides[1]


def is_whole(reaction: str) -> bool:
    """Return whether all coefficients are whole numbers, so that they are exact; others have four digits."""
    return all(n == round(n) for side in terms(reaction) for n in side.values())


def imbalance(reaction: str) -> float:
    """Largest difference of the atoms of an element on both sides, of all atoms on the left."""
    left, right = ({}, {})
    for side, atoms in zip(terms(reaction), (left, right), strict=True):
        for formula, coefficient in side.items():
            for element, n in Composition(unabbreviated(formula)).get_el_amt_dict().items():
                atoms[element] = atoms.get(element, 0.0) + coefficient * n
    return max(abs(left.get(e, 0.0) - right.get(e, 0.0)) for e in {*left, *right}) / sum(left.values())


def net(left, right) -> dict[str, float]:
    """Net coefficients of a reaction by reduced formula, products positive, scaled to a sum of squares of 1."""
    change: dict[str, float] = {}
    for sign, side in ((-1, left), (1, right)):
        for formula, n in side.items():
            reduced = Composition(unabbreviated(formula)).reduced_composition
            per = Composition(unabbreviated(formula)).num_atoms / reduced.num_atoms
            # An element counts in atoms, whether it is written O or O2.
            name = reduced.elements[0].symbol if len(reduced) == 1 else reduced.reduced_formula
            change[name] = change.get(name, 0.0) + sign * n * per
    size = np.sqrt(sum(n**2 for n in change.values()))
    return {name: n / size for name, n in change.items() if size > 1e-7 and abs(n) > 1e-6 * size}
