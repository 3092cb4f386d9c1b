"""Levels by name: registered, optional, or any importable factory."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from ionscape.errors import InputError
from ionscape.levels import optional, registry
from ionscape.levels.registry import Level, providers
from ionscape.structures.exchange import to_atoms


def test_unknown_level_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'chgnet'") as caught:
        Level.of("chgnett")
    assert "unknown level of theory 'chgnett'" in str(caught.value)


def test_every_entry_point_loads_as_a_provider() -> None:
    assert set(providers()) >= {"chgnet", "mace", "sevennet", "matgl", "orb", "sgpr"}
    for entry in providers().values():
        provider = entry.load()
        if isinstance(provider, registry.Family):
            assert provider.available() is None
            continue
        assert callable(provider.identity)
        assert callable(provider.calculator)
        assert provider.available() is None or isinstance(provider.available(), str)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [("mace", "mace-torch"), ("sevennet", "sevenn"), ("matgl", "matgl"), ("orb", "orb-models")],
)
def test_missing_optional_level_says_what_to_install(
    name: str, distribution: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=f"pip install {distribution}`"):
        Level.of(name)


def test_factory_gives_the_calculator_it_names(copper) -> None:
    from ase.calculators.lj import LennardJones

    settings = {"sigma": 2.3, "epsilon": 0.4, "rc": 5.0}
    level = Level.of("ase.calculators.lj:LennardJones", settings)
    atoms, reference = to_atoms(copper), to_atoms(copper)
    atoms.calc, reference.calc = level.calculator(threads=1), LennardJones(**settings)
    assert atoms.get_potential_energy() == reference.get_potential_energy()
    assert abs(atoms.get_potential_energy()) > 0.1


def test_calculator_is_built_once_per_process() -> None:
    level = Level.of("ase.calculators.emt:EMT")
    assert level.calculator(1) is level.calculator(1)


@pytest.mark.parametrize(
    "path", ["no_such_module:thing", "ase.calculators.emt:Nothing", ":EMT", "ase.calculators.emt:", "math:pi"]
)
def test_factory_that_cannot_be_used_is_one_clear_error(path: str) -> None:
    with pytest.raises(InputError, match="cannot be imported") as caught:
        Level.of(path)
    assert path in str(caught.value)
    assert caught.value.exit_code == 2


def test_factory_module_that_breaks_on_import_is_one_clear_error(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_level_module.py").write_text("def factory(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="cannot be imported"):
        Level.of("broken_level_module:factory")


def test_identity_tells_apart_what_gives_other_energies() -> None:
    plain = Level.of("ase.calculators.lj:LennardJones").identity()
    other = Level.of("ase.calculators.lj:LennardJones", {"sigma": 2.0}).identity()
    models = [Level.of("chgnet", {"model": model}).identity() for model in ("0.3.0", "0.2.0", "r2scan")]
    written = [json.dumps(identity, sort_keys=True) for identity in (plain, other, *models)]
    assert len(set(written)) == len(written)
    assert len({model["weights_sha256"] for model in models}) == 3


def test_identity_does_not_depend_on_the_order_of_settings() -> None:
    one = Level.of("ase.calculators.lj:LennardJones", {"sigma": 2.0, "epsilon": 0.1})
    two = Level.of("ase.calculators.lj:LennardJones", {"epsilon": 0.1, "sigma": 2.0})
    assert one == two


@pytest.mark.parametrize(
    ("settings", "hint"), [({"modle": "0.3.0"}, "Did you mean 'model'"), ({"model": "0.3"}, "'0.3.0'")]
)
def test_wrong_settings_of_chgnet_name_the_nearest(settings: dict[str, str], hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        Level.of("chgnet", settings).identity()


BESIDE = """
from ase.calculators.emt import EMT

def factory(weight=1):
    if weight < 0:
        raise RuntimeError("no such weight")
    return EMT()
"""


def beside(folder, monkeypatch: pytest.MonkeyPatch, source: str) -> Level:
    """Return a level of a module beside the study, as a new process would see it."""
    (folder / "level_beside_the_study.py").write_text(source)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("level_beside_the_study", None)
    registry._origin.cache_clear()
    return Level.of("level_beside_the_study:factory")


def test_identity_of_a_module_beside_the_study_changes_with_its_source(tmp_path, monkeypatch) -> None:
    first = beside(tmp_path, monkeypatch, BESIDE).identity()
    assert beside(tmp_path, monkeypatch, BESIDE).identity() == first
    assert beside(tmp_path, monkeypatch, BESIDE + "# other\n").identity() != first


def test_module_beside_the_study_is_not_taken_for_a_distribution(tmp_path, monkeypatch) -> None:
    claimed = {"level_beside_the_study": ["numpy"]}
    monkeypatch.setattr(registry.importlib.metadata, "packages_distributions", lambda: claimed)
    assert "source_sha256" in beside(tmp_path, monkeypatch, BESIDE).identity()


def test_identity_of_an_installed_factory_is_its_version() -> None:
    import ase

    identity = Level.of("ase.calculators.emt:EMT").identity()
    assert identity["version"] == ase.__version__
    assert "source_sha256" not in identity


@pytest.mark.parametrize("settings", [{"weight": -1}, {"wait": 1}])
def test_factory_that_raises_is_one_clear_error(tmp_path, monkeypatch, settings: dict[str, int]) -> None:
    name = beside(tmp_path, monkeypatch, BESIDE).name
    with pytest.raises(InputError, match="cannot be made") as caught:
        Level.of(name, settings).calculator(1)
    assert name in str(caught.value)
    assert next(iter(settings)) in str(caught.value)


def test_optional_level_hashes_local_weights_and_refuses_unknown_settings(tmp_path) -> None:
    potential = optional.OptionalPotential("ase", "ase", "default", ModuleType)
    weights = tmp_path / "weights.model"
    identities = [potential.identity({})]
    for content in ("one", "other"):
        weights.write_text(content)
        identities.append(potential.identity({"model": str(weights)}))
    assert len({identity.get("weights_sha256") for identity in identities}) == 3
    with pytest.raises(InputError, match="Did you mean 'model'"):
        potential.identity({"modle": "x"})
