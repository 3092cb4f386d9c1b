"""A whole small study at a toy level: its stages, what is computed and what is not, and its record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import toy_study
from pymatgen.core import Composition, Structure
from toy_study import antifluorite, changed, toy_levels_importable, written

from ionscape.errors import CalculationError, InputError
from ionscape.structures.exchange import read_structure, to_atoms
from ionscape.study import pipeline, tasks
from ionscape.study.pipeline import formula_units, stages_of
from ionscape.study.runner import StudyRun
from ionscape.study.schema import read_study

STUDY = """
[study]
name = "toy"
seed = 3

[host]
structure = "host.cif"
charges = { Li = 1, O = -2 }

[levels.cheap]
name = "tuned_spheres:Tuned"

[relaxation]
move = "positions"
fmax_eV_per_A = 0.6

[voids]
method = "geometric"

[doping]
supercell = [1, 1, 1]
samples = 6
keep = 2
spread = 1
charges = { N = -3 }

[[doping.routes]]
name = "N on O"
replace = { O = "N" }
insert = { Li = 1 }
counts = [1, 2]

[[doping.routes]]
name = "N interstitial"
insert = { N = 1, Li = 3 }

[stability]
relax_missing = true

[contact]
cathodes = ["LiNO3", "Li0.5NO2"]
phases = ["Li3N", "Li2O"]
voltages_V = [2.0]
samples = 0

[window]
phases = ["Li3N"]
samples = 0

[[reference]]
target = "Li2O"
value = 0.0
source = "text"

[[reference]]
target = "N on O, 1"
value = 15.3
source = "Fig. 2a"
note = "a note"
"""
#: A level beside the study file: soft spheres of any depth, which give doped cells above a ceiling no energy.
LEVEL = """
from toy_levels import SoftSpheres, soft_spheres

class Tuned(SoftSpheres):
    def __init__(self, depth=8.0, ceiling=1e9):
        super().__init__()
        self.depth, self.ceiling = depth, ceiling

    def calculate(self, *arguments, **options):
        super().calculate(*arguments, **options)
        self.results = soft_spheres(self.atoms, self.depth)
        if "N" in self.atoms.symbols and self.results["energy"] > self.ceiling * len(self.atoms):
            self.results["energy"] = float("nan")
"""
DEAR = '[levels.dear]\nname = "tuned_spheres:Tuned"\nsettings = { depth = 3.0 }\n\n[relaxation]'
ORDER = ["host", "voids", "doping", "stability", "contact", "window"]


@dataclass(frozen=True)
class Done:
    """A study that was run once: its file, its folder, its stages and its results."""

    file: Path
    folder: Path
    run: StudyRun

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.folder / "results.json").read_text(encoding="utf-8"))

    @property
    def states(self) -> dict[str, str]:
        return {name: record.state for name, record in self.run.stages.items()}


def oxide() -> Structure:
    return antifluorite(noise=0.01)


def begin(file: Path, out: Path, **options: Any) -> Done:
    return Done(file, out, toy_study.begin(file, out, **options))


def write_study(folder: Path, text: str = STUDY) -> Path:
    file = written(folder, text, oxide())
    (folder / "tuned_spheres.py").write_text(LEVEL)
    return file


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """Return a study after its first run."""
    folder = tmp_path_factory.mktemp("whole")
    with toy_levels_importable():
        yield begin(write_study(folder), folder / "out")


@pytest.fixture
def variant(whole: Done, tmp_path: Path) -> Callable[..., Done]:
    """Return a runner of the study with changes of its text, in a fresh folder, on the store of the first."""

    def run(*changes: tuple[str, str], out: str = "out", **options: Any) -> Done:
        file = write_study(tmp_path, changed(STUDY, *changes))
        return begin(file, tmp_path / out, store=whole.folder / "store", **options)

    return run


@pytest.fixture
def nothing_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every calculation break that is not in the store."""

    def refuse(*arguments: Any) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(tasks, "perform", refuse)


def test_stages_run_in_order(whole: Done) -> None:
    assert list(whole.run.stages) == ORDER
    assert list(whole.results["stages"]) == ORDER
    assert {whole.states[name] for name in ("host", "doping", "stability")} == {"done"}
    assert whole.states["voids"] in {"done", "cached"}
    assert all(record.seconds >= 0 for record in whole.run.stages.values())
    assert not any(record.reason for record in whole.run.stages.values())


