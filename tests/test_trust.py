"""Nothing read from disk runs code, nothing named in a file is taken for markup, no key leaves the environment."""

from __future__ import annotations

import ast
import io
import json
import pickle
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.core.entries import ComputedEntry

import ionscape
from ionscape.errors import InputError
from ionscape.files import Wanted, json_of, path_inside, refuse_code

ROOT = Path(ionscape.__file__).parent
PROJECT = Path(__file__).parents[1]
WANTED = Wanted("JSON", "JSON", "Mend it.")
EVIL = (
    "import pathlib\npathlib.Path('taken').write_text('over')\nclass Evil:\n    from_dict = staticmethod(dict)\n"
)


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield every call in the package: module, what is called, the call."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOT)), ast.unparse(node.func), node


def imports() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            yield from ((str(path.relative_to(ROOT)), name) for name in names)


def keywords(call: ast.Call) -> dict[str, str]:
    return {str(one.arg): ast.unparse(one.value) for one in call.keywords}


def test_no_call_evaluates_text_or_unpickles() -> None:
    forbidden = {"eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "loadfn", "MontyDecoder"}
    found = [(module, name) for module, name, _ in calls() if name in forbidden or "pickle" in name.lower()]
    assert found == []
    modules = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert [one for one in imports() if one[1].split(".")[0] in modules] == []


def test_arrays_and_weights_are_read_as_data_only() -> None:
    loads = {"np.load": "allow_pickle", "np.lib.format.read_array": "allow_pickle"}
    seen = set()
    for module, name, call in calls():
        if name in loads:
            assert keywords(call).get(loads[name]) == "False", module
            seen.add(name)
        if name == "torch.load":
            assert keywords(call).get("weights_only") == "True", module
            seen.add(name)
        assert keywords(call).get("shell") != "True", module
    assert seen == {*loads, "torch.load"}


def test_modules_are_imported_by_name_only_for_levels_and_known_packages() -> None:
    """`module:factory` of the study file or --level; elsewhere the name of an optional package, written out."""
    places = {module for module, name, call in calls() if name == "importlib.import_module" and not _fixed(call)}
    assert places == {"cli/main.py", "dynamics/formats/simulation_packages.py", "levels/registry.py"}


def _fixed(call: ast.Call) -> bool:
    return isinstance(call.args[0], ast.Constant)


def data_of_others() -> dict[str, dict]:
    entry = ComputedEntry("Li2O", -14.3).as_dict()
    crystal = Structure(Lattice.cubic(4.2), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]).as_dict()
    asks = {"@module": "evil", "@class": "Evil", "command": "x"}
    call = {"@module": "evil", "@callable": "Evil"}
    return {
        "entry, in its data": {**entry, "data": {"x": asks}},
        "entry, a call": {**entry, "parameters": {"x": call}},
        "entry, deep": {**entry, "data": {"x": [[{"y": asks}]]}},
        "crystal": {**crystal, "properties": {"x": asks}},
        "crystal, in a site": {**crystal, "sites": [{**crystal["sites"][0], "properties": {"x": call}}]},
    }


@pytest.mark.parametrize("case", data_of_others())
def test_json_of_others_imports_nothing(case: str, tmp_path: Path, monkeypatch) -> None:
    from ionscape.phases.entries import read_entries
    from ionscape.structures.exchange import read_structure

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text(EVIL)
    data = data_of_others()[case]
    path = tmp_path / "x.json"
    path.write_text(json.dumps([data] if "entry" in case else data))
    with pytest.raises(InputError, match="asks for code: evil"):
        read_entries(path) if "entry" in case else read_structure(path)
    assert "evil" not in sys.modules
    assert not (tmp_path / "taken").exists()


def test_json_of_pymatgen_is_still_read() -> None:
    refuse_code(
        [ComputedEntry("Li2O", -14.3).as_dict(), {"@module": "pymatgen.core.structure", "@class": "Structure"}]
    )
    with pytest.raises(ValueError, match="asks for code"):
        refuse_code({"@module": "pymatgen.corex", "@class": "Structure"})


class Taken:
    """What a pickle may do."""

    def __reduce__(self) -> tuple:
        return Path("taken").write_text, ("over",)


