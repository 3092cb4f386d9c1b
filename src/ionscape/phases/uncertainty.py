r"""Errors of a level's energies, with their correlations, learnt from its own errors against measured enthalpies.

The residuals r_i (formation energy at the level minus measured enthalpy, eV/atom) of all compounds that have both
are taken as values of one random function of the composition: a Gaussian process of mean zero,

    cov(r_i, r_j) = σ² κ(c_i, c_j) + ω² Σ_{a<b} 16 x_ia x_ib x_ja x_jb + τ² δ_ij + Σ_g x_ig x_jg s_g²
    κ(c, c') = k(c, c') − k(c, E) k(E, E)⁻¹ k(E, c'),    k(c, c') = exp(−|c − c'|² / 2ℓ²)

======  ==========================================================================
c       atom fractions of all elements; |c − c'| their Euclidean distance
E       the pure elements: κ vanishes there, because formation energies count from them
σ, ℓ    size of the error (eV/atom) and distance over which it is shared
ω       error of bonds between two different non-metals a, b (N–O, S–O, P–O), eV/atom where x_a = x_b = ½: levels
        trained on PBE miss nitrates, sulfates and phosphates together
τ       error of a single compound that no neighbour shares, eV/atom
s_g     standard error of the fitted reference energy of gas element g, eV/atom
x_ie    atom fraction of element e in compound i
======  ==========================================================================

σ, ℓ, ω and τ maximise the marginal likelihood. A term linear in the atom fractions, Σ_e x_ie x_je t², is not
identifiable with CHGNet (it raises the logarithm of the likelihood by 1) and is left out.

Errors are drawn from this process *without* conditioning on the residuals: the energies of a level are not
corrected by what is known about single compounds, so their known errors stay in them, and the spread has to cover
them. The tails are heavier than normal (MnS, FeBr2 and other single failures), so every draw of the whole function
is multiplied by one factor √((ν − 2)/χ²_ν): a multivariate Student t of the same covariance, ν fitted to the
leave-one-out residuals. How well that covers what is measured stands in ``docs/concepts/energy-errors.md``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from pymatgen.core import Composition
from scipy import optimize, stats

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.registry import Level
from ionscape.phases.energies import EnergyFile, packaged_energies
from ionscape.phases.formation import FormationCheck, level_references, packaged_checks
from ionscape.units import Array, Count, EnergyPerAtom, Number

#: Fewer compounds than this do not tell four parameters.
FEWEST_FOR_ERRORS = 15
#: Smallest eigenvalue that is taken for a direction of the errors, relative to the largest.
NEGLIGIBLE = 1e-12
#: Bounds of the fit: σ, ℓ, ω, τ. Below ℓ = 0.05 no two compounds share anything;
#: above 0.5 the elements would take part in the errors of compounds that do not contain them.
BOUNDS = ((1e-3, 2.0), (0.05, 0.5), (1e-3, 5.0), (2e-3, 1.0))
#: Where the fit starts (ℓ); the best end counts.
LENGTHS = (0.1, 0.2, 0.4)
NON_METALS = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Se", "Br", "I")
#: Bounds of ν: below, the variance is not defined in practice; above, the tails are normal.
TAILS = (2.5, 100.0)


@dataclass(frozen=True)
class EnergyErrors:
    """Random errors of a level's energies, correlated over composition.

    Attributes
    ----------
    level
        Name of the level of theory.
    n_compounds
        Number of compounds whose measured enthalpies the errors are learnt from.
    sigma
        σ: error shared by compounds of similar composition, eV/atom.
    length
        ℓ: distance of compositions (atom fractions) over which it is shared.
    bonds
        ω: error of bonds between two different non-metals, eV/atom where each has half of the atoms.
    nugget
        τ: error of a single compound that no neighbour shares, eV/atom.
    gases
        s_g: standard error of the fitted reference energy of each gas element, eV/atom.
    degrees_of_freedom
        ν of the Student t distribution.
    coverage
        Share of the compounds whose residual lies in the 95 % interval predicted from all others.
    """

    level: str
    n_compounds: Count
    sigma: EnergyPerAtom
    length: Number
    bonds: EnergyPerAtom
    nugget: EnergyPerAtom
    gases: Mapping[str, EnergyPerAtom]
    degrees_of_freedom: Number
    coverage: Number

    def covariance(self, fractions: Array, elements: Sequence[str]) -> Array:
        """Return the covariance of the errors of phases, (n, n), (eV/atom)².

        Each row is one phase: two rows of equal composition are two phases that do not share τ. A pure element has
        no error (its energy is where formation energies count from), a gas element that of its fitted reference.

        Parameters
        ----------
        fractions
            Atom fractions of the phases, (n, number of elements).
        elements
            Symbols of the elements, columns of `fractions`.

        Raises
        ------
        InputError
            If rows do not sum to 1 or columns do not fit `elements`.
        """
        c = _checked(fractions, elements)
        pure = c.max(axis=1, initial=0.0) > 1 - 1e-9
        single = np.where(pure, c @ [self.gases.get(element, 0.0) for element in elements], self.nugget)
        shared = _shared(c, elements, (self.sigma, self.length, self.bonds))
        shared[pure, :] = shared[:, pure] = 0.0
        return np.asarray(shared + np.diag(single**2))

    def samples(self, fractions: Array, elements: Sequence[str], count: int, rng: np.random.Generator) -> Array:
        """Return draws of the errors of all phases, (count, n), eV/atom; add a row to the energies.

        Multivariate Student t of covariance `covariance` and ν degrees of freedom. Arguments as there; `count` is
        the number of draws.
        """
        values, vectors = np.linalg.eigh(self.covariance(fractions, elements))
        largest = values[-1] if values.size else 0.0
        root = vectors * np.sqrt(np.where(values > NEGLIGIBLE * largest, values, 0.0))
        normal = rng.standard_normal((count, values.size)) @ root.T
        nu = self.degrees_of_freedom
        return np.asarray(normal * np.sqrt((nu - 2) / rng.chisquare(nu, (count, 1))))

    def interval(self, samples: Array, probability: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds `probability` of the `samples`, cut off equally at both ends."""
        low, high = np.quantile(samples, [(1 - probability) / 2, (1 + probability) / 2])
        return float(low), float(high)


