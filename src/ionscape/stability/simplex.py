r"""Linear programmes of phase equilibria, solved by the revised simplex method along a line of compositions.

    E(t) = min Σ_i n_i e_i   subject to   Σ_i n_i f_i = b + t d,  n_i ≥ 0

=====  =====================================================================
b, d   start and direction of the line, atoms of each element, (m,)
t      position on the line, t ≥ 0
f_i    atoms of each element in phase i, (m,)
e_i    energy of phase i
n_i    amount of phase i
y      prices: chemical potentials of the elements, (m,)
=====  =====================================================================

E(t) is convex and piecewise linear. Its pieces are found one after the other: a basis B of m phases is optimal for
as long as n = B⁻¹(b + t d) ≥ 0; the phase that is used up leaves, and the ratio test of the dual simplex method
tells which enters (parametric programming; Gass & Saaty, Nav. Res. Logist. Q. 2, 39 (1955),
doi:10.1002/nav.3800020106). So every kink is met, with no grid and no convex hull, in any number of elements.

Compositions of phases are degenerate points of the programme, at which the method could run in circles. Bases are
therefore chosen for amounts shifted by less than 1e-8 (Charnes, Econometrica 20, 160 (1952), doi:10.2307/1907845);
positions, amounts and energies are those of the true composition. Elements with less than 1e-6 of the atoms are
beyond what these shifts resolve.
"""

from __future__ import annotations

import numba
import numpy as np

from ionscape.units import Array, Indices

#: Energy per atom of the artificial phases, one an element, that make the first basis.
PROHIBITIVE = 1e4
#: A phase enters only if it lowers the energy by more than this, in the unit of the energies.
LEAST_GAIN = 1e-11
#: A piece on which a phase lies farther below the prices of its elements is not optimal: rounding spoilt it.
CERTAIN = 1e-8
#: Smaller pivots are rounding.
LEAST_PIVOT = 1e-10
#: The first basis is chosen this far along the line, where no element of the line is absent.
FIRST_STEP = 1e-7
#: Size of the shift of the amounts.
SHIFT = 1e-9
#: Pieces of the line shorter than this come from the shift.
SHORTEST = 1e-7
#: Most pivots of one walk, and how many of them go by before the inverse of the basis is made anew.
MOST_PIVOTS, FRESH = 2000, 12

SOLVED, NO_MIXTURE, NOT_SOLVED = 0, 1, 2


@numba.njit(cache=True)
def _factorise(basis: Indices, phases: Array, energies: Array, inverse: Array, prices: Array) -> bool:
    """Set B⁻¹, (m, m), and the prices y = e_B B⁻¹, (m,), of `basis` in place; return False if B is singular."""
    m = len(basis)
    square = np.empty((m, m))
    for k in range(m):
        for i in range(m):
            square[i, k] = phases[basis[k], i]
    try:
        inverse[:] = np.linalg.inv(square)
    except Exception:  # noqa: BLE001  compiled code knows no other; rounding made a pivot of what was none
        return False
    prices[:] = 0.0
    for k in range(m):
        for i in range(m):
            prices[i] += energies[basis[k]] * inverse[k, i]
    return True


@numba.njit(cache=True)
def _exchange(row: int, column: Array, gain: float, inverse: Array, prices: Array) -> None:
    """Update B⁻¹ and y in place: a phase with B⁻¹ f = `column`, `gain` above its prices, takes place `row`."""
    m = len(prices)
    for i in range(m):
        inverse[row, i] /= column[row]
        prices[i] += gain * inverse[row, i]
    for k in range(m):
        if k != row and column[k] != 0.0:
            for i in range(m):
                inverse[k, i] -= column[k] * inverse[row, i]


@numba.njit(cache=True)
def _amounts(inverse: Array, composition: Array) -> Array:
    """Return n = B⁻¹ `composition`, (m,)."""
    m = len(composition)
    amounts = np.zeros(m)
    for k in range(m):
        for i in range(m):
            amounts[k] += inverse[k, i] * composition[i]
    return amounts


@numba.njit(cache=True)
def _gain(phase: Array, energy: float, prices: Array) -> float:
    """Return how far the energy of a phase lies above the prices of its elements; below them if negative."""
    for i in range(len(prices)):
        energy -= prices[i] * phase[i]
    return energy


@numba.njit(cache=True)
def _cheapest(phases: Array, energies: Array, prices: Array) -> tuple[int, float]:
    """Return the phase farthest below the prices of its elements and its gain; −1 if none is below them."""
    best, lowest = -1, -LEAST_GAIN
    for j in range(len(phases)):
        gain = _gain(phases[j], energies[j], prices)
        if gain < lowest:
            best, lowest = j, gain
    return best, lowest


