"""Mutual reactions: against pymatgen, kink by kink, and by what any mutual reaction must do."""

import dataclasses
import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phase_tables import (
    SYMBOLS,
    competing,
    highs,
    imbalance,
    is_whole,
    net,
    pymatgen_entries,
    random_phases,
    terms,
)
from pymatgen.analysis.interface_reactions import GrandPotentialInterfacialReactivity, InterfacialReactivity
from pymatgen.analysis.phase_diagram import GrandPotentialPhaseDiagram, PhaseDiagram
from pymatgen.core import Composition, Element

from ionscape.errors import InputError, MissingReferenceError
from ionscape.stability.contact import (
    NO_REACTION,
    ContactConditions,
    MutualReaction,
    contact_matrix,
    mutual_reaction,
)
from ionscape.stability.mobile import ion_charge, reservoir_at
from ionscape.stability.system import Reactant, chemical_system, reactant

SEEDS = st.integers(0, 2**32 - 1)
CATHODES = ("LiCoO2", "Li0.5CoO2", "CoO2", "Li5CoO4")
COATINGS = ("Li6Zr2O7", "Li49Zr16O55N", "Li2O", "Li2ZrN2", "Li3N", "ZrO2")
EXACT = 1e-6


def pair(rng, phases, most_elements: int):
    """Two compounds of up to `most_elements` together, from the phases or made up."""
    elements = list(rng.permutation(phases.elements)[:most_elements])
    inside = [f for f in phases.formulas if {e.symbol for e in Composition(f).elements} <= set(elements)]
    chosen = []
    for half in (elements[: len(elements) // 2 + 1], elements[len(elements) // 2 - 1 :]):
        made_up = "".join(f"{e}{rng.integers(1, 6)}" for e in half)
        chosen.append(made_up if rng.random() < 0.6 else str(rng.choice(inside)))
    return chosen[0], chosen[1]


def peer_kinks(cathode, other, phases, *, hull):
    first, second = Composition(cathode), Composition(other)
    together = {e.symbol for e in (first + second).elements}
    diagram = PhaseDiagram(pymatgen_entries(phases, together))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return InterfacialReactivity(first, second, diagram, norm=True, use_hull_energy=hull).get_kinks()


def told(points):
    """x, ΔE and the net reaction of kinks; those at one x, which pymatgen may repeat, once."""
    distinct = []
    for x, energy, reaction in sorted(points, key=lambda point: point[0]):
        if not distinct or x - distinct[-1][0] > EXACT:
            distinct.append((x, energy, reaction))
    return distinct


def ours(reaction: MutualReaction):
    return told([(p.x, p.energy, p.reaction) for p in reaction.profile])


def peer_reaction(reaction):
    sides = (reaction.reactants, -1), (reaction.products, 1)
    left, right = ({c.formula.replace(" ", ""): abs(reaction.get_coeff(c)) for c in side} for side, _ in sides)
    return net(left, right)


def assert_same(found, expected):
    assert [x for x, _, _ in found] == pytest.approx([x for x, _, _ in expected], abs=EXACT)
    assert [e for _, e, _ in found] == pytest.approx([e for _, e, _ in expected], abs=EXACT)
    for (_, _, mine), (_, _, theirs) in zip(found, expected, strict=True):
        assert net(*terms(mine)) == pytest.approx(theirs, abs=EXACT if is_whole(mine) else 5e-4)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, n_elements=st.integers(4, 7), hull=st.booleans())
def test_random_pairs_agree_with_pymatgen(seed, n_elements, hull):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 30)
    names = pair(rng, phases, n_elements)
    one, other = (reactant(name, phases) for name in names)
    if one.label == other.label:
        return
    stable = PhaseDiagram(pymatgen_entries(phases)).qhull_entries
    own = {entry.composition.reduced_formula: entry.energy_per_atom for entry in stable}
    # pymatgen drops phases above the elements, and then counts from the hull: only comparable without those.
    if not hull and not {one.label, other.label} <= own.keys():
        hull = True
    found = mutual_reaction(one, other, chemical_system(phases), "hull" if hull else "own")
    kinks = [(x, e, peer_reaction(r)) for _, x, e, r, _ in peer_kinks(*names, phases, hull=hull)]
    assert_same(ours(found), told(kinks))