def _checked(fractions: Array, elements: Sequence[str]) -> Array:
    c = np.asarray(fractions, dtype=float)
    fits = c.ndim == 2 and c.shape[1] == len(elements)
    if not fits or not np.allclose(c.sum(axis=1), 1.0, atol=1e-6) or c.min(initial=0.0) < -1e-9:
        raise InputError(
            f"atom fractions of shape {c.shape}" + (" that are no fractions" if fits else ""),
            where="errors of energies",
            expected=f"rows of {len(elements)} atom fractions that sum to 1",
            remedy="Give one column for every element and one row for every phase.",
        )
    return c


def _shared(c: Array, elements: Sequence[str], parameters: tuple[float, float, float]) -> Array:
    """Return the part of the covariance that compounds share: σ² κ and that of the bonds of non-metals."""
    sigma, length, bonds = parameters
    chosen = [i for i, element in enumerate(elements) if element in NON_METALS]
    pairs = [4 * c[:, a] * c[:, b] for n, a in enumerate(chosen) for b in chosen[:n]]
    of_bonds: Array | float = np.array(pairs).T @ np.array(pairs) if pairs else 0.0
    return np.asarray(sigma**2 * _near(c, length) + bonds**2 * of_bonds)


def _near(c: Array, length: float) -> Array:
    """Return κ of compositions `c`, (n, n): 1 for one compound far from the elements, 0 for elements."""
    elements = np.eye(c.shape[1])
    to_elements = _bell(c, elements, length)
    taken = to_elements @ np.linalg.solve(_bell(elements, elements, length), to_elements.T)
    kept = _bell(c, c, length) - taken
    return np.asarray((kept + kept.T) / 2)


def _bell(a: Array, b: Array, length: float) -> Array:
    """Return exp(−|a_i − b_j|² / 2ℓ²)."""
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * a @ b.T
    return np.asarray(np.exp(-np.maximum(squared, 0.0) / (2 * length**2)))


def energy_errors(level: Level) -> EnergyErrors:
    """Return the errors of the packaged energies of `level`; fitted once in a process.

    Raises
    ------
    MissingReferenceError
        If the package has no energies of `level`, or of fewer than 15 compounds with measured enthalpies.
    """
    return _energy_errors(level, json.dumps(level.identity(), sort_keys=True, default=str))


