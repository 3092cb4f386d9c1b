import numpy as np
import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture(scope="session")
def lzo():
    """Li6Zr2O7, C2/c; relaxed with CHGNet from the NaCl parent with ordered anion vacancies."""
    sites = {
        "Li": [
            (0.06141865, 0.14585204, 0.08764859),
            (0.06523585, 0.39816297, 0.60484113),
            (0.20464352, 0.12941085, 0.89318828),
        ],
        "Zr": [(0.18405904, 0.38015648, 0.36638546)],
        "O": [
            (0.12186055, 0.37724171, 0.97956080),
            (0.13203807, 0.13146784, 0.50197536),
            (0.24837860, 0.38479705, 0.74492999),
            (0.0, 0.35309128, 0.25),
        ],
    }
    lattice = Lattice.from_parameters(10.56179091, 6.07646983, 10.26046394, 90, 100.08446451, 90)
    species = [symbol for symbol, positions in sites.items() for _ in positions]
    crystal = Structure.from_spacegroup("C2/c", lattice, species, [p for ps in sites.values() for p in ps])
    assert crystal.composition.formula == "Li24 Zr8 O28"
    return crystal


def rotation(seed):
    """A proper rotation, uniformly drawn."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def rotated(structure, seed=1):
    """The same crystal, turned as a whole."""
    lattice = Lattice(structure.lattice.matrix @ rotation(seed))
    return Structure(lattice, [site.specie for site in structure], structure.frac_coords)


@pytest.fixture(scope="session")
def turn():
    return rotated
