"""Provider of the level ``gpaw``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionscape.levels.gpaw.calculator import GPAWCalculator
from ionscape.levels.gpaw.datasets import missing_installation, versions
from ionscape.levels.gpaw.plan import Plan
from ionscape.levels.gpaw.settings import MEANS, gpaw_settings
from ionscape.units import Count


class GPAWProvider:
    """Plane-wave DFT with GPAW; settings are those of `GPAWSettings`."""

    def available(self) -> str | None:
        """Return None if GPAW and its data sets are installed, else how to install them."""
        return missing_installation()

    def validate(self, settings: Mapping[str, Any]) -> None:
        """Raise `InputError` unless `settings` can be used."""
        gpaw_settings(settings)

    def identity(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return functional, basis, k-points, +U and its projector, data sets, versions: what shapes energies."""
        checked = gpaw_settings(settings)
        return {
            "model": f"{checked.functional}{'+U' if checked.hubbard_U_eV else ''}, plane waves, PAW (GPAW)",
            **versions(),
            **checked.model_dump(mode="json", exclude=MEANS),
            "reference": "doi:10.1063/5.0182685",
        }

    def calculator(self, settings: Mapping[str, Any], threads: Count) -> GPAWCalculator:
        """Return the calculator, on `threads` MPI processes."""
        return GPAWCalculator(gpaw_settings(settings), threads)

    def check(self, atoms: Any, settings: Mapping[str, Any]) -> None:
        """Raise `InputError` if ASE `atoms` cannot be computed with these settings; nothing is computed."""
        Plan.of(atoms, gpaw_settings(settings))


PROVIDER = GPAWProvider()
