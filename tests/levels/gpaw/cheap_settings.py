"""Settings with which a cell of two atoms takes a second."""

CHEAP = {"cutoff_eV": 300.0, "kpoints": (2, 2, 2), "kpoint_scheme": "gamma", "datasets": {"Li": "paw"}}
CHEAP |= {"finite_basis_correction": False}
