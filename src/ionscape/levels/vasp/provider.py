"""Provider of the level ``vasp``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionscape.levels.vasp.calculator import VASPCalculator, command_of, write_potcar
from ionscape.levels.vasp.inputs import inputs_of
from ionscape.levels.vasp.settings import MEANS, vasp_settings
from ionscape.structures.exchange import to_structure
from ionscape.units import Count


class VASPProvider:
    """VASP of the user's own licence; settings are those of `VASPSettings`."""

    def available(self) -> str | None:
        """Return None: whether VASP is there shows when a command is asked for (`check`)."""
        return None

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Raise `InputError` unless `settings` can be used."""
        vasp_settings(settings)

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return preset, cutoff, k-points, +U, POTCAR titles and other keys of INCAR: all that shapes energies."""
        checked = vasp_settings(settings)
        return {
            "model": f"VASP, PBE{'+U' if checked.hubbard_U_eV else ''}, PAW ({checked.preset})",
            **checked.model_dump(mode="json", exclude=MEANS),
            "reference": "doi:10.1103/PhysRevB.54.11169",
        }

    def calculator(self, settings: Mapping[str, Any], threads: Count) -> VASPCalculator:
        """Return the calculator; how many cores VASP takes is said in its command."""
        del threads
        return VASPCalculator(vasp_settings(settings))

    def check(self, atoms: Any, settings: Mapping[str, Any]) -> None:
        """Raise `InputError` if there is no command or no POTCAR for ASE `atoms`; nothing is computed."""
        import tempfile
        from pathlib import Path

        checked = vasp_settings(settings)
        command_of(checked)
        with tempfile.TemporaryDirectory() as folder:
            write_potcar(inputs_of(to_structure(atoms), checked).potcars, checked, Path(folder) / "POTCAR")


PROVIDER = VASPProvider()
