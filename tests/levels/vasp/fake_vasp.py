"""Stands in for VASP in tests of the plumbing: reads POSCAR and INCAR, and writes vasprun.xml with EMT's numbers.

It checks nothing about VASP itself, and no test that uses it says that VASP was run.
"""

import sys
from pathlib import Path

from ase.calculators.emt import EMT
from ase.io import read
from ase.units import GPa

atoms = read("POSCAR")
titles = [line.split()[3] for line in Path("POTCAR").read_text().splitlines() if "TITEL" in line]
assert titles == Path("POTCAR.spec").read_text().split()
incar = dict(line.split(" = ") for line in Path("INCAR").read_text().splitlines())
assert incar["NSW"] == "0"
if "crash" in sys.argv:
    sys.stdout.write("forrtl: severe (174): SIGSEGV\n")
    sys.exit(1)
atoms.calc = EMT()
energy, forces = atoms.get_potential_energy(), atoms.get_forces()
stress = -atoms.get_stress(voigt=False) / GPa * 10
steps = int(incar.get("NELM", 60)) if "unconverged" in sys.argv else 3


def rows(array):
    return "".join(f"<v>{' '.join(f'{x:.12f}' for x in row)}</v>" for row in array)


def energies(name):
    one = "".join(f"<i name='{key}'>{energy + 0.001 * number:.8f}</i>" for number, key in enumerate(name))
    return f"<energy>{one}</energy>"


step = f"<scstep>{energies(('e_0_energy', 'e_fr_energy'))}</scstep>"
text = (
    f"<modeling><parameters><i name='NELM'>{incar.get('NELM', 60)}</i></parameters><calculation>{step * steps}"
    f"<varray name='forces'>{rows(forces)}</varray><varray name='stress'>{rows(stress)}</varray>"
    f"{energies(('e_0_energy', 'e_fr_energy'))}</calculation></modeling>"
)
Path("vasprun.xml").write_text(text[:-40] if "truncated" in sys.argv else text)