def test_eight_elements_agree_with_pymatgen():
    rng = np.random.default_rng(8)
    phases = random_phases(rng, 8, 40)
    one, other = reactant("LiCoO2ZrN", phases), reactant("Na3PMg2O", phases)
    found = mutual_reaction(one, other, chemical_system(phases))
    kinks = peer_kinks("LiCoO2ZrN", "Na3PMg2O", phases, hull=True)
    assert_same(ours(found), told([(x, e, peer_reaction(r)) for _, x, e, r, _ in kinks]))
    assert len(found.profile) > 4


@pytest.mark.parametrize("cathode", CATHODES)
@pytest.mark.parametrize("ends", ["hull", "own"])
def test_packaged_pairs_agree_with_pymatgen(packaged, cathode, ends):
    system = chemical_system(packaged)
    for coating in COATINGS:
        one, other = reactant(cathode, packaged), reactant(coating, packaged)
        if ends == "own" and (one.energy is None or other.energy is None):
            with pytest.raises(InputError, match="no energy of its own"):
                mutual_reaction(one, other, system, ends)
            continue
        found = mutual_reaction(one, other, system, ends)
        kinks = peer_kinks(cathode, coating, packaged, hull=ends == "hull")
        assert_same(ours(found), told([(x, e, peer_reaction(r)) for _, x, e, r, _ in kinks]))
        lowest = min(e for _, _, e, _, _ in kinks)
        assert found.strongest.energy == pytest.approx(min(lowest, 0.0), abs=EXACT)


def open_kinks(names, phases, potential, mobile, *, own=False):
    """Kinks by pymatgen, x as share of the atoms that are not exchanged."""
    first, second = (Composition(name) for name in names)
    together = {e.symbol for e in (first + second).elements} | {mobile}
    entries = pymatgen_entries(phases, together)
    grand = GrandPotentialPhaseDiagram(entries, {Element(mobile): potential})
    peer = GrandPotentialInterfacialReactivity(
        first,
        second,
        grand,
        PhaseDiagram(entries),
        norm=True,
        include_no_mixing_energy=own,
        use_hull_energy=not own,
    )
    kinks = []
    for _, x, energy, reaction, _ in peer.get_kinks():
        share = x * peer.factor1 / ((1 - x) * peer.factor2 + x * peer.factor1)
        kinks.append((share, energy, peer_reaction(reaction)))
    return told(kinks)


def written_energy(reaction, phases, mobile, voltage):
    """Energy of a written reaction from the energies of all that is written, per closed atom."""
    left, right = terms(reaction)
    metal = phases.energy_of(mobile) - ion_charge(mobile) * voltage
    total = closed = 0.0
    for side, sign in ((left, -1), (right, 1)):
        for formula, n in side.items():
            amounts = Composition(formula).get_el_amt_dict()
            free = sum(count for element, count in amounts.items() if element != mobile)
            energy = metal if not free else phases.energy_of(formula) * sum(amounts.values())
            total += sign * n * energy
            closed += n * free * (sign < 0)
    return total / closed


