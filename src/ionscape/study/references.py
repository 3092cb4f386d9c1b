"""The literature behind the methods a study uses: what `ionscape cite` prints and the report lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ionscape.study.schema import LevelTable


@dataclass(frozen=True)
class Reference:
    """What a method is called, how its source is cited, and the DOI."""

    method: str
    citation: str
    doi: str


REFERENCES = {
    "chgnet": Reference(
        "CHGNet universal potential",
        "B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023)",
        "10.1038/s42256-023-00716-3",
    ),
    "ase": Reference(
        "Atomic Simulation Environment",
        "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017)",
        "10.1088/1361-648X/aa680e",
    ),
    "pymatgen": Reference(
        "pymatgen", "S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013)", "10.1016/j.commatsci.2012.10.028"
    ),
    "spglib": Reference(
        "Space-group operations",
        "A. Togo, K. Shinohara, I. Tanaka, Sci. Technol. Adv. Mater. Methods 4, 2384822 (2024)",
        "10.1080/27660400.2024.2384822",
    ),
    "LBFGS": Reference("LBFGS", "D. C. Liu, J. Nocedal, Math. Program. 45, 503 (1989)", "10.1007/BF01589116"),
    "FIRE": Reference(
        "FIRE", "E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)", "10.1103/PhysRevLett.97.170201"
    ),
    "density": Reference(
        "Interstitial sites from the charge density",
        "J.-X. Shen, M. Horton, K. A. Persson, npj Comput. Mater. 6, 161 (2020)",
        "10.1038/s41524-020-00422-3",
    ),
    "form factors": Reference(
        "Densities of atoms and ions",
        "D. Waasmaier, A. Kirfel, Acta Crystallogr. A 51, 416 (1995)",
        "10.1107/S0108767394013292",
    ),
    "ewald": Reference("Ewald summation", "P. P. Ewald, Ann. Phys. 369, 253 (1921)", "10.1002/andp.19213690304"),
    "annealing": Reference(
        "Simulated annealing",
        "S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 671 (1983)",
        "10.1126/science.220.4598.671",
    ),
    "hull": Reference(
        "Phase stability from the convex hull",
        "S. P. Ong, L. Wang, B. Kang, G. Ceder, Chem. Mater. 20, 1798 (2008)",
        "10.1021/cm702327g",
    ),
    "simplex": Reference(
        "Equilibria by parametric linear programming",
        "S. Gass, T. Saaty, Nav. Res. Logist. Q. 2, 39 (1955)",
        "10.1002/nav.3800020106",
    ),
    "contact": Reference(
        "Mutual reactions along the mixing ratio",
        "W. D. Richards, L. J. Miara, Y. Wang, J. C. Kim, G. Ceder, Chem. Mater. 28, 266 (2016)",
        "10.1021/acs.chemmater.5b04082",
    ),
    "contact at a voltage": Reference(
        "Mutual reactions at a voltage",
        "Y. Zhu, X. He, Y. Mo, J. Mater. Chem. A 4, 3253 (2016)",
        "10.1039/C5TA08574H",
    ),
    "window": Reference(
        "Electrochemical windows",
        "Y. Zhu, X. He, Y. Mo, ACS Appl. Mater. Interfaces 7, 23685 (2015)",
        "10.1021/acsami.5b07517",
    ),
    "wulff": Reference(
        "Equilibrium shape", "G. Wulff, Z. Kristallogr. 34, 449 (1901)", "10.1524/zkri.1901.34.1.449"
    ),
    "thickness": Reference(
        "Surface energy from slabs of several thicknesses",
        "V. Fiorentini, M. Methfessel, J. Phys.: Condens. Matter 8, 6525 (1996)",
        "10.1088/0953-8984/8/36/005",
    ),
    "tasker": Reference(
        "Polar surfaces",
        "P. W. Tasker, J. Phys. C: Solid State Phys. 12, 4977 (1979)",
        "10.1088/0022-3719/12/22/036",
    ),
    "surface potentials": Reference(
        "Surface energy against chemical potentials",
        "K. Reuter, M. Scheffler, Phys. Rev. B 65, 035406 (2001)",
        "10.1103/PhysRevB.65.035406",
    ),
    "match": Reference(
        "Coincident superlattices", "A. Zur, T. C. McGill, J. Appl. Phys. 55, 378 (1984)", "10.1063/1.333084"
    ),
    "gases at conditions": Reference(
        "Enthalpies and entropies of gases",
        "M. W. Chase, NIST-JANAF Thermochemical Tables, 4th ed., J. Phys. Chem. Ref. Data, Monograph 9 (1998)",
        "10.18434/T42S31",
    ),
    "metastability": Reference(
        "Scale of crystalline metastability",
        "W. Sun et al., Sci. Adv. 2, e1600225 (2016)",
        "10.1126/sciadv.1600225",
    ),
    "materials project": Reference(
        "Crystal-structure facts of competing phases",
        "A. Jain et al., APL Mater. 1, 011002 (2013)",
        "10.1063/1.4812323",
    ),
    "corrections": Reference(
        "Energy corrections in the training data of CHGNet",
        "A. Wang et al., Sci. Rep. 11, 15496 (2021)",
        "10.1038/s41598-021-94550-5",
    ),
    "gases": Reference(
        "Reference energies of gases",
        "L. Wang, T. Maxisch, G. Ceder, Phys. Rev. B 73, 195107 (2006)",
        "10.1103/PhysRevB.73.195107",
    ),
    "adhesion": Reference(
        "Work of adhesion and interface energy",
        "M. W. Finnis, J. Phys.: Condens. Matter 8, 5811 (1996)",
        "10.1088/0953-8984/8/32/003",
    ),
    "expected improvement": Reference(
        "Expected improvement",
        "D. R. Jones, M. Schonlau, W. J. Welch, J. Glob. Optim. 13, 455 (1998)",
        "10.1023/A:1008306431147",
    ),
    "gaussian processes": Reference(
        "Gaussian processes",
        "C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006)",
        "10.7551/mitpress/3206.001.0001",
    ),
    "batches": Reference(
        "Batches of a Bayesian search",
        "D. Ginsbourger, R. Le Riche, L. Carraro, Computational Intelligence in Expensive Optimization Problems, "
        "131 (2010)",
        "10.1007/978-3-642-10701-6_6",
    ),
    "nvt": Reference(
        "Nosé–Hoover chains",
        "G. J. Martyna, M. L. Klein, M. Tuckerman, J. Chem. Phys. 97, 2635 (1992)",
        "10.1063/1.463940",
    ),
    "npt": Reference(
        "Constant pressure molecular dynamics",
        "G. J. Martyna, D. J. Tobias, M. L. Klein, J. Chem. Phys. 101, 4177 (1994)",
        "10.1063/1.467468",
    ),
    "langevin": Reference(
        "Langevin dynamics",
        "E. Vanden-Eijnden, G. Ciccotti, Chem. Phys. Lett. 429, 310 (2006)",
        "10.1016/j.cplett.2006.07.086",
    ),
    "unwrapping": Reference(
        "Unwrapping in changing cells",
        "S. von Bülow, J. T. Bullerjahn, G. Hummer, J. Chem. Phys. 153, 021101 (2020)",
        "10.1063/5.0008316",
    ),
    "displacement": Reference(
        "Mean-square displacements by Fourier transform",
        "V. Calandrini et al., École thém. Soc. Fr. Neutron. 12, 201 (2011)",
        "10.1051/sfn/201112010",
    ),
    "van-hove": Reference(
        "Van Hove functions", "L. Van Hove, Phys. Rev. 95, 249 (1954)", "10.1103/PhysRev.95.249"
    ),
    "channels": Reference(
        "Channels of the host (Zeo++)",
        "T. F. Willems et al., Microporous Mesoporous Mater. 149, 134 (2012)",
        "10.1016/j.micromeso.2011.08.020",
    ),
    "radii": Reference("Ionic radii", "R. D. Shannon, Acta Cryst. A 32, 751 (1976)", "10.1107/S0567739476001551"),
    "spearman": Reference("Rank correlation", "C. Spearman, Am. J. Psychol. 15, 72 (1904)", "10.2307/1412159"),
    "gpaw": Reference(
        "GPAW: density-functional theory with plane waves",
        "J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024)",
        "10.1063/5.0182685",
    ),
    "vasp": Reference(
        "VASP: density-functional theory with plane waves",
        "G. Kresse, J. Furthmüller, Phys. Rev. B 54, 11169 (1996)",
        "10.1103/PhysRevB.54.11169",
    ),
    "mace": Reference("MACE-MP", "I. Batatia et al., arXiv:2401.00096 (2024)", "10.48550/arXiv.2401.00096"),
    "sevennet": Reference(
        "SevenNet", "Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024)", "10.1021/acs.jctc.4c00190"
    ),
    "orb": Reference("Orb", "M. Neumann et al., arXiv:2410.22570 (2024)", "10.48550/arXiv.2410.22570"),
    "power spectrum": Reference(
        "Smooth overlap of atomic positions",
        "A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013)",
        "10.1103/PhysRevB.87.184115",
    ),
    "sparse gp": Reference(
        "Sparse Gaussian-process potentials learned on the fly",
        "A. Hajibabaei, C. W. Myung, K. S. Kim, Phys. Rev. B 103, 214102 (2021)",
        "10.1103/PhysRevB.103.214102",
    ),
    "softening": Reference(
        "Softening of learned potentials",
        "B. Deng et al., npj Comput. Mater. 11, 9 (2025)",
        "10.1038/s41524-024-01500-6",
    ),
    "tangents": Reference(
        "Improved tangents of elastic bands",
        "G. Henkelman, H. Jónsson, J. Chem. Phys. 113, 9978 (2000)",
        "10.1063/1.1323224",
    ),
    "climbing": Reference(
        "Climbing-image nudged elastic band",
        "G. Henkelman, B. P. Uberuaga, H. Jónsson, J. Chem. Phys. 113, 9901 (2000)",
        "10.1063/1.1329672",
    ),
    "idpp": Reference(
        "Image-dependent pair potential",
        "S. Smidstrup, A. Pedersen, K. Stokbro, H. Jónsson, J. Chem. Phys. 140, 214106 (2014)",
        "10.1063/1.4878664",
    ),
    "gp band": Reference(
        "Elastic bands on Gaussian processes",
        "J. A. Garrido Torres et al., Phys. Rev. Lett. 122, 156001 (2019)",
        "10.1103/PhysRevLett.122.156001",
    ),
    "lattice diffusivity": Reference(
        "Diffusivity of a carrier on its network of hops",
        "D. R. Trinkle, Phys. Rev. Lett. 121, 235901 (2018)",
        "10.1103/PhysRevLett.121.235901",
    ),
    "kinetic monte carlo": Reference(
        "Kinetic Monte Carlo",
        "A. B. Bortz, M. H. Kalos, J. L. Lebowitz, J. Comput. Phys. 17, 10 (1975)",
        "10.1016/0021-9991(75)90060-1",
    ),
    "parsl": Reference("Parsl", "Y. Babuji et al., HPDC 2019, 25", "10.1145/3307681.3325400"),
}


def references_of(
    *,
    levels: Sequence[LevelTable],
    optimizer: str,
    stages: frozenset[str],
    search: str,
    voids: str,
    conditions: frozenset[str] = frozenset(),
) -> list[Reference]:
    """Return the references of the methods that a study with these choices uses, in the order of their use.

    `conditions` may hold ``gases`` (at a temperature), ``voltage``, the ensemble and the analyses of transport.
    """
    keys = ["ase", "pymatgen", "spglib", "parsl", optimizer]
    for level in levels:
        keys += [level.name] if level.name in REFERENCES else []
        if level.name == "chgnet" and level.settings.get("model") != "r2scan":
            keys.append("corrections")
    if "voids" in stages:
        keys += ["density", "form factors"] if voids == "density" else []
    if "doping" in stages:
        keys += ["ewald", "spearman"] + (["annealing"] if "anneal" in search else [])
    keys += ["contact"] if "contact" in stages else []
    keys += ["contact at a voltage"] if "contact" in stages and "voltage" in conditions else []
    keys += ["window"] if "window" in stages else []
    keys += ["tasker", "thickness", "surface potentials", "wulff"] if "surfaces" in stages else []
    keys += ["match"] if "match" in stages else []
    if "interface" in stages:
        keys += ["adhesion", "gaussian processes", "expected improvement", "batches"]
    if stages & {"stability", "contact", "window"}:
        keys += ["hull", "simplex", "gases", "metastability", "materials project"]
        keys += ["gases at conditions"] if "gases" in conditions else []
    return [REFERENCES[key] for key in dict.fromkeys([*keys, *_of_runs(stages, conditions)])]


def _of_runs(stages: frozenset[str], conditions: frozenset[str]) -> list[str]:
    """Return the keys of the methods of molecular dynamics and of the analyses of transport."""
    keys = ["power spectrum", "sparse gp", "softening"] if "potential" in stages else []
    if "dynamics" in stages:
        keys += ["langevin"] + [key for key in ("nvt", "npt") if key in conditions]
    if "transport" in stages:
        keys += ["unwrapping", "displacement"]
        keys += ["van-hove"] if "van-hove" in conditions else []
        keys += ["channels", "radii"] if "channels" in conditions else []
    if "migration" in stages:
        keys += ["climbing", "tangents", "idpp"] + (["gp band"] if "surrogate" in conditions else [])
        keys += ["lattice diffusivity", "kinetic monte carlo"]
    return keys
