"""The funnel with a toy laboratory: what is relaxed, what is kept, what happens when relaxations fail."""

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from ionscape.doping.charges import host_charges
from ionscape.doping.correlation import RankCorrelation
from ionscape.doping.ewald import energies, interaction_matrix
from ionscape.doping.funnel import DopedCell, FailedCell, Workbench, collect, dope, dope_all
from ionscape.doping.proposal import DopingTask, propose
from ionscape.doping.settings import DopingRoute, DopingSettings
from ionscape.errors import CalculationError, InputError
from ionscape.levels.calculation import Relaxation, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.results import Failure, to_json

N_ON_O = DopingRoute(name="N on O", replace={"O": "N"}, insert={"Li": 1}, counts=(1, 2))
INTERSTITIAL = DopingRoute(name="N interstitial", insert={"N": 1, "Li": 3})
FORMAL = {"Li": 1, "Zr": 4, "O": -2, "N": -3}


def ewald(structure):
    charges = [FORMAL[site.specie.symbol] for site in structure]
    return float(energies(interaction_matrix(structure.lattice.matrix, structure.frac_coords), charges)[0])


class ToyLab:
    """Relaxes nothing; the energy of a level is a multiple of the Ewald energy. Notes what it was asked."""

    def __init__(self, failing=lambda _level, _index: False) -> None:
        self.calls = []
        self.failing = failing

    def relax(self, structures, level, settings):
        assert isinstance(settings, RelaxationSettings)
        self.calls.append((level.name, len(structures)))
        return [self._relax(i, s, level) for i, s in enumerate(structures)]

    def _relax(self, index, structure, level):
        if self.failing(level.name, index):
            return Failure("not converged in 500 steps", f"key{index}")
        energy = ewald(structure) * (-1 if level.name == "dear" else 1)
        return Relaxation(structure, energy, energy / len(structure), energy, 0.0, 0.0, 3, True, f"key{index}")

    def evaluate(self, structures, level):
        raise NotImplementedError


def bench(lab, **fields: object):
    return Workbench(lab, Level("cheap"), RelaxationSettings(), **fields)


def task(host, route=N_ON_O, count=2):
    return DopingTask(host.crystal, host.empty, route, count)


def options(**fields: object):
    return DopingSettings(**{"samples": 60, "keep": 3, "supercell": (1, 1, 1), "anneal_steps": 2000} | fields)


def test_candidates_are_the_lowest_distinct_ones_and_the_best_is_kept(lzo):
    lab = ToyLab()
    cell = dope(task(lzo), options(), bench(lab), np.random.default_rng(0))
    assert lab.calls == [("cheap", 3)]
    assert cell.formula == "Li26Zr8N2O26"
    assert cell.n_sampled == 60
    assert cell.n_unique <= 60
    found = [candidate.proposed.ewald for candidate in cell.candidates]
    assert found == sorted(found) == list(cell.sampled_ewald[:3])
    assert cell.best == 0
    assert cell.energy_per_atom == pytest.approx(found[0] / 62)
    structures = [candidate.proposed.structure for candidate in cell.candidates]
    assert [ewald(s) for s in structures] == pytest.approx(found)
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False)
    assert not matcher.fit(structures[0], structures[1])


def test_interstitial_route_inserts_the_whole_set(lzo):
    proposal = propose(task(lzo, INTERSTITIAL, 1), options(), np.random.default_rng(0))
    assert proposal.formula == "Li27Zr8N1O28"


def test_few_configurations_are_enumerated_and_all_searches_agree_then(lzo):
    found = [
        propose(task(lzo, count=1), options(samples=1000, search=search), np.random.default_rng(3))
        for search in ("random", "anneal", "random+anneal")
    ]
    assert all(p.exhaustive and p.n_sampled == 28 * 12 for p in found)
    assert len({tuple(c.ewald for c in p.candidates) for p in found}) == 1
    assert all(c.origin == "exhaustive" for p in found for c in p.candidates)


