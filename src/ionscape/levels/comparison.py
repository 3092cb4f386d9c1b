"""How well a cheap level stands in for a dear one: errors on the same frames, and whether conclusions survive.

Energies of two levels count from different zeros: what is compared is their differences within one composition.
So one offset per composition, the median of the differences, is taken off; errors of energies are those that
remain.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any

import numpy as np

from ionscape.errors import InputError
from ionscape.potential.gate import softening
from ionscape.results import Failure
from ionscape.units import Count, Energy, EnergyPerAtom, Force, Number, Stress, Unit

#: Word under which a frame tells the band of images it belongs to; its images stand in order.
BAND = "band"


@dataclass(frozen=True)
class Orderings:
    """Whether the cheap level puts frames of one composition in the order of the dear one.

    Attributes
    ----------
    pairs
        Pairs of frames of one composition whose dear energies differ.
    kept
        How many of them the cheap level orders alike.
    worst
        Largest dear difference of a pair in the wrong order; None if there is none.
    same_lowest, compositions
        In how many compositions both levels name the same frame the lowest, and of how many.
    """

    pairs: Count
    kept: Count
    worst: EnergyPerAtom | None
    same_lowest: Count
    compositions: Count


@dataclass(frozen=True)
class BarrierPair:
    """Highest less first energy along one band of images at both levels."""

    band: str
    cheap: Energy
    dear: Energy


@dataclass(frozen=True)
class LevelComparison:
    """A cheap level beside a dear one.

    Attributes
    ----------
    frames
        Number of frames.
    offsets
        Dear less cheap energy by composition, which is taken off.
    energy_mae, energy_rmse
        What remains; None where every composition has one frame only.
    force_mae, force_rmse, force_r2, force_correlation
        Of force components; the correlation is a failure if all cheap ones are equal.
    softening
        Slope of cheap against dear forces; below 1 the cheap level is too soft.
    stress_mae, stress_shift
        Mean absolute error of stress components, and mean signed error of a third of the trace; None without
        stresses.
    orderings
        None where no composition has two frames.
    barriers
        One for each band of images.
    """

    frames: Count
    offsets: Annotated[Mapping[str, float], Unit("eV/atom")]
    energy_mae: EnergyPerAtom | None
    energy_rmse: EnergyPerAtom | None
    force_mae: Force
    force_rmse: Force
    force_r2: Number
    force_correlation: Number | Failure
    softening: Number | Failure
    stress_mae: Stress | None
    stress_shift: Stress | None
    orderings: Orderings | None
    barriers: tuple[BarrierPair, ...]


def compare_levels(cheap: Sequence[Any], dear: Sequence[Any]) -> LevelComparison:
    """Return how `cheap` results compare with `dear` ones.

    Parameters
    ----------
    cheap, dear
        The same structures as ASE Atoms, with energies and forces, and stresses where both have them; those of
        one band of images carry the same ``info["band"]`` and stand in order.

    Raises
    ------
    InputError
        If there are none, the structures differ, or a frame lacks an energy or forces.
    """
    _check(cheap, dear)
    groups = _by_composition(dear)
    ours, theirs = (np.array([_label(one, "energy") / len(one) for one in frames]) for frames in (cheap, dear))
    shifts = {name: float(np.median(theirs[members] - ours[members])) for name, members in groups.items()}
    deviation = np.concatenate([ours[them] + shifts[name] - theirs[them] for name, them in groups.items()])
    several = any(len(members) > 1 for members in groups.values())
    forces = np.stack(
        [np.concatenate([np.asarray(_label(one, "forces")).ravel() for one in frames]) for frames in (cheap, dear)]
    )
    return LevelComparison(
        frames=len(dear),
        offsets=shifts,
        energy_mae=float(np.abs(deviation).mean()) if several else None,
        energy_rmse=float(np.sqrt((deviation**2).mean())) if several else None,
        **_of_forces(forces),
        **_of_stresses(cheap, dear),
        orderings=_orderings(ours, theirs, groups) if several else None,
        barriers=_barriers(cheap, dear),
    )


def _label(atoms: Any, name: str) -> Any:
    return atoms.calc.results[name]


def _check(cheap: Sequence[Any], dear: Sequence[Any]) -> None:
    wrong = "no frames" if not dear else "" if len(cheap) == len(dear) else f"{len(cheap)} and {len(dear)} frames"
    for number, (a, b) in enumerate(zip(cheap, dear, strict=False)):
        labels = [set() if one.calc is None else set(one.calc.results) for one in (a, b)]
        if any(not {"energy", "forces"} <= one for one in labels):
            wrong = f"frame {number} (counted from 0) has no energy or no forces"
        elif list(a.numbers) != list(b.numbers) or not np.allclose(a.positions, b.positions, atol=1e-6):
            wrong = f"frame {number} (counted from 0) is another structure at the other level"
    if wrong:
        raise InputError(
            wrong,
            where="comparison of levels",
            expected="the same frames with energies and forces of both levels",
            remedy="Evaluate all frames at both levels (`ionscape evaluate`).",
        )


def _by_composition(frames: Sequence[Any]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for number, atoms in enumerate(frames):
        counts = atoms.symbols.formula.count()
        divisor = math.gcd(*counts.values())
        name = "".join(f"{symbol}{count // divisor or ''}" for symbol, count in sorted(counts.items()))
        groups[name].append(number)
    return dict(groups)


def _of_forces(forces: Any) -> dict[str, Any]:
    ours, dear = forces
    deviation = ours - dear
    spread = float(((dear - dear.mean()) ** 2).sum())
    if spread == 0:
        raise InputError(
            "all forces of the dear level are equal",
            where="comparison of levels",
            expected="frames away from their equilibrium",
            remedy="Take frames of molecular dynamics, or displace the atoms.",
        )
    varied = float(((ours - ours.mean()) ** 2).sum())
    covariance = float(((ours - ours.mean()) * (dear - dear.mean())).sum())
    unknown = Failure("all forces of the cheap level are equal")
    return {
        "force_mae": float(np.abs(deviation).mean()),
        "force_rmse": float(np.sqrt((deviation**2).mean())),
        "force_r2": 1 - float((deviation**2).sum()) / spread,
        "force_correlation": covariance / math.sqrt(spread * varied) if varied else unknown,
        "softening": softening(ours, dear),
    }


def _of_stresses(cheap: Sequence[Any], dear: Sequence[Any]) -> dict[str, Any]:
    both = zip(cheap, dear, strict=True)
    pairs = [(a.calc.results.get("stress"), b.calc.results.get("stress")) for a, b in both]
    if any(a is None or b is None for a, b in pairs):
        return {"stress_mae": None, "stress_shift": None}
    difference = np.array([np.asarray(a) - np.asarray(b) for a, b in pairs])
    return {
        "stress_mae": float(np.abs(difference).mean()),
        "stress_shift": float(difference[:, :3].mean()),
    }


def _orderings(ours: Any, theirs: Any, groups: Mapping[str, Sequence[int]]) -> Orderings:
    pairs = [pair for members in groups.values() for pair in combinations(members, 2)]
    gaps = [(float(ours[a] - ours[b]), float(theirs[a] - theirs[b])) for a, b in pairs]
    gaps = [gap for gap in gaps if gap[1]]
    wrong = [abs(dear) for cheap, dear in gaps if cheap * dear <= 0]
    sets = [list(members) for members in groups.values() if len(members) > 1]
    return Orderings(
        pairs=len(gaps),
        kept=len(gaps) - len(wrong),
        worst=max(wrong, default=None),
        same_lowest=sum(int(np.argmin(ours[one]) == np.argmin(theirs[one])) for one in sets),
        compositions=len(sets),
    )


def _barriers(cheap: Sequence[Any], dear: Sequence[Any]) -> tuple[BarrierPair, ...]:
    bands: dict[str, list[int]] = defaultdict(list)
    for number, atoms in enumerate(dear):
        if BAND in atoms.info:
            bands[str(atoms.info[BAND])].append(number)

    def height(frames: Sequence[Any], members: Sequence[int]) -> float:
        energies = [float(_label(frames[number], "energy")) for number in members]
        return max(energies) - energies[0]

    return tuple(BarrierPair(name, height(cheap, them), height(dear, them)) for name, them in bands.items())
