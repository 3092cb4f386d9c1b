"""Levels of theory: named sources of energies, forces and stresses, and what is computed with them."""