@numba.njit(cache=True)
def _used_up(amounts: Array, column: Array) -> int:
    """Return the basic phase that is used up first when one with B⁻¹ f = `column` enters, −1 if none is."""
    row, least = -1, np.inf
    for k in range(len(column)):
        if column[k] > LEAST_PIVOT and amounts[k] < least * column[k]:
            row, least = k, max(amounts[k], 0.0) / column[k]
    return row


@numba.njit(cache=True)
def _optimise(
    target: Array, phases: Array, energies: Array, basis: Indices, inverse: Array, prices: Array
) -> bool:
    """Change the feasible `basis` in place into the optimal one at `target`; return whether that ended."""
    fresh = True
    for pivot in range(1, MOST_PIVOTS):
        entering, gain = _cheapest(phases, energies, prices)
        if entering < 0 and fresh:
            return True
        fresh = entering < 0 or pivot % FRESH == 0
        if entering >= 0:
            column = _amounts(inverse, phases[entering])
            row = _used_up(_amounts(inverse, target), column)
            if row < 0:
                return False
            basis[row] = entering
            _exchange(row, column, gain, inverse, prices)
        if fresh and not _factorise(basis, phases, energies, inverse, prices):
            return False
    return False


@numba.njit(cache=True)
def _next_end(amounts: Array, rates: Array) -> tuple[int, float]:
    """Return the basic phase that is used up next along the line, and where; −1 and ∞ if none ever is."""
    row, end = -1, np.inf
    for k in range(len(amounts)):
        if rates[k] < -LEAST_PIVOT and amounts[k] < end * -rates[k]:
            row, end = k, -amounts[k] / rates[k]
    return row, end


@numba.njit(cache=True)
def _successor(row: int, phases: Array, energies: Array, inverse: Array, prices: Array) -> tuple[int, float]:
    """Return the phase that takes `row` beyond its end, and its gain; −1 if no mixture goes on."""
    best, least, lowest = -1, np.inf, 0.0
    for j in range(len(phases)):
        pivot = 0.0
        for i in range(len(prices)):
            pivot -= inverse[row, i] * phases[j, i]
        if pivot > LEAST_PIVOT:
            gain = max(_gain(phases[j], energies[j], prices), 0.0)
            if gain < least * pivot:
                best, least, lowest = j, gain / pivot, gain
    return best, lowest


@numba.njit(cache=True)
def _is_real(basis: Indices, n: int, amounts: Array) -> bool:
    """Return whether no artificial phase (index ≥ n) has more than a trace in the mixture."""
    for k in range(len(basis)):  # noqa: SIM110  compiled
        if basis[k] >= n and abs(amounts[k]) > 10 * SHIFT:
            return False
    return True


@numba.njit(cache=True)
def _with_artificial(phases: Array, energies: Array) -> tuple[Array, Array]:
    n, m = phases.shape
    more, dearer = np.zeros((n + m, m)), np.full(n + m, PROHIBITIVE)
    more[:n] = phases
    dearer[:n] = energies
    for i in range(m):
        more[n + i, i] = 1.0
    return more, dearer


@numba.njit(cache=True)
def _shifted(composition: Array) -> Array:
    return composition + SHIFT * (1.0 + np.sqrt(np.arange(2.0, len(composition) + 2.0)) % 1.0)


@numba.njit(cache=True)
def mixture(composition: Array, phases: Array, energies: Array) -> tuple[int, Indices, Array, Array]:
    """Return the lowest-energy mixture at one composition.

    Parameters
    ----------
    composition
        Atoms of each element, all positive, (m,).
    phases, energies
        Atoms of each element in each phase, (n, m), and the energies of the phases, (n,).

    Returns
    -------
    status
        As of `walk`.
    basis
        Phases, (m,); an index of n or more is an artificial phase.
    amounts
        Their amounts, (m,), from −1e-8 (rounding) up.
    prices
        Chemical potentials, (m,).
    """
    n, m = phases.shape
    more, dearer = _with_artificial(phases, energies)
    basis, inverse, prices = np.arange(n, n + m), np.eye(m), np.full(m, PROHIBITIVE)
    if not _optimise(_shifted(composition), more, dearer, basis, inverse, prices):
        return NOT_SOLVED, basis, _amounts(inverse, composition), prices
    amounts = _amounts(inverse, composition)
    return SOLVED if _is_real(basis, n, amounts) else NO_MIXTURE, basis, amounts, prices


