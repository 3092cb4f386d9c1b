"""The simplex method along a line: against HiGHS, by optimality certificates, and where it could go astray."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import highs

from ionscape.stability import simplex
from ionscape.stability.equilibrium import NoMixtureError, equilibria_along, equilibrium

SEEDS = st.integers(0, 2**32 - 1)
ENERGIES = ("formation", "few values", "all on the hull", "one plane")
LINES = ("any", "from a phase", "between phases", "between elements", "traces", "through phases")


def table(rng, n_elements, n_phases, kind):
    """Atom fractions with every element, some of them twice, and energies of a `kind`."""
    counts = np.zeros((n_phases, n_elements))
    for row in counts:
        chosen = rng.choice(n_elements, rng.integers(1, min(n_elements, 5) + 1), replace=False)
        row[chosen] = rng.integers(1, 6, len(chosen))
    counts = np.vstack([np.eye(n_elements), counts])
    fractions = counts / counts.sum(axis=1, keepdims=True)
    squares = (fractions**2).sum(axis=1)
    energies = {
        "formation": -rng.random(len(counts)) * 2 * (1 - squares),
        "few values": rng.integers(-3, 3, len(counts)).astype(float),
        "all on the hull": 3 * squares,
        "one plane": fractions @ rng.normal(size=n_elements),
    }[kind]
    again = rng.integers(0, len(counts), len(counts) // 4)
    order = rng.permutation(len(counts) + len(again))
    return np.vstack([fractions, fractions[again]])[order], np.append(energies, energies[again])[order] - 5.0


def ends(rng, fractions, kind):
    """Both ends of a line; some elements are at one end only."""
    m = fractions.shape[1]
    a, b = np.zeros(m), np.zeros(m)
    half = m // 2 + 1
    a[:half], b[m - half :] = rng.integers(1, 6, half), rng.integers(1, 6, half)
    a, b = a / a.sum(), b / b.sum()
    if kind in {"from a phase", "between phases"}:
        a = fractions[rng.integers(len(fractions))]
    if kind == "between phases":
        b = fractions[rng.integers(len(fractions))]
    if kind == "between elements":
        a, b = np.eye(m)[0], np.eye(m)[-1]
    if kind == "traces":
        a = a + np.eye(m)[-1] * 10.0 ** -rng.integers(2, 6)
        a = a / a.sum()
    return a, b


def drawn(seed, n_elements, n_phases, kind, line):
    rng = np.random.default_rng(seed)
    fractions, energies = table(rng, n_elements, n_phases, kind)
    a, b = ends(rng, fractions, line)
    if line == "through phases":
        on_it = np.array([a + x * (b - a) for x in rng.choice([0.1, 0.25, 1 / 3, 0.5, 0.75], 3)])
        fractions = np.vstack([fractions, on_it, on_it])
        energies = np.append(energies, np.tile(energies.min() - rng.random(3) * 0.2, 2))
    return fractions, energies, a, b


def along(point, line):
    """E on the piece of `line` that holds the position and composition `point`."""
    position, composition = point
    piece = np.clip(np.searchsorted(line.positions, position, side="right") - 1, 0, len(line.potentials) - 1)
    return line.potentials[piece] @ composition[list(line.elements)]


cases = given(
    seed=SEEDS,
    n_elements=st.integers(1, 12),
    n_phases=st.sampled_from([0, 3, 10, 40, 200, 600]),
    kind=st.sampled_from(ENERGIES),
    line=st.sampled_from(LINES),
)


@settings(deadline=None, max_examples=40)
@cases
def test_agrees_with_highs_everywhere_on_the_line(seed, n_elements, n_phases, kind, line):
    fractions, energies, a, b = drawn(seed, n_elements, n_phases, kind, line)
    found = equilibria_along(a, b - a, 1.0, fractions, energies)
    assert (found.positions[0], found.positions[-1]) == (0.0, 1.0)
    middles = (found.positions[1:] + found.positions[:-1]) / 2
    for x in (*found.positions, *middles, 1e-5, 1 - 1e-5, *np.random.default_rng(seed).random(2)):
        composition = (1 - x) * a + x * b
        reference = highs(composition, fractions, energies)
        assert along((x, composition), found) == pytest.approx(reference, abs=1e-8)
        single = equilibrium(composition / composition.sum(), fractions, energies).energy
        assert single == pytest.approx(reference / composition.sum(), abs=1e-7)


@settings(deadline=None, max_examples=150)
@cases
def test_every_piece_is_certified_optimal(seed, n_elements, n_phases, kind, line):
    """Primal: the mixtures balance. Dual: no phase lies below the potentials, those present lie on them."""
    fractions, energies, a, b = drawn(seed, n_elements, n_phases, kind, line)
    found = equilibria_along(a, b - a, 1.0, fractions, energies)
    held = list(found.elements)
    usable = np.delete(fractions, held, axis=1).sum(axis=1) == 0
    gains = energies[usable][:, None] - fractions[usable][:, held] @ found.potentials.T
    assert gains.min() > -1e-9
    for k, (x, mixture) in enumerate(zip(found.positions, found.mixtures, strict=True)):
        rows, amounts = list(mixture), np.array([*mixture.values()])
        assert (amounts > 0).all()
        np.testing.assert_allclose(amounts @ fractions[rows], (1 - x) * a + x * b, atol=1e-8)
        assert amounts @ energies[rows] == pytest.approx(found.energies[k], abs=1e-7)
        piece = min(k, len(found.potentials) - 1)
        np.testing.assert_allclose(fractions[rows][:, held] @ found.potentials[piece], energies[rows], atol=1e-9)
    slopes = found.potentials @ (b - a)[held]
    assert (np.diff(slopes) > -1e-9).all()


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, n_elements=st.integers(2, 8), n_phases=st.integers(1, 40))
def test_tells_where_there_is_no_mixture(seed, n_elements, n_phases):
    """Without the elements, the line is solved exactly if HiGHS finds both of its ends feasible."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (n_phases, n_elements)) * (rng.random((n_phases, n_elements)) < 0.5)
    counts = np.vstack([counts[counts.any(axis=1)], np.eye(n_elements)[rng.random(n_elements) < 0.6]])
    if not len(counts):
        return
    fractions = counts / counts.sum(axis=1, keepdims=True)
    energies = rng.normal(-2, 1, len(fractions))
    a, b = (fractions[rng.integers(len(fractions))] if rng.random() < 0.6 else rng.dirichlet(np.ones(n_elements))
            for _ in range(2))  # fmt: skip
    feasible = [highs(end, fractions, energies) is not None for end in (a, b)]
    for end, solvable in zip((a, b), feasible, strict=True):
        if solvable:
            equilibrium(end, fractions, energies)
        else:
            with pytest.raises(NoMixtureError):
                equilibrium(end, fractions, energies)
    if all(feasible):
        found = equilibria_along(a, b - a, 1.0, fractions, energies)
        middle = (a + b) / 2
        assert along((0.5, middle), found) == pytest.approx(highs(middle, fractions, energies), abs=1e-8)
    else:
        with pytest.raises(NoMixtureError):
            equilibria_along(a, b - a, 1.0, fractions, energies)


