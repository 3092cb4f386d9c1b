"""Interfaces: slabs, lattice matching, assembly, registry, adhesion, dopants at contacts."""
