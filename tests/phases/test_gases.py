"""Gas potentials: the tables against thermodynamics, the NIST WebBook and published values."""

import math
import tomllib
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionscape.errors import InputError
from ionscape.phases.gases import gas_shift, tabulated_gases
from ionscape.units import BOLTZMANN_EV_PER_K, KJ_PER_MOL_PER_EV

TABLES = tomllib.loads((files("ionscape.phases") / "data" / "gases.toml").read_text(encoding="utf-8"))
#: H°(298.15 K) − H°(0 K) of O2, kJ/mol, NIST-JANAF.
O2_BELOW_298 = 8.683
#: μ_O(T, 1 atm) − ½ E(O2) in eV, Reuter & Scheffler, Phys. Rev. B 65, 035406 (2001), Table I.
REUTER_SCHEFFLER = {
    100: -0.08, 200: -0.17, 300: -0.27, 400: -0.38, 500: -0.50, 600: -0.61, 700: -0.73, 800: -0.85, 900: -0.98,
    1000: -1.10,
}  # fmt: skip
#: Shomate coefficients A to H of the NIST Chemistry WebBook (Chase 1998), by upper temperature.
SHOMATE = {
    "O": {
        700: (31.32234, -20.23531, 57.86644, -36.50624, -0.007374, -8.903471, 246.7945, 0.0),
        2000: (30.03235, 8.772972, -3.988133, 0.788313, -0.741599, -11.32468, 236.1663, 0.0),
    },
    "N": {
        500: (28.98641, 1.853978, -9.647459, 16.63537, 0.000117, -8.671914, 226.4168, 0.0),
        2000: (19.50583, 19.88705, -8.598535, 1.369784, 0.527601, -4.935202, 212.3900, 0.0),
    },
}


def shomate(element, temperature):
    """Return H°(T) − H°(298.15 K) in kJ/mol and S°(T) in J/(K mol)."""
    coefficients = next(row for highest, row in SHOMATE[element].items() if temperature <= highest)
    a, b, c, d, e, f, g, h = coefficients
    t = temperature / 1000
    enthalpy = a * t + b * t**2 / 2 + c * t**3 / 3 + d * t**4 / 4 - e / t + f - h
    return enthalpy, a * math.log(t) + b * t + c * t**2 / 2 + d * t**3 / 3 - e / (2 * t**2) + g


def columns(element):
    row = TABLES[element]
    return [np.array(row[key], float) for key in ("temperature_K", "enthalpy_kJ_per_mol", "entropy_J_per_K_mol")]


@pytest.mark.parametrize("element", ["O", "N"])
def test_tables_obey_dh_is_t_ds(element):
    temperature, enthalpy, entropy = columns(element)
    steps = np.diff(enthalpy)
    # Between two rows T is its mean weighted by cp/T: the logarithmic mean where cp is constant.
    mean = np.diff(temperature) / np.diff(np.log(temperature))
    assert 1000 * steps == pytest.approx(mean * np.diff(entropy), rel=2e-3, abs=1.5)


@pytest.mark.parametrize("element", ["O", "N"])
def test_tables_agree_with_the_shomate_equations(element):
    for temperature, enthalpy, entropy in zip(*columns(element), strict=True):
        if temperature >= 298:
            h, s = shomate(element, temperature)
            assert enthalpy == pytest.approx(h, abs=0.03), temperature
            assert entropy == pytest.approx(s, abs=0.05), temperature


def test_agrees_with_published_potentials_of_oxygen():
    for temperature, published in REUTER_SCHEFFLER.items():
        from_zero = gas_shift("O", temperature, 1.0) + O2_BELOW_298 / 2 / KJ_PER_MOL_PER_EV
        assert from_zero == pytest.approx(published, abs=0.0075), temperature


@settings(deadline=None, max_examples=60)
@given(
    element=st.sampled_from("ON"),
    temperature=st.floats(100, 1990),
    pressure=st.floats(1e-12, 1e3),
    factor=st.floats(0.01, 100),
)
def test_slopes_are_entropy_and_logarithm(element, temperature, pressure, factor):
    base = gas_shift(element, temperature, pressure)
    denser = gas_shift(element, temperature, pressure * factor)
    assert denser - base == pytest.approx(BOLTZMANN_EV_PER_K * temperature * math.log(factor) / 2, abs=1e-9)
    warmer = (gas_shift(element, temperature + 5, 1.0) - gas_shift(element, temperature, 1.0)) / 5
    entropy = np.interp(temperature + 2.5, columns(element)[0], columns(element)[2])
    assert -warmer * 2 * KJ_PER_MOL_PER_EV * 1000 == pytest.approx(entropy, rel=0.02)


@pytest.mark.parametrize("element", ["O", "N"])
def test_follows_the_tables_at_and_between_their_rows(element):
    """Every second row left out of the interpolation is met by it."""
    temperature, enthalpy, entropy = columns(element)
    for t, h, s in zip(temperature, enthalpy, entropy, strict=True):
        assert gas_shift(element, t, 1.0) == pytest.approx((h - t * s / 1000) / 2 / KJ_PER_MOL_PER_EV, abs=1e-12)
    for t in (275.0, 1050.0, 1950.0):
        h, s = shomate(element, t)
        assert gas_shift(element, t, 1.0) == pytest.approx((h - t * s / 1000) / 2 / KJ_PER_MOL_PER_EV, abs=3e-4)


@pytest.mark.parametrize(
    ("element", "temperature", "pressure", "message"),
    [
        ("Br", 300, 1, "no table of the gas of 'Br'"),
        ("O", 99, 1, "temperature 99 K"),
        ("O", 2001, 1, "100 to 2000 K"),
        ("O", float("nan"), 1, "temperature nan K"),
        ("N", 300, 0, "pressure 0 bar"),
        ("N", 300, -1, "above 0"),
        ("N", 300, float("inf"), "pressure inf bar"),
        ("N", 300, float("nan"), "pressure nan bar"),
    ],
)
def test_what_lies_outside_is_refused(element, temperature, pressure, message):
    with pytest.raises(InputError, match=message):
        gas_shift(element, temperature, pressure)
    assert tabulated_gases() == ("O", "N")
