"""Levels by name: registered, optional, or any importable factory."""

from __future__ import annotations

import json

import pytest

from ionscape.errors import InputError
from ionscape.levels import optional
from ionscape.levels.registry import Level, providers
from ionscape.structures.exchange import to_atoms


def test_unknown_level_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'chgnet'") as caught:
        Level.of("chgnett")
    assert "unknown level of theory 'chgnett'" in str(caught.value)


def test_every_entry_point_loads_as_a_provider() -> None:
    assert set(providers()) >= {"chgnet", "mace", "sevennet", "matgl", "orb"}
    for entry in providers().values():
        provider = entry.load()
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