def test_second_run_computes_nothing_and_writes_the_same(whole: Done, nothing_computed: None) -> None:
    before = (whole.folder / "results.json").read_bytes()
    again = begin(whole.file, whole.folder)
    assert {again.states[name] for name in ("host", "doping", "stability")} == {"cached"}
    assert (whole.folder / "results.json").read_bytes() == before


def test_two_fresh_runs_are_equal_byte_by_byte(whole: Done, tmp_path: Path) -> None:
    other = begin(whole.file, tmp_path / "elsewhere")
    assert other.states["stability"] == "done"
    names = ["results.json", *(f"structures/{path.name}" for path in (whole.folder / "structures").iterdir())]
    assert len(names) > 10
    for name in names:
        assert (other.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert len(list((other.folder / "structures").iterdir())) == len(names) - 1


def test_a_stage_does_not_depend_on_the_stages_run_beside_it(
    whole: Done, variant: Callable[..., Done], nothing_computed: None
) -> None:
    alone = variant(stages=["doping"])
    assert list(alone.run.stages) == ["host", "voids", "doping"]
    assert alone.results["stages"] == {name: whole.results["stages"][name] for name in ORDER[:3]}


def test_chosen_stages_bring_what_they_need_and_nothing_else(variant: Callable[..., Done]) -> None:
    done = variant(stages=["voids"])
    assert list(done.run.stages) == list(done.results["stages"]) == ["host", "voids"]
    assert done.results["comparison"] == []
    assert [path.name for path in (done.folder / "structures").iterdir()] == ["host.cif"]
    study = read_study(done.file).content
    assert stages_of(study) == ORDER
    assert stages_of(study, ["stability"]) == ["host", "voids", "doping", "stability"]
    assert stages_of(study, ["window"]) == ["host", "voids", "doping", "window"]
    assert stages_of(study, ["window", "stability", "contact"]) == ORDER
    with pytest.raises(InputError, match="Did you mean 'doping'"):
        stages_of(study, ["dopping"])
    undoped = study.model_copy(update={"doping": None, "window": None})
    assert stages_of(undoped) == ["host", "voids", "stability", "contact"]
    assert stages_of(undoped, ["stability"]) == ["host", "stability"]
    with pytest.raises(InputError, match="no stage 'doping' in this study"):
        stages_of(undoped, ["doping"])


def test_another_seed_draws_other_configurations(whole: Done, variant: Callable[..., Done]) -> None:
    other = variant(stages=["doping"], seed=4).results
    assert other["study"]["seed"] == 4
    assert other["stages"]["host"] == whole.results["stages"]["host"]
    ours, theirs = (set(keys_of(results)) for results in (other, whole.results))
    assert ours != theirs


def keys_of(results: dict[str, Any]) -> Iterator[str]:
    for cell in results["stages"]["doping"]["cells"]:
        yield from (candidate["key"] for candidate in cell["candidates"])


def bare_numbers(node: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all numbers that do not stand beside a unit."""
    if isinstance(node, dict):
        if set(node) == {"value", "unit"}:
            assert node["unit"], path
            return
        for key, value in node.items():
            yield from bare_numbers(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from bare_numbers(value, f"{path}[]")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path


def test_every_number_has_a_unit(whole: Done) -> None:
    """Bare are only ordinals, whole numbers without a dimension, and settings, which have units in their names."""
    results = whole.results
    del results["levels"]
    bare = set(bare_numbers(results))
    ordinals = r"^\.seeds\.|\.(format|rank|best|seed|multiplicity|supercell\[\]|max_steps)$"
    with_unit = r"^\.relaxation\.\w+_(eV_per_A|eV_per_A3)$"
    assert [path for path in bare if not re.search(f"{ordinals}|{with_unit}", path)] == []
    assert {".format", ".study.seed", ".relaxation.fmax_eV_per_A"} <= bare


def structure_files(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("structure_file", "unrelaxed_structure") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from structure_files(value)


def test_structure_files_are_there_and_hold_the_energies_told(whole: Done) -> None:
    from toy_levels import soft_spheres

    def energy(name: str) -> float:
        structure = read_structure(whole.folder / name)
        return soft_spheres(to_atoms(structure))["energy"] / len(structure)

    told = set(structure_files(whole.results))
    assert told == {f"structures/{path.name}" for path in (whole.folder / "structures").iterdir()}
    stages = whole.results["stages"]
    host = stages["host"]["host"]
    assert energy(host["structure_file"]) == pytest.approx(host["energy_per_atom"]["value"], abs=1e-6)
    for cell in stages["doping"]["cells"]:
        energies = []
        for candidate in cell["candidates"]:
            energies.append(candidate["energy_per_atom"]["value"])
            assert energy(candidate["structure_file"]) == pytest.approx(energies[-1], abs=1e-6)
            assert energy(candidate["unrelaxed_structure"]) >= energies[-1] - 1e-9
        best = read_structure(whole.folder / cell["structure_file"])
        assert best.composition == Composition(cell["formula"])
        assert energy(cell["structure_file"]) == pytest.approx(min(energies), abs=1e-6)
        assert energies[cell["best"]] == min(energies)


def test_doped_cells_are_neutral_and_counted_per_formula_unit(whole: Done) -> None:
    cells = whole.results["stages"]["doping"]["cells"]
    assert [(cell["route"], cell["count"]["value"]) for cell in cells] == [
        ("N on O", 1), ("N on O", 2), ("N interstitial", 1),
    ]  # fmt: skip
    assert [cell["x_per_formula_unit"]["value"] for cell in cells] == [1 / 4, 2 / 4, 1 / 4]
    for cell in cells:
        amounts = Composition(cell["formula"])
        assert amounts["Li"] - 2 * amounts["O"] - 3 * amounts["N"] == 0
        ewald = [candidate["ewald"]["value"] for candidate in cell["candidates"]]
        assert ewald == sorted(ewald)
        assert cell["lowest_ewald"]["value"] == ewald[0]
        assert [candidate["rank"] for candidate in cell["candidates"]] == [1, 2, 3]


def test_formula_units_of_supercells(li6zr2o7: Structure) -> None:
    assert formula_units(li6zr2o7, (1, 1, 1)) == 4
    assert formula_units(li6zr2o7, (1, 2, 1)) == 8
    assert formula_units(li6zr2o7.get_primitive_structure(), (2, 2, 3)) == 24


def test_stability_judges_host_and_doped_cells(whole: Done) -> None:
    stability = whole.results["stages"]["stability"]
    doping, host = whole.results["stages"]["doping"], whole.results["stages"]["host"]["host"]
    targets = stability["targets"]
    assert [t["name"] for t in targets] == ["Li2O", "N on O, 1", "N on O, 2", "N interstitial, 1"]
    assert [t["x_per_formula_unit"]["value"] for t in targets] == [0.0, 0.25, 0.5, 0.25]
    assert targets[0]["energy_per_atom"] == host["energy_per_atom"]
    energies = {phase["formula"]: phase["energy_per_atom"]["value"] for phase in stability["phases"]}
    for target, cell in zip(targets[1:], doping["cells"], strict=True):
        candidates = cell["candidates"]
        assert target["energy_per_atom"] == candidates[cell["best"]]["energy_per_atom"]
    for target in targets:
        shares = {formula: share["value"] for formula, share in target["products"].items()}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-12)
        mixture = sum(share * energies[formula] for formula, share in shares.items())
        above = target["energy_per_atom"]["value"] - mixture
        assert target["e_d"]["value"] == pytest.approx(above, abs=1e-9)


def test_comparison_stands_beside_the_reference(whole: Done) -> None:
    targets = {t["name"]: t for t in whole.results["stages"]["stability"]["targets"]}
    rows = whole.results["comparison"]
    assert [(row["target"], row["study"]["value"], row["source"], row["note"]) for row in rows] == [
        ("Li2O", 0.0, "text", ""),
        ("N on O, 1", 15.3, "Fig. 2a", "a note"),
    ]
    for row in rows:
        assert row["ours"]["unit"] == row["study"]["unit"] == "meV/atom"
        assert row["ours"]["value"] == pytest.approx(1000 * targets[row["target"]]["e_d"]["value"])


def test_failed_host_skips_what_needs_it(variant: Callable[..., Done]) -> None:
    done = variant(("tuned_spheres:Tuned", "toy_levels:NotANumber"))
    assert done.states == {"host": "failed"} | dict.fromkeys(ORDER[1:], "skipped")
    assert "not a finite number" in done.run.stages["host"].reason
    assert done.run.stages["voids"].reason == "needs host"
    assert done.run.stages["doping"].reason == "needs host, voids"
    reasons = {name: {"failed": record.reason} for name, record in done.run.stages.items()}
    assert done.results["stages"] == reasons


def test_failed_doping_leaves_the_stability_of_the_host(
    whole: Done, variant: Callable[..., Done], monkeypatch: pytest.MonkeyPatch, nothing_computed: None
) -> None:
    def broken(*arguments: Any) -> None:
        raise CalculationError("nothing could be relaxed")

    monkeypatch.setattr(pipeline, "dope_all", broken)
    done = variant()
    assert done.states["doping"] == "failed"
    assert done.run.stages["doping"].reason == "nothing could be relaxed"
    assert done.results["stages"]["doping"] == {"failed": "nothing could be relaxed"}
    assert done.states["stability"] == "cached"
    assert [target["name"] for target in done.results["stages"]["stability"]["targets"]] == ["Li2O"]
    assert [one["formula"] for one in done.results["stages"]["window"]["windows"]] == ["Li2O", "Li3N"]
    assert [row["target"] for row in done.results["comparison"]] == ["Li2O"]
    (told,) = [t for t in whole.results["stages"]["stability"]["targets"] if t["name"] == "Li2O"]
    assert done.results["stages"]["stability"]["targets"] == [told]


OURS = ["Li2O", "Li2.25N0.25O0.75", "Li2.5N0.5O0.5", "Li2.75ON0.25"]


def test_contacts_of_host_and_doped_cells_with_cathodes(whole: Done) -> None:
    """The host is listed as well: it stands once, with its own energy, as do the doped cells."""
    contact, doping = whole.results["stages"]["contact"], whole.results["stages"]["doping"]
    closed, open_to_lithium = contact["matrices"]
    assert "voltage" not in closed
    assert open_to_lithium["voltage"] == {"value": 2.0, "unit": "V"}
    assert open_to_lithium["mobile"] == "Li"
    for matrix in contact["matrices"]:
        assert matrix["cathodes"] == ["LiNO3", "Li0.5NO2"]
        assert [Composition(name) for name in matrix["phases"][:4]] == [Composition(name) for name in OURS]
        assert matrix["phases"][4:] == ["Li3N"]
        assert matrix["on_hull"] == ["Li0.5NO2"]
        assert len(matrix["reactions"]) == 2 * 5
        for reaction in matrix["reactions"]:
            lowest = min(point["energy"]["value"] for point in reaction["profile"])
            assert reaction["strongest"]["energy"]["value"] == lowest <= 0
            assert "interval" not in reaction
    targets = {t["name"]: t["e_d"]["value"] for t in whole.results["stages"]["stability"]["targets"]}
    for name, cell in zip(matrix["phases"][1:4], doping["cells"], strict=True):
        height = matrix["heights"][name]["value"]
        assert height == pytest.approx(targets[f"{cell['route']}, {cell['count']['value']}"], abs=1e-9)


def test_windows_of_host_and_doped_cells(whole: Done) -> None:
    window = whole.results["stages"]["window"]
    assert [Composition(one["formula"]) for one in window["windows"]] == [Composition(n) for n in [*OURS, "Li3N"]]
    for one in window["windows"]:
        voltages = [plateau["voltage"]["value"] for plateau in one["profile"]]
        assert voltages == sorted(voltages, reverse=True)
        assert one["mobile"] == "Li"


def test_intervals_that_cannot_be_told_are_missed_aloud(
    variant: Callable[..., Done], nothing_computed: None
) -> None:
    """The errors of the toy level are not known; without draws asked for nobody misses them."""
    done = variant(("voltages_V = [2.0]\nsamples = 0", "voltages_V = [2.0]\nsamples = 20"))
    (warning,) = done.results["warnings"]
    assert warning.startswith("The contacts carry no intervals: the errors of the energies are not known")


def test_judged_host_does_not_depend_on_the_stages_asked_for(
    whole: Done, variant: Callable[..., Done], nothing_computed: None
) -> None:
    alone = variant(stages=["window"])
    assert list(alone.results["stages"]) == ["host", "voids", "doping", "window"]
    assert alone.results["stages"]["window"] == whole.results["stages"]["window"]
    judged = variant(stages=["stability"], out="other")
    assert judged.results["stages"]["stability"] == whole.results["stages"]["stability"]


def test_own_cathode_stands_first(variant: Callable[..., Done]) -> None:
    done = variant(
        ("[levels.cheap]", '[cathode]\nstructure = "host.cif"\n\n[levels.cheap]'),
        ("voltages_V = [2.0]", "include_host = false\ninclude_doped = false"),
        stages=["contact"],
    )
    (matrix,) = done.results["stages"]["contact"]["matrices"]
    assert matrix["cathodes"] == ["Li2O", "LiNO3", "Li0.5NO2"]
    assert matrix["phases"] == ["Li3N", "Li2O"]
    itself = [r for r in matrix["reactions"] if r["cathode"] == r["phase"] == "Li2O"]
    assert [r["strongest"]["energy"]["value"] for r in itself] == [0.0]


def test_failed_candidates_are_told(whole: Done, variant: Callable[..., Done]) -> None:
    from toy_levels import soft_spheres

    first = whole.results["stages"]["doping"]["cells"][0]["candidates"]
    starts = [read_structure(whole.folder / candidate["unrelaxed_structure"]) for candidate in first]
    heights = [soft_spheres(to_atoms(start))["energy"] / len(start) for start in starts]
    ceiling = sum(sorted(heights)[-2:]) / 2
    done = variant(
        ('"tuned_spheres:Tuned"', f'"tuned_spheres:Tuned"\nsettings = {{ ceiling = {ceiling} }}'),
        ("counts = [1, 2]", "counts = [1]"),
        ('[[doping.routes]]\nname = "N interstitial"\ninsert = { N = 1, Li = 3 }\n', ""),
        stages=["doping"],
    )
    (cell,) = done.results["stages"]["doping"]["cells"]
    failed = [candidate for candidate in cell["candidates"] if "failure" in candidate]
    assert [candidate["rank"] for candidate in failed] == [1 + heights.index(max(heights))]
    assert "energy_per_atom" not in failed[0]
    (warning,) = done.results["warnings"]
    assert cell["formula"] in warning
    assert failed[0]["failure"] in warning
    assert "energy_per_atom" in cell["candidates"][cell["best"]]
    assert whole.results["warnings"] == []


def test_dear_level_decides(whole: Done, variant: Callable[..., Done]) -> None:
    from toy_levels import soft_spheres

    def energy(name: str, depth: float) -> float:
        structure = read_structure(done.folder / name)
        return soft_spheres(to_atoms(structure), depth)["energy"] / len(structure)

    done = variant(("[relaxation]", DEAR), ("spread = 1", "spread = 1\nkeep_dear = 2"), stages=["doping"])
    assert done.results["levels"]["dear"]["settings"] == {"depth": 3.0}
    assert done.results["levels"]["cheap"] == whole.results["levels"]["cheap"]
    host = done.results["stages"]["host"]["host"]
    assert host["energy_per_atom"]["value"] == pytest.approx(energy(host["structure_file"], 3.0), abs=1e-6)
    for cell in done.results["stages"]["doping"]["cells"]:
        cheap = sorted(c["energy_per_atom"]["value"] for c in cell["candidates"])
        assert [c["energy_per_atom"]["value"] for c in cell["candidates"]] == [
            pytest.approx(energy(c["structure_file"], 8.0), abs=1e-6) for c in cell["candidates"]
        ]
        dear = [c["energy_per_atom"]["value"] for c in cell["refined"]]
        assert len(dear) == 2 < len(cheap)
        assert dear[cell["best"]] == min(dear)
        assert energy(cell["structure_file"], 3.0) == pytest.approx(min(dear), abs=1e-6)


def test_dear_level_and_its_candidates_come_together(variant: Callable[..., Done], nothing_computed: None) -> None:
    with pytest.raises(InputError, match=r"keep_dear = 0 with a dear level"):
        variant(("[relaxation]", DEAR), stages=["doping"])
    with pytest.raises(InputError, match=r"keep_dear = 2 without a dear level"):
        variant(("spread = 1", "spread = 1\nkeep_dear = 2"), stages=["doping"])


def test_level_of_the_command_line_replaces_that_of_the_file(variant: Callable[..., Done]) -> None:
    done = variant(stages=["host"], level="toy_levels:SoftSpheres")
    assert done.results["levels"]["cheap"]["name"] == "toy_levels:SoftSpheres"
    assert done.states == {"host": "done"}