def test_a_line_that_leaves_the_phases_half_way_is_refused():
    fractions, energies = np.array([[1.0, 0.0], [2 / 3, 1 / 3]]), np.array([-1.9, -4.8])
    with pytest.raises(NoMixtureError) as caught:
        equilibria_along(np.array([1.0, 0.0]), np.array([-1.0, 1.0]), 1.0, fractions, energies)
    assert caught.value.columns == [1]
    with pytest.raises(NoMixtureError):
        equilibria_along(np.array([2.0, 0.0]), np.array([0.0, 1.0]), np.inf, fractions, energies)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, n_elements=st.integers(2, 9), n_phases=st.integers(1, 120), kind=st.sampled_from(ENERGIES))
def test_infinite_lines_agree_with_highs(seed, n_elements, n_phases, kind):
    rng = np.random.default_rng(seed)
    fractions, energies = table(rng, n_elements, n_phases, kind)
    rest = np.append(0.0, rng.integers(0, 9, n_elements - 1)).astype(float)
    rest[-1] += 1
    direction = np.eye(n_elements)[0]
    found = equilibria_along(rest, direction, np.inf, fractions, energies)
    assert found.positions[-1] == np.inf
    assert len(found.energies) == len(found.mixtures) == len(found.positions) - 1
    for amount in (*found.positions[:-1], found.positions[-2] + 7.0, *rng.uniform(0, 20, 3)):
        composition = rest + amount * direction
        reference = highs(composition, fractions, energies)
        assert along((amount, composition), found) == pytest.approx(reference, abs=1e-7)
    pure = energies[fractions[:, 0] == 1.0].min()
    assert found.potentials[-1, found.elements.index(0)] == pytest.approx(pure, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n_elements=st.integers(2, 12), line=st.sampled_from(LINES))