@functools.cache
def _energy_errors(level: Level, identity: str) -> EnergyErrors:  # noqa: ARG001  the identity is the key
    file = packaged_energies(level)
    if file is None:
        raise _too_few(level.name, 0)
    return file_errors(level.name, file)


def file_errors(level: str, file: EnergyFile) -> EnergyErrors:
    """Return the errors of the energies in `file`, of the level named `level`; raises as `energy_errors`."""
    _, references = level_references(file)
    gases = {element: reference.uncertainty for element, reference in references.items()}
    return fitted_errors(level, packaged_checks(file), gases)


def fitted_errors(level: str, checks: Sequence[FormationCheck], gases: Mapping[str, float]) -> EnergyErrors:
    """Return the errors of a level, fitted to its formation energies against experiment.

    Parameters
    ----------
    level
        Its name.
    checks
        Compounds with calculated and measured values.
    gases
        Standard errors of the fitted gas references, eV/atom.

    Raises
    ------
    MissingReferenceError
        If there are fewer than 15 compounds.
    """
    if len(checks) < FEWEST_FOR_ERRORS:
        raise _too_few(level, len(checks))
    elements = sorted({e.symbol for check in checks for e in Composition(check.formula)})
    c = np.array([[Composition(check.formula).get_atomic_fraction(e) for e in elements] for check in checks])
    residuals = np.array([check.error for check in checks])
    of_gases = c * [gases.get(e, 0.0) for e in elements]

    def covariance(parameters: tuple[float, ...]) -> Array:
        sigma, length, bonds, nugget = parameters
        shared = _shared(c, elements, (sigma, length, bonds))
        return np.asarray(shared + of_gases @ of_gases.T + nugget**2 * np.eye(len(c)))

    found = _most_likely(residuals, covariance)
    scores = _left_out(residuals, covariance(found))
    nu = _tails(scores)
    limit = float(stats.t.ppf(0.975, nu) * np.sqrt((nu - 2) / nu))
    return EnergyErrors(
        level=level,
        n_compounds=len(checks),
        sigma=found[0],
        length=found[1],
        bonds=found[2],
        nugget=found[3],
        gases=MappingProxyType(dict(gases)),
        degrees_of_freedom=nu,
        coverage=float(np.mean(np.abs(scores) <= limit)),
    )


def _too_few(level: str, found: int) -> MissingReferenceError:
    return MissingReferenceError(
        f"level '{level}' has energies of {found} compounds with measured enthalpies",
        where="errors of energies",
        expected=f"at least {FEWEST_FOR_ERRORS}",
        remedy="Take a level with packaged energies, or ask for results without intervals.",
    )


def _most_likely(residuals: Array, covariance: Callable[[tuple[float, ...]], Array]) -> tuple[float, ...]:
    """Return σ, ℓ, ω, τ of the largest marginal likelihood of the residuals."""

    def surprise(logarithms: Array) -> float:
        triangle = np.linalg.cholesky(covariance(tuple(np.exp(logarithms))))
        white = np.linalg.solve(triangle, residuals)
        return float(white @ white / 2 + np.log(np.diag(triangle)).sum())

    lowest, highest = np.log(BOUNDS).T
    spread = float(np.std(residuals)) + 1e-9
    starts = [np.clip(np.log([spread, length, spread, spread / 3]), lowest, highest) for length in LENGTHS]
    bounds = list(zip(lowest, highest, strict=True))
    ends = [optimize.minimize(surprise, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(ends, key=lambda end: float(end.fun))
    return tuple(float(value) for value in np.exp(best.x))


def _left_out(residuals: Array, covariance: Array) -> Array:
    """Return every residual's distance from its prediction by all others, in predicted standard deviations."""
    inverse = np.linalg.inv(covariance)
    return np.asarray((inverse @ residuals) / np.sqrt(np.diag(inverse)))


def _tails(scores: Array) -> float:
    """Return ν of the Student t of unit variance that the scores follow most likely."""

    def surprise(nu: float) -> float:
        return -float(stats.t.logpdf(scores, nu, scale=np.sqrt((nu - 2) / nu)).sum())

    return float(optimize.minimize_scalar(surprise, bounds=TAILS, method="bounded").x)
