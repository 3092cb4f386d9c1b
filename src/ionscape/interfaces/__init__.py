"""Interfaces: slabs, lattice matching, assembling, registry search, adhesion, dopants at contacts."""