def test_pickles_under_other_names_are_refused(tmp_path: Path, monkeypatch) -> None:
    from ionscape.dynamics.checkpoints import read_checkpoint
    from ionscape.dynamics.readers import open_trajectory
    from ionscape.levels.evaluation import read_frames
    from ionscape.potential.model_file import read_model
    from ionscape.structures.exchange import read_structure

    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Taken()], dtype=object), allow_pickle=True)
    for content in (pickle.dumps(Taken()), buffer.getvalue()):
        for name in (
            "x.traj",
            "x.json",
            "x.cif",
            "x.npz",
            "x.npy",
            "x.sgp",
            "x.extxyz",
            "x.db",
            "x.bundle",
            "x.gpw",
        ):
            path = tmp_path / name
            path.write_bytes(content)
            for read in (read_structure, read_frames, read_model, open_trajectory):
                with pytest.raises(InputError):
                    read(path)
            assert not (tmp_path / "taken").exists()
        assert read_checkpoint(tmp_path / "x.npz") is None
    assert not (tmp_path / "taken").exists()


def test_packaged_weights_are_loaded_as_data() -> None:
    from ionscape.levels import chgnet

    network = chgnet._load("0.3.0", "cpu")
    assert network.version == "0.3.0"
    assert sum(parameter.numel() for parameter in network.parameters()) == 412_525  # README of CHGNet 0.3.0


MARKUP = "<script>alert(1)</script>\"'&"


def test_names_and_formulas_are_no_markup(tmp_path: Path) -> None:
    from markupsafe import escape

    from ionscape.report.typography import breakable_formula, formula_html

    for shown in (formula_html(MARKUP), breakable_formula(MARKUP), formula_html(f"Li2O{MARKUP}")):
        assert "<script" not in shown
        assert "alert(1)" in shown
    assert str(escape(MARKUP)) in str(formula_html(MARKUP)).replace("<wbr>", "")


def test_paths_of_a_study_stay_inside_its_folder_unless_absolute(tmp_path: Path) -> None:
    for text in ("../x.cif", "a/../../x.cif", "./../x", "a/b/../../../x", "", "x\0.cif"):
        with pytest.raises(InputError):
            path_inside(tmp_path, text, where="host.structure")
    for text in ("x.cif", "a/x.cif", "a/../x.cif", "./x.cif", "..x.cif"):
        assert path_inside(tmp_path, text, where="host.structure") == tmp_path / text
    assert path_inside(tmp_path, "/data/x.cif", where="host.structure") == Path("/data/x.cif")


SECRET = "fAkE0KeY1oF2tHe3mAtErIaLs4pRoJeCt"  # noqa: S105  a made one


def test_keys_in_the_environment_reach_no_file_of_a_study(tmp_path: Path, monkeypatch, capfd) -> None:
    from ionscape.cli.main import main

    levels = PROJECT / "tests" / "study" / "toy_levels.py"
    (tmp_path / "toy_levels.py").write_text(levels.read_text())
    (tmp_path / "s.toml").write_text(
        '[study]\nname = "t"\n[host]\nstructure = "phase:Li2O"\n[levels.cheap]\nname = "toy_levels:SoftSpheres"\n'
        '[relaxation]\nmove = "positions"\nfmax_eV_per_A = 1.0\n'
    )
    for name in ("MP_API_KEY", "PMG_MAPI_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "s.toml", "--out", "out", "--stages", "host", "--engine", "process"]) == 0
    assert main(["hull", "Li2O", "--phases", "mp"]) in {2, 3}
    told = "".join(capfd.readouterr())
    assert SECRET not in told
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_messages_of_the_materials_project_hide_the_key(monkeypatch) -> None:
    from ionscape.phases import materials_project

    monkeypatch.setenv("MP_API_KEY", SECRET)
    assert SECRET not in str(materials_project._refused(f"403 for X-API-KEY: {SECRET}"))


def test_bill_of_materials_names_what_the_lock_file_pins(tmp_path: Path, monkeypatch, capsys) -> None:
    out = tmp_path / "sbom.json"
    monkeypatch.setattr(sys, "argv", ["sbom.py", "--out", str(out), "--lock", str(PROJECT / "requirements.lock")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PROJECT / "tools" / "sbom.py"), run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr().out
    bill = json.loads(out.read_text())
    names = {one["name"] for one in bill["components"]}
    assert {"ase", "numpy", "pymatgen", "torch", "parsl", "pydantic"} <= names
    assert bill["bomFormat"] == "CycloneDX"
    known = {bill["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in bill["components"])}
    assert {one["ref"] for one in bill["dependencies"]} == known
    assert set().union(*(one["dependsOn"] for one in bill["dependencies"])) <= known


def test_json_names_no_key_twice_and_no_infinity(tmp_path: Path) -> None:
    for text, told in (
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "finite"),
        ("[1e999]", "finite"),
        ("[", "JSON"),
    ):
        (tmp_path / "x").write_text(text)
        with pytest.raises(InputError, match=told):
            json_of(tmp_path / "x", WANTED)