@numba.njit(cache=True)
def walk(
    start: Array, direction: Array, length: float, phases: Array, energies: Array
) -> tuple[int, Array, Indices, Array, Array]:
    """Return the pieces of E(t) for 0 ≤ t ≤ `length`.

    Parameters
    ----------
    start, direction
        b and d, (m,), atoms; every element is present in one of them.
    length
        End of the line, may be infinite.
    phases, energies
        Atoms of each element in each phase, (n, m), and the energies of the phases, (n,).

    Returns
    -------
    status
        `SOLVED`; `NO_MIXTURE` if no mixture of the phases has these compositions; `NOT_SOLVED` if rounding kept
        the method from ending or left a piece that is not optimal.
    bounds
        Positions of the ends of the k pieces, (k + 1,), ascending.
    bases
        Phases of every piece, (k, m); an index of n or more is an artificial phase, present in no amount.
    amounts
        Amounts of these phases at the start of every piece and their change per unit of t, (k, 2 m).
    prices
        Chemical potentials on every piece, (k, m).
    """
    n, m = phases.shape
    more, dearer = _with_artificial(phases, energies)
    shifted = _shifted(start)
    basis, inverse, prices = np.arange(n, n + m), np.eye(m), np.full(m, PROHIBITIVE)
    bounds, bases, amounts, levels = [0.0], [basis], [np.empty(2 * m)], [prices]
    solved = _optimise(shifted + FIRST_STEP * direction, more, dearer, basis, inverse, prices)
    status = SOLVED if solved else NOT_SOLVED
    for pivot in range(1, MOST_PIVOTS):
        if status != SOLVED:
            break
        here, held, rates = bounds[-1], _amounts(inverse, start), _amounts(inverse, direction)
        row, end = _next_end(_amounts(inverse, shifted), rates)
        end = -held[row] / rates[row] if row >= 0 else np.inf
        end = end if end < length - SHORTEST else length
        if not _is_real(basis, n, held + (here + 0.5 * min(max(end - here, FIRST_STEP), 1.0)) * rates):
            status = NO_MIXTURE
        elif end > here + SHORTEST and _cheapest(more, dearer, prices)[1] < -CERTAIN:
            status = NOT_SOLVED
        elif end > here + SHORTEST:
            bounds.append(end)
            bases.append(basis.copy())
            amounts.append(np.concatenate((held + here * rates, rates)))
            levels.append(prices.copy())
        entering, gain = -1, 0.0
        if row >= 0 and end < length:
            entering, gain = _successor(row, more, dearer, inverse, prices)
        if entering < 0:
            break
        basis[row] = entering
        _exchange(row, _amounts(inverse, more[entering]), gain, inverse, prices)
        if pivot % FRESH == 0 and not _factorise(basis, more, dearer, inverse, prices):
            status = NOT_SOLVED
    if status == SOLVED and bounds[-1] < length:
        status = NOT_SOLVED
    return status, np.array(bounds), _stacked(bases), _stacked(amounts), _stacked(levels)


@numba.njit(cache=True)
def kinks(
    start: Array, direction: Array, length: float, phases: Array, energies: Array
) -> tuple[int, Array, Array, Indices, Array, Array]:
    """Return what is present at the ends of the pieces of E(t), those at infinity left out.

    Arguments as of `walk`.

    Returns
    -------
    status, bounds
        As of `walk`.
    lowest
        E at the c finite ends, (c,).
    bases, amounts
        Phases and their amounts at the finite ends, (c, m) each.
    prices
        As of `walk`.
    """
    status, bounds, bases, rising, prices = walk(start, direction, length, phases, energies)
    m, k = len(start), len(bases)
    count = len(bounds) - 1 if np.isinf(bounds[-1]) else len(bounds)
    lowest, held, present = np.zeros(count), np.zeros((count, m)), np.zeros((count, m), bases.dtype)
    for end in range(count if k > 0 else 0):
        piece = min(end, k - 1)
        present[end] = bases[piece]
        for i in range(m):
            held[end, i] = rising[piece, i] + (bounds[end] - bounds[piece]) * rising[piece, m + i]
            lowest[end] += prices[piece, i] * (start[i] + bounds[end] * direction[i])
    return status, bounds, lowest, present, held, prices


@numba.njit(cache=True)
def _stacked(rows):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  indices or numbers
    """Return all `rows` but the first, (k, m)."""
    table = np.empty((len(rows) - 1, len(rows[0])), rows[0].dtype)
    for k in range(1, len(rows)):
        table[k - 1] = rows[k]
    return table