@settings(deadline=None, max_examples=25)
@given(
    seed=SEEDS,
    n_elements=st.integers(4, 7),
    mobile=st.sampled_from(["Li", "Na", "Mg"]),
    voltage=st.sampled_from([0.0, 0.7, 2.5, 4.2]),
)
def test_open_systems_agree_with_pymatgen(seed, n_elements, mobile, voltage):
    rng = np.random.default_rng(seed)
    elements = (mobile, *[e for e in SYMBOLS if e != mobile][: n_elements - 1])
    phases = random_phases(rng, n_elements, 30, elements)
    reservoirs = reservoir_at(mobile, voltage, phases)
    assert reservoirs[mobile] == phases.energy_of(mobile) - voltage * (2 if mobile == "Mg" else 1)
    names = pair(rng, phases, n_elements)
    one, other = (reactant(name, phases) for name in names)
    closed = [{e: n for e, n in side.composition.items() if e != mobile} for side in (one, other)]
    shares = [{e: n / sum(side.values()) for e, n in side.items()} for side in closed]
    if not all(closed) or shares[0] == pytest.approx(shares[1]):
        return
    found = mutual_reaction(one, other, chemical_system(phases, reservoirs))
    expected = open_kinks(names, phases, reservoirs[mobile], mobile)
    assert_same(ours(found), expected)
    assert all(imbalance(point.reaction) < 1e-3 for point in found.profile)


@pytest.mark.parametrize("voltage", [0.5, 4.0])
@pytest.mark.parametrize("ends", ["hull", "own"])
def test_packaged_pairs_at_voltages_agree_with_pymatgen(packaged, voltage, ends):
    potential = reservoir_at("Li", voltage, packaged)
    system = chemical_system(packaged, potential)
    for names in itertools.product(("LiCoO2", "CoO2"), ("Li6Zr2O7", "Li2ZrN2", "Li2O", "ZrN")):
        found = mutual_reaction(*(reactant(name, packaged) for name in names), system, ends)
        expected = open_kinks(names, packaged, potential["Li"], "Li", own=ends == "own")
        assert_same(ours(found), expected)


def test_an_open_reaction_has_the_energy_of_what_is_written(packaged):
    """ΔE from the text alone: energies of all products less those of all reactants, ions at the voltage."""
    voltage = 3.0
    system = chemical_system(packaged, reservoir_at("Li", voltage, packaged))
    found = mutual_reaction(reactant("LiCoO2", packaged), reactant("Li2ZrN2", packaged), system, "own")
    assert " Li" in found.strongest.reaction
    written = written_energy(found.strongest.reaction, packaged, "Li", voltage)
    assert written == pytest.approx(found.strongest.energy, abs=1e-4)


def test_stable_phases_that_hold_the_open_element_pose_no_problem():
    """pymatgen's issue #4628: for these its `get_equilibrium_reaction_energy` raised."""
    counts = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 1, 0], [1, 2, 1], [1, 1, 1], [0, 1, 1], [4, 4, 1]]
    phases = competing(counts, [-2.0, -5.0, -7.0, -5.5, -7.0, -6.8, -6.9, -6.2], ("Li", "O", "Co"))
    potential = phases.energy_of("Li") - 1.0
    system = chemical_system(phases, {"Li": potential})
    held = phases.fractions[:, phases.elements.index("Li")]
    closed = phases.fractions[:, [phases.elements.index(e) for e in system.elements]]
    kept = held < 1
    grand = (phases.energies - potential * held)[kept] / (1 - held[kept])
    for names in (("LiCoO2", "Li2O"), ("Li2O", "Co"), ("LiCoO2", "LiCoO"), ("Li4CoO4", "O2")):
        one, other = (reactant(name, phases) for name in names)
        found = mutual_reaction(one, other, system)
        ends = [system.point(side.composition)[0] for side in (other, one)]
        at_ends = [highs(end, closed[kept] / (1 - held[kept])[:, None], grand) for end in ends]
        for point in found.profile:
            mixed = (1 - point.x) * ends[0] + point.x * ends[1]
            reference = highs(mixed, closed[kept] / (1 - held[kept])[:, None], grand)
            expected = reference - (1 - point.x) * at_ends[0] - point.x * at_ends[1]
            assert point.energy == pytest.approx(expected, abs=1e-9)
            assert imbalance(point.reaction) < 1e-9


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, n_elements=st.integers(2, 8), opened=st.booleans())
def test_what_any_mutual_reaction_does(seed, n_elements, opened):
    """ΔE ≤ 0, 0 at the ends, convex in x, products sum to 1, reactions balance, A and B exchange roles."""
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 40)
    opened = opened and n_elements > 3
    system = chemical_system(phases, reservoir_at("Li", 2.0, phases) if opened else None)
    one, other = (reactant(name, phases) for name in pair(rng, phases, n_elements))
    if opened and {"Li"} in ({*one.composition}, {*other.composition}):
        return
    found, swapped = mutual_reaction(one, other, system), mutual_reaction(other, one, system)
    x, energies = (np.array([getattr(p, name) for p in found.profile]) for name in ("x", "energy"))
    assert (x[0], x[-1], energies[0], energies[-1]) == (0.0, 1.0, 0.0, 0.0)
    assert (energies <= 0).all()
    assert found.strongest.energy == energies.min()
    assert (np.diff(np.diff(energies) / np.diff(x)) > -1e-6).all()
    for point in found.profile:
        assert sum(point.products.values()) == pytest.approx(1.0, abs=1e-8)
        assert imbalance(point.reaction) < 1e-3
        if is_whole(point.reaction):
            assert imbalance(point.reaction) < 1e-12
    np.testing.assert_allclose(1 - x[::-1], [p.x for p in swapped.profile], atol=1e-7)
    np.testing.assert_allclose(energies[::-1], [p.energy for p in swapped.profile], atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n_elements=st.integers(2, 8), ends=st.sampled_from(["hull", "own"]))
