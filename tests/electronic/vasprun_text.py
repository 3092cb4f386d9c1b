"""A vasprun.xml with projected states, as VASP 5.4 and 6 lay it out: what the parser needs, and nothing else."""

from __future__ import annotations

import numpy as np

ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz", "x2-y2")


def rows(array) -> str:
    return "".join(f"<v>{' '.join(f'{x:.8f}' for x in row)}</v>" for row in np.atleast_2d(array))


def spin_sets(values, energies) -> str:
    """Return the sets of one atom: (spins, orbitals, n) values beside their energies."""
    parts = []
    for number, by_orbital in enumerate(values):
        lines = "".join(
            f"<r>{energy:.4f} {' '.join(f'{x:.5f}' for x in column)}</r>"
            for energy, column in zip(energies, by_orbital.T, strict=True)
        )
        parts.append(f'<set comment="spin {number + 1}">{lines}</set>')
    return "".join(parts)


def total_sets(values, energies) -> str:
    parts = []
    for number, one in enumerate(values):
        lines = "".join(
            f"<r>{e:.4f} {x:.5f} {c:.5f}</r>" for e, x, c in zip(energies, one, np.cumsum(one), strict=True)
        )
        parts.append(f'<set comment="spin {number + 1}">{lines}</set>')
    return "".join(parts)


def vasprun(structure, energies, values, eigenvalues, fermi: float) -> str:
    """Return the file: (atoms, spins, nine orbitals, n) `values`; (spins, bands) `eigenvalues` at one k-point."""
    symbols = [site.specie.symbol for site in structure]
    kinds = list(dict.fromkeys(symbols))
    lattice = structure.lattice
    crystal = (
        f'<crystal><varray name="basis">{rows(lattice.matrix)}</varray><i name="volume">{lattice.volume}</i>'
        f'<varray name="rec_basis">{rows(lattice.reciprocal_lattice_crystallographic.matrix)}</varray></crystal>'
        f'<varray name="positions">{rows(structure.frac_coords)}</varray>'
    )
    ions = "".join(f"<rc><c>{one} </c><c>{kinds.index(one) + 1}</c></rc>" for one in symbols)
    types = "".join(
        f"<rc><c>{symbols.count(one)}</c><c>{one} </c><c>1.0</c><c>1.0</c><c>PAW_PBE {one} 01Jan2000</c></rc>"
        for one in kinds
    )
    energy = (
        "<energy><i name='e_fr_energy'>-1.0</i><i name='e_wo_entrp'>-1.0</i><i name='e_0_energy'>-1.0</i></energy>"
    )
    bands = "".join(
        f'<set comment="spin {number + 1}"><set comment="kpoint 1">'
        + "".join(f"<r>{value:.4f} {1.0 if value <= fermi else 0.0:.4f}</r>" for value in one)
        + "</set></set>"
        for number, one in enumerate(eigenvalues)
    )
    partial = "".join(
        f'<set comment="ion {number + 1}">{spin_sets(one, energies)}</set>' for number, one in enumerate(values)
    )
    fields = "".join(f"<field>{name} </field>" for name in ("energy", *ORBITALS))
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling><generator><i name="program" type="string">vasp </i>
<i name="version" type="string">5.4.4 </i></generator>
<incar><i type="int" name="LORBIT">11</i></incar>
<kpoints><generation param="Gamma"><v type="int" name="divisions">1 1 1 </v><v name="usershift">0 0 0 </v>
<v name="shift">0 0 0 </v></generation><varray name="kpointlist"><v>0 0 0</v></varray>
<varray name="weights"><v>1.0</v></varray></kpoints>
<parameters><separator name="electronic">
<i type="int" name="NELM">60</i><i type="int" name="ISPIN">2</i></separator>
<separator name="ionic"><i type="int" name="NSW">0</i></separator><separator name="xc">
<i type="string" name="GGA">PE</i>
<i name="AEXX">0.0</i><i name="HFSCREEN">0.0</i><i type="logical" name="LHFCALC">F</i></separator></parameters>
<atominfo><atoms>{len(symbols)}</atoms><types>{len(kinds)}</types>
<array name="atoms"><dimension dim="1">ion</dimension>
<field type="string">element</field><field type="int">atomtype</field><set>{ions}</set></array>
<array name="atomtypes"><dimension dim="1">type</dimension><field type="int">atomspertype</field>
<field type="string">element</field><field>mass</field><field>valence</field>
<field type="string">pseudopotential</field><set>{types}</set></array></atominfo>
<structure name="initialpos">{crystal}</structure>
<calculation><scstep>{energy}</scstep><structure>{crystal}</structure>
<varray name="forces">{rows(np.zeros((len(symbols), 3)))}</varray>
<varray name="stress">{rows(np.zeros((3, 3)))}</varray>
{energy}<eigenvalues><array><dimension dim="1">band</dimension><field>eigene</field><field>occ</field>
<set>{bands}</set></array></eigenvalues>
<dos><i name="efermi">{fermi}</i><total><array><dimension dim="1">gridpoints</dimension><field>energy</field>
<field>total</field><field>integrated</field>
<set>{total_sets(values.sum(axis=(0, 2)), energies)}</set></array></total>
<partial><array><dimension dim="1">gridpoints</dimension>{fields}<set>{partial}</set></array></partial></dos>
</calculation><structure name="finalpos">{crystal}</structure></modeling>
"""