def test_annealing_lowers_the_candidates_and_keeps_the_sample(lzo):
    drawn, annealed, both = (
        propose(task(lzo), options(supercell=(1, 2, 1), search=search), np.random.default_rng(1))
        for search in ("random", "anneal", "random+anneal")
    )
    assert annealed.candidates[0].ewald < drawn.candidates[0].ewald - 0.1
    assert both.candidates[0].ewald == pytest.approx(annealed.candidates[0].ewald)
    assert {c.origin for c in annealed.candidates} == {"anneal"}
    assert [c.origin for c in both.candidates] == ["anneal", "anneal", "random"]
    assert both.candidates[2].ewald == drawn.candidates[0].ewald
    assert np.array_equal(drawn.sampled_ewald, both.sampled_ewald)


def test_spread_reaches_over_the_sampled_range_and_correlates(lzo):
    settings = options(samples=300, spread=6)
    cell = dope(task(lzo), settings, bench(ToyLab()), np.random.default_rng(4))
    assert [c.proposed.origin for c in cell.candidates].count("spread") == 6
    assert cell.candidates[-1].proposed.ewald == pytest.approx(cell.sampled_ewald[-1])
    assert isinstance(cell.correlation, RankCorrelation)
    assert cell.correlation.rho == pytest.approx(1)
    assert cell.correlation.n == 9