def test_invariant_to_references_and_to_the_size_of_formulas(seed, n_elements, ends):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 40)
    shift = rng.normal(size=n_elements) * 100
    moved = dataclasses.replace(phases, energies=phases.energies + phases.fractions @ shift)
    names = [str(name) for name in rng.choice(phases.formulas, 2)]
    sides, others = ([reactant(name, table) for name in names] for table in (phases, moved))
    before = mutual_reaction(*sides, chemical_system(phases), ends)
    after = mutual_reaction(*others, chemical_system(moved), ends)
    assert after.strongest.energy == pytest.approx(before.strongest.energy, abs=1e-9)
    assert [p.x for p in after.profile] == pytest.approx([p.x for p in before.profile], abs=1e-7)
    tripled = [
        dataclasses.replace(side, composition={e: 3 * n for e, n in side.composition.items()}) for side in sides
    ]
    again = mutual_reaction(*tripled, chemical_system(phases), ends)
    assert [p.energy for p in again.profile] == pytest.approx([p.energy for p in before.profile], abs=1e-9)
    assert [p.x for p in again.profile] == pytest.approx([p.x for p in before.profile], abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, n_elements=st.integers(2, 6))
def test_one_more_phase_never_raises_the_energy_of_a_mixture(seed, n_elements):
    rng = np.random.default_rng(seed)
    phases = random_phases(rng, n_elements, 20)
    one, other = (reactant(name, phases) for name in pair(rng, phases, n_elements))
    fewer = phases.without(str(rng.choice([f for f in phases.formulas if len(Composition(f)) > 1])))
    # From one fixed level, the ends' energies in the larger table: a phase at an end would move it.
    level = max(phases.energies) + 1.0
    one, other = (dataclasses.replace(side, energy=level) for side in (one, other))
    more, less = (
        mutual_reaction(one, other, chemical_system(table), "own").strongest.energy for table in (phases, fewer)
    )
    assert more <= less + 1e-9


def test_a_phase_with_itself_does_nothing(packaged):
    for name in CATHODES + COATINGS:
        alone = reactant(name, packaged)
        found = mutual_reaction(alone, alone, chemical_system(packaged))
        assert found.strongest.energy == 0.0
        assert found.strongest.reaction == NO_REACTION
        assert [point.x for point in found.profile] == [0.0, 1.0]


