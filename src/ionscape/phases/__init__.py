"""Competing phases: packaged crystal structures, their energies at a level, measured enthalpies."""