def test_the_same_seed_proposes_the_same(lzo):
    first, again, other = (
        propose(task(lzo), options(search="random+anneal", spread=2), np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert [c.structure for c in first.candidates] == [c.structure for c in again.candidates]
    assert [c.structure for c in first.candidates] != [c.structure for c in other.candidates]


def test_all_contents_are_relaxed_in_one_call(lzo):
    lab = ToyLab()
    cells = dope_all([task(lzo, count=n) for n in (1, 2)], options(), bench(lab), np.random.default_rng(0))
    assert lab.calls == [("cheap", 6)]
    assert [cell.count for cell in cells] == [1, 2]


def test_dear_level_has_the_last_word(lzo):
    lab = ToyLab()
    cell = dope(
        task(lzo), options(keep_dear=2), bench(lab, dear_levels=(Level("dear"),)), np.random.default_rng(0)
    )
    assert lab.calls == [("cheap", 3), ("dear", 2)]
    assert len(cell.refined) == 2
    assert cell.best == 1  # the toy's dear level turns the order round
    assert cell.lowest is cell.refined[1].outcome


def test_failures_stay_visible(lzo):
    lab = ToyLab(failing=lambda _level, index: index == 0)
    cell = dope(task(lzo), options(), bench(lab), np.random.default_rng(0))
    assert isinstance(cell.candidates[0].outcome, Failure)
    assert cell.best == 1
    assert isinstance(cell.correlation, Failure)
    assert "not converged in 500 steps" in str(to_json(cell))


@pytest.mark.parametrize("level", ["cheap", "dear"])
def test_total_failure_is_an_error_with_its_reasons(lzo, level):
    lab = ToyLab(failing=lambda name, _index: name == level)
    with pytest.raises(CalculationError, match=r"Li26Zr8N2O26 .*none of .*not converged in 500 steps"):
        dope(task(lzo), options(keep_dear=2), bench(lab, dear_levels=(Level("dear"),)), np.random.default_rng(0))


@pytest.mark.parametrize(("level", "failing"), [("cheap", range(3)), ("dear", range(2))])
def test_a_content_that_fails_leaves_the_others(lzo, level, failing):
    lab = ToyLab(failing=lambda name, index: name == level and index in failing)
    workbench = bench(lab, dear_levels=(Level("dear"),))
    tasks = [task(lzo, count=n) for n in (1, 2)]
    first, second = dope_all(tasks, options(keep_dear=2), workbench, np.random.default_rng(0))
    assert isinstance(first, FailedCell)
    assert (first.route, first.count, first.formula) == ("N on O", 1, "Li25Zr8N1O27")
    assert "not converged in 500 steps" in first.reason
    assert isinstance(second, DopedCell)
    assert second.refined


def test_if_all_contents_fail_each_reason_is_told(lzo):
    lab = ToyLab(failing=lambda _level, _index: True)
    with pytest.raises(CalculationError, match=r"(?s)Li25Zr8N1O27.*Li26Zr8N2O26"):
        dope_all([task(lzo, count=n) for n in (1, 2)], options(), bench(lab), np.random.default_rng(0))


def test_outcomes_relaxed_elsewhere_can_be_collected(lzo):
    proposal = propose(task(lzo), options(), np.random.default_rng(0))
    outcomes = ToyLab().relax([c.structure for c in proposal.candidates], Level("cheap"), RelaxationSettings())
    cell = collect(proposal, outcomes)
    assert cell.lowest is outcomes[0]


def test_charged_cells_are_refused_before_anything_is_relaxed(lzo):
    lab = ToyLab()
    bare = DopingRoute(name="bare", replace={"O": "N"})
    with pytest.raises(InputError, match=r"-2 e in the supercell.*insert Li=1 per dopant"):
        dope_all([task(lzo, count=1), task(lzo, bare, 2)], options(), bench(lab), np.random.default_rng(0))
    assert lab.calls == []


def test_oxidation_states_of_the_host_do_not_matter(lzo):
    decorated = lzo.crystal.copy()
    decorated.add_oxidation_state_by_element({"Li": 1, "Zr": 4, "O": -2})
    assert host_charges(decorated, {}) == host_charges(lzo.crystal, {})
    plain, other = (
        propose(DopingTask(host, lzo.empty, N_ON_O, 2), options(), np.random.default_rng(0))
        for host in (lzo.crystal, decorated)
    )
    assert [c.structure for c in plain.candidates] == [c.structure for c in other.candidates]


def test_result_is_written_with_units(lzo):
    cell = dope(task(lzo), options(), bench(ToyLab()), np.random.default_rng(0))
    data = to_json(cell)
    assert data["candidates"][0]["proposed"]["ewald"]["unit"] == "eV"
    assert data["candidates"][0]["outcome"]["energy_per_atom"]["unit"] == "eV/atom"
    assert "sampled_ewald" not in data


def test_host_without_empty_sites_can_be_substituted(rocksalt):
    route = DopingRoute(name="isovalent", replace={"Mg": "Ca"})
    proposal = propose(
        DopingTask(rocksalt.crystal, np.empty((0, 3)), route, 2),
        options(supercell=(2, 1, 1)),
        np.random.default_rng(0),
    )
    assert proposal.formula == "Ca2Mg6O8"
    assert proposal.exhaustive
    assert proposal.n_sampled == 28


def test_configurations_of_equal_energy_are_chosen_at_random_but_reproducibly():
    antifluorite = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.62), ["Li", "O"], [[0.25] * 3, [0, 0, 0]])
    route = DopingRoute(name="Na on Li", replace={"Li": "Na"})
    isovalent = DopingTask(antifluorite, np.empty((0, 3)), route, 3)
    chosen = [
        propose(isovalent, options(supercell=(1, 1, 2), samples=1000, keep=2), np.random.default_rng(seed))
        for seed in (0, 0, 1, 2, 3)
    ]
    assert chosen[0].exhaustive
    assert chosen[0].n_unique > 4
    assert chosen[0].sampled_ewald == pytest.approx(chosen[0].sampled_ewald[0])
    cells = [[candidate.structure for candidate in proposal.candidates] for proposal in chosen]
    assert cells[0] == cells[1]
    assert any(cells[0] != other for other in cells[2:])


def test_empty_sites_do_not_matter_to_a_route_that_inserts_nothing(rocksalt):
    route = DopingRoute(name="isovalent", replace={"Mg": "Ca"})
    lopsided = rocksalt.empty[:1]  # alone it would take most of the symmetry away
    with_sites, without = (
        propose(DopingTask(rocksalt.crystal, empty, route, 2), options(), np.random.default_rng(0))
        for empty in (lopsided, np.empty((0, 3)))
    )
    assert [c.multiplicity for c in with_sites.candidates] == [c.multiplicity for c in without.candidates]
    assert [c.structure for c in with_sites.candidates] == [c.structure for c in without.candidates]