@pytest.mark.parametrize("n_elements", [10, 12])
def test_many_elements_work(n_elements):
    """A convex hull in 9 and 11 dimensions is out of reach of Qhull; HiGHS is the reference."""
    rng = np.random.default_rng(n_elements)
    phases = random_phases(rng, n_elements, 500)
    half = SYMBOLS[: n_elements // 2], SYMBOLS[n_elements // 2 : n_elements]
    one, other = (reactant("".join(f"{e}{i + 1}" for i, e in enumerate(side)), phases) for side in half)
    found = mutual_reaction(one, other, chemical_system(phases))
    ends = [phases.fractions_of(side.composition) for side in (other, one)]
    at_ends = [highs(end, phases.fractions, phases.energies) for end in ends]
    assert len(found.profile) > 5
    for point in found.profile:
        mixed = (1 - point.x) * ends[0] + point.x * ends[1]
        expected = highs(mixed, phases.fractions, phases.energies) - np.dot((1 - point.x, point.x), at_ends)
        assert point.energy == pytest.approx(expected, abs=1e-8)
        assert imbalance(point.reaction) < 1e-3


def test_a_reactant_below_the_hull_releases_nothing():
    phases = competing([[1, 0], [0, 1], [1, 1]], [-1.0, -2.0, -1.8], ("Li", "O"))
    deep = Reactant("Li2O", {"Li": 2.0, "O": 1.0}, -9.0)
    found = mutual_reaction(deep, reactant("LiO", phases), chemical_system(phases), "own")
    assert found.strongest.energy == 0.0
    assert found.strongest.reaction == NO_REACTION


def test_the_matrix_holds_every_pair_in_order(packaged):
    cathodes, others = ([reactant(name, packaged) for name in names] for names in (CATHODES, COATINGS))
    matrix = contact_matrix(cathodes, others, packaged)
    assert (matrix.cathodes, matrix.phases) == (CATHODES, COATINGS)
    pairs = [(cathode, other) for cathode in CATHODES for other in COATINGS]
    assert [(r.cathode, r.phase) for r in matrix.reactions] == pairs
    system = chemical_system(packaged)
    for reaction, (cathode, other) in zip(matrix.reactions, pairs, strict=True):
        assert reaction == mutual_reaction(reactant(cathode, packaged), reactant(other, packaged), system)
    assert set(matrix.on_hull) | set(matrix.heights) == {*CATHODES, *COATINGS}
    assert min(matrix.heights.values()) >= 0.0
    assert matrix.no_intervals
    assert matrix.mobile == ""
    at_voltage = contact_matrix(cathodes, others, packaged, ContactConditions("Li", 4.0))
    assert (at_voltage.mobile, at_voltage.voltage) == ("Li", 4.0)
    assert all(r.strongest.energy <= 0 for r in at_voltage.reactions)
    assert at_voltage.heights == matrix.heights


def test_what_cannot_react_is_refused(packaged):
    oxide, metal = reactant("Li2O", packaged), reactant("Li", packaged)
    with pytest.raises(InputError, match="nothing but Li"):
        contact_matrix([oxide], [metal], packaged, ContactConditions("Li", 2.0))
    with pytest.raises(InputError, match="-1 V"):
        contact_matrix([oxide], [oxide], packaged, ContactConditions("Li", -1.0))
    with pytest.raises(InputError, match="no mobile ion"):
        contact_matrix([oxide], [oxide], packaged, ContactConditions("O", 1.0))
    with pytest.raises(MissingReferenceError, match="Fe"):
        reactant("LiFeO2", packaged)
    with pytest.raises(MissingReferenceError, match="Fe"):
        contact_matrix([Reactant("LiFeO2", {"Li": 1, "Fe": 1, "O": 2}, -5.0)], [oxide], packaged)
    without = packaged
    for formula in [f for f in packaged.formulas if "N" in f]:
        without = without.without(formula)
    with pytest.raises(MissingReferenceError, match="pure N lacking"):
        contact_matrix([oxide], [reactant("Li3N", without)], without)
