"""Interfaces: slabs, lattice matching, assembly, registry, adhesion."""