def test_is_the_same_in_any_order(seed, n_elements, line):
    fractions, energies, a, b = drawn(seed, n_elements, 100, "formation", line)
    rng = np.random.default_rng(seed)
    order, columns = rng.permutation(len(energies)), rng.permutation(n_elements)
    first = equilibria_along(a, b - a, 1.0, fractions, energies)
    moved = equilibria_along(a[columns], (b - a)[columns], 1.0, fractions[np.ix_(order, columns)], energies[order])
    np.testing.assert_allclose(moved.positions, first.positions, atol=1e-7)
    np.testing.assert_allclose(moved.energies, first.energies, atol=1e-8)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n_elements=st.integers(2, 12), line=st.sampled_from(LINES), size=st.sampled_from([10.0, 1e5]))
def test_no_zero_of_energy_matters(seed, n_elements, line, size):
    """All-electron codes count from −1e5 eV/atom and more: the kinks stay where they are."""
    fractions, energies, a, b = drawn(seed, n_elements, 100, "formation", line)
    shift = np.random.default_rng(seed).normal(size=n_elements) * size
    first = equilibria_along(a, b - a, 1.0, fractions, energies)
    moved = equilibria_along(a, b - a, 1.0, fractions, energies + fractions @ shift)
    np.testing.assert_allclose(moved.positions, first.positions, atol=1e-6)
    points = a + first.positions[:, None] * (b - a)
    np.testing.assert_allclose(moved.energies - points @ shift, first.energies, atol=1e-12 * size + 1e-8)


def test_the_line_and_the_point_agree():
    rng = np.random.default_rng(5)
    fractions, energies = table(rng, 6, 150, "formation")
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    status, bounds, bases, _, prices = simplex.walk(a, b - a, 1.0, fractions, energies)
    assert status == simplex.SOLVED
    for k, x in enumerate((bounds[1:] + bounds[:-1]) / 2):
        point = (1 - x) * a + x * b
        solved, basis, amounts, potentials = simplex.mixture(point, fractions, energies)
        assert solved == simplex.SOLVED
        assert {*map(tuple, fractions[basis])} == {*map(tuple, fractions[bases[k]])}
        np.testing.assert_allclose(potentials, prices[k], atol=1e-10)
        np.testing.assert_allclose(amounts @ fractions[basis], point, atol=1e-12)


def test_what_is_not_solved_is_not_told_as_solved(monkeypatch):
    """A walk that runs out of pivots is no answer, however much of the line it has seen."""
    rng = np.random.default_rng(6)
    fractions, energies = table(rng, 6, 150, "formation")
    a, b = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    kinks = len(simplex.walk(a, b - a, 1.0, fractions, energies)[1])
    assert kinks > 4
    functions = ("_factorise", "_exchange", "_amounts", "_gain", "_cheapest", "_used_up", "_optimise", "_next_end",
                 "_successor", "_is_real", "_with_artificial", "_shifted", "_stacked", "walk")  # fmt: skip
    for name in functions:
        monkeypatch.setattr(simplex, name, getattr(simplex, name).py_func)
    statuses = set()
    for most in range(2, 40):
        monkeypatch.setattr(simplex, "MOST_PIVOTS", most)
        status, bounds, *_ = simplex.walk(a, b - a, 1.0, fractions, energies) if most > 2 else (2, [0.0])
        assert (status == simplex.SOLVED) == (bounds[-1] == 1.0)
        statuses.add(status)
    assert statuses == {simplex.SOLVED, simplex.NOT_SOLVED}


def test_rounding_that_makes_a_basis_singular_is_not_solved():
    """Phases closer than rounding tells apart, each of them twice: an answer is certified, or there is none."""
    twins = np.array([[0.5, 0.5], [0.5, 0.5]])
    assert not simplex._factorise(np.arange(2), twins, np.zeros(2), np.eye(2), np.zeros(2))
    rng, statuses = np.random.default_rng(1), []
    for _ in range(60):
        m = int(rng.integers(4, 10))
        counts = 1 + 10.0 ** -rng.integers(4, 9) * rng.integers(0, 5, (100, m))
        counts = np.vstack([np.eye(m), counts * (rng.random((100, m)) < 0.5)])
        fractions = counts[counts.any(axis=1)] / counts[counts.any(axis=1)].sum(axis=1, keepdims=True)
        fractions = np.vstack([fractions, fractions[rng.integers(0, len(fractions), 100)]])
        energies = 2 * (fractions**2).sum(axis=1)
        a, b = rng.dirichlet(np.ones(m), 2)
        status, *_, prices = simplex.walk(a, b - a, 1.0, fractions, energies)
        statuses.append(status)
        if status == simplex.SOLVED:
            assert (energies[:, None] - fractions @ prices.T).min() > -1e-7
    assert set(statuses) == {simplex.SOLVED, simplex.NOT_SOLVED}
