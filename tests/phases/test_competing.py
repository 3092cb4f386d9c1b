"""Competing phases of a system: from packaged energies, from a lab, or refused."""

import json

import pytest

from ionscape.errors import CalculationError, InputError, MissingReferenceError
from ionscape.levels.calculation import Broken, Relaxation, RelaxationSettings
from ionscape.levels.registry import Level
from ionscape.levels.relaxation import relax_structure
from ionscape.phases.competing import phase_energies
from ionscape.phases.energies import EnergyFile, packaged_energies
from ionscape.phases.formation import formation_checks, formation_energy
from ionscape.phases.table import phase_table
from ionscape.results import Failure, to_json

REQUIRED = {
    "Li", "Zr", "O2", "N2", "Li2O", "Li2O2", "Li3N", "ZrO2", "ZrN", "Zr2ON2", "Zr3N4", "Li2ZrO3", "Li6Zr2O7",
    "Li8ZrO6", "Li2ZrN2", "LiNO3",
}  # fmt: skip
OTHER = "ase.calculators.lj:LennardJones"


class ToyLab:
    """Gives every structure −1 eV per bond shorter than 2.6 Å, and fails where it is told to."""

    def __init__(self, failing=(), failure=Failure("told to fail")) -> None:  # noqa: B008  it is frozen
        self.failing, self.failure, self.asked = set(failing), failure, []

    def relax(self, structures, level, settings):
        return [self._relax(structure) for structure in structures]

    def _relax(self, structure):
        self.asked.append(structure.composition.reduced_formula)
        if self.asked[-1] in self.failing:
            return self.failure
        energy = -float(len(structure.get_neighbor_list(2.6)[3])) / 2 - len(structure)
        return Relaxation(structure, energy, energy / len(structure), energy, 0.0, 0.0, 1, True, "")


@pytest.fixture(scope="module")
def phases():
    return phase_energies(Level.of("chgnet"), ["Li", "Zr", "O", "N"])


def test_packaged_system_of_the_source_study(phases):
    assert set(phases.labels) >= REQUIRED
    assert phases.elements == ("Li", "N", "O", "Zr")
    assert len(set(phases.formulas)) == len(phases.formulas)
    assert phases.fractions.sum(axis=1) == pytest.approx(1.0)
    assert not phases.energies.flags.writeable
    assert set(phases.references) == {"O", "N"}
    json.dumps(to_json(phases))


def test_gas_references_agree_with_the_training_data(phases):
    """O2 −4.948 and N2 −8.337 eV/atom: elemental energies of the Materials Project's 2020 scheme (PBE)."""
    for element, trained in {"O": -4.948, "N": -8.337}.items():
        reference = phases.references[element]
        assert reference.energy == phases.energy_of(element + "2")
        assert abs(reference.energy - trained) < 2 * reference.uncertainty
        assert reference.uncertainty < 0.15


def test_formation_energies_of_lithium_and_zirconium_oxides(phases):
    """CRC Handbook and NIST-JANAF; the level is good to some 30 meV/atom here, nitrates it binds too strongly."""
    for check in formation_checks(phases):
        if check.formula in {"Li2O", "Li2O2", "ZrO2", "Li2ZrO3", "Li3N"}:
            assert check.calculated == pytest.approx(check.measured, abs=0.04), check.formula
    assert formation_energy("Li", phases) == 0.0


def test_lowest_polymorph_counts(phases):
    file = packaged_energies(Level.of("chgnet"))
    both = [file.energy(phase_table()[name]) for name in ("ZrO2", "ZrO2 P4_2/nmc")]
    assert phases.energy_of("ZrO2") == min(both) == both[0]


def test_a_reference_does_not_depend_on_the_system(phases):
    smaller = phase_energies(Level.of("chgnet"), ["Li", "O"])
    assert smaller.energy_of("O2") == phases.energy_of("O2")
    assert set(smaller.labels) <= set(phases.labels)


def test_level_without_energies_is_refused_with_the_names():
    with pytest.raises(MissingReferenceError) as caught:
        phase_energies(Level.of(OTHER), ["Li", "Zr", "O", "N"])
    message = str(caught.value)
    for part in ("Li2O", OTHER, "relax_missing", "ionscape phases relax --elements Li-N-O-Zr", "more"):
        assert part in message


def test_missing_phases_are_relaxed_in_the_lab():
    lab = ToyLab(failing={"Li2O2"})
    found = phase_energies(Level.of(OTHER), ["Li", "O"], lab=lab)
    assert {"Li", "O2", "Li2O"} <= set(found.labels)
    assert "Li2O2" not in found.labels
    assert found.excluded == {"Li2O2": "told to fail"}
    assert {"MgO", "Mg", "Si"} <= set(lab.asked)
    assert "O2" not in lab.asked


def test_a_phase_that_the_machine_broke_is_not_left_out():
    lab = ToyLab(failing={"Li2O2"}, failure=Broken("the worker ran out of memory"))
    with pytest.raises(CalculationError, match=r"Li2O2 \(the worker ran out of memory\)"):
        phase_energies(Level.of(OTHER), ["Li", "O"], lab=lab)


@pytest.mark.parametrize("elements", [[], ["Li", "Na"]])
def test_uncovered_elements_are_refused(elements):
    with pytest.raises(MissingReferenceError, match=r"no packaged phase.*cover: .*Li.*--stages host"):
        phase_energies(Level.of("chgnet"), elements)


def test_unknown_symbols_are_refused():
    with pytest.raises(InputError, match="unknown element 'Xx'"):
        phase_energies(Level.of("chgnet"), ["Li", "Xx"])


def test_energies_of_changed_facts_count_as_missing(tmp_path):
    import dataclasses

    phase = phase_table()["Li2O"]
    file = EnergyFile.read(tmp_path / "none.json", Level.of("chgnet"), RelaxationSettings())
    done = file.adding(phase, ToyLab().relax([phase.structure()], None, None)[0])
    done.write(tmp_path / "level.json")
    again = EnergyFile.read(tmp_path / "level.json", Level.of("chgnet"), RelaxationSettings())
    assert again == done
    assert again.energy(phase) is not None
    assert again.energy(dataclasses.replace(phase, lengths=(4.7, 4.7, 4.7))) is None


@pytest.mark.parametrize("name", ["Li2O", "ZrN", "Li3N", "Li", "Li2ZrN2"])
def test_packaged_energies_are_those_of_the_level(name, tmp_path):
    level = Level.of("chgnet")
    phase = phase_table()[name]
    end = relax_structure(phase.structure(primitive=True), level.calculator(1), RelaxationSettings(), tmp_path)
    assert end.converged
    energy = end.last.energy / len(end.structure)
    assert energy == pytest.approx(packaged_energies(level).energy(phase), abs=1e-3)
