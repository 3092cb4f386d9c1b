"""What the report shows of molecular dynamics and ion transport, as typed records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ionscape.report.potential_records import Gate
from ionscape.report.quantity import Quantity
from ionscape.transport.curves import Curves


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95 % interval, or the reason why there is none.

    Attributes
    ----------
    value
        The number; None where there is none.
    low, high
        Ends of the interval; None where none is known.
    reason
        Why there is no number.
    bound
        Upper bound where there is no number but a bound.
    """

    value: Quantity | None = None
    low: Quantity | None = None
    high: Quantity | None = None
    reason: str = ""
    bound: Quantity | None = None


@dataclass(frozen=True)
class RunHead:
    """Which run it is.

    Attributes
    ----------
    material, formula, x_per_formula_unit
        Name of the material in the study, formula of its cell, dopants per formula unit.
    temperature_K, replica
        Of the run.
    """

    material: str
    formula: str
    x_per_formula_unit: float
    temperature_K: float
    replica: int

    @property
    def label(self) -> str:
        """Material and temperature, and the number of a further replica."""
        return f"{self.material}, {self.temperature_K:g} K" + (f" ({self.replica})" if self.replica > 1 else "")


@dataclass(frozen=True)
class DynamicsRun:
    """A run of molecular dynamics.

    Attributes
    ----------
    head
        Which run it is.
    steps
        Steps made; None if it never ran.
    averages
        Mean and standard error by name, of temperature, pressure, volume, energy.
    drift
        Slope of the conserved energy.
    unavailable
        Why it did not come to its end; empty if it did.
    trajectory_file, key
        Its frames, and its key in the store.
    gate
        What dear frames of it say of its learned potential; None if it was not judged.
    """

    head: RunHead
    steps: int | None
    averages: Mapping[str, tuple[Quantity, Quantity]]
    drift: Quantity | None
    unavailable: str
    trajectory_file: str
    key: str
    gate: Gate | None = None


@dataclass(frozen=True)
class DynamicsRecord:
    """The stage of molecular dynamics."""

    level: str
    ensemble: str
    runs: tuple[DynamicsRun, ...]


@dataclass(frozen=True)
class AnalysedRun:
    """The analysis of a run.

    Attributes
    ----------
    head
        Which run it is.
    estimates
        D, sigma, sigma_collective, haven_ratio, tau1, tau2, xi, residence_time, d1, d2, edge.
    host
        Element → ``flat``, ``moves`` or ``not known``.
    barriers
        Lattice vector → barrier of percolation of the density, or why it does not percolate.
    run_time
        Time from the first frame to the last.
    notes
        What a reader should know.
    unavailable
        Why there is no analysis; empty if there is.
    curves_file, density_file, key
        Its files, and its key in the store.
    """

    head: RunHead
    estimates: Mapping[str, Estimate]
    host: Mapping[str, str]
    barriers: Mapping[str, Estimate]
    run_time: Quantity | None
    notes: tuple[str, ...]
    unavailable: str
    curves_file: str
    density_file: str
    key: str


@dataclass(frozen=True)
class Law:
    """The Arrhenius law of a material.

    Attributes
    ----------
    material, formula, x_per_formula_unit
        As of its runs.
    activation_energy, conductivity, diffusion
        E_a, and σ and D at the temperature of the extrapolation; with the reason where there is no law.
    temperatures_K
        Of the runs that diffuse.
    curved
        Whether ln D over 1/T is curved.
    line
        Temperatures (K), D and the ends of its interval (cm²/s) along the law, four columns; empty without.
    """

    material: str
    formula: str
    x_per_formula_unit: float
    activation_energy: Estimate
    conductivity: Estimate
    diffusion: Estimate
    temperatures_K: tuple[float, ...]
    curved: bool
    line: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class TransportRecord:
    """The stage of ion transport; `at_K` is the temperature of the extrapolation."""

    mobile: str
    at_K: float
    runs: tuple[AnalysedRun, ...]
    laws: tuple[Law, ...]

    @property
    def temperatures_K(self) -> tuple[float, ...]:
        """The temperatures of the runs, the hottest first."""
        return tuple(sorted({run.head.temperature_K for run in self.runs}, reverse=True))

    @property
    def materials(self) -> tuple[str, ...]:
        """The materials, in the order of the study."""
        return tuple(dict.fromkeys(run.head.material for run in self.runs))


@dataclass(frozen=True)
class DrawnRun:
    """A run with the arrays that its figures show."""

    run: AnalysedRun
    curves: Curves
