"""A path between two sites: ends relaxed, images laid, band relaxed, refined where needed, and told as it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import LBFGS

from ionscape.errors import CalculationError, InputError
from ionscape.migration.endpoints import SAME, EndPoints, matched_ends
from ionscape.migration.interpolation import first_images
from ionscape.migration.modes import SaddleModes, moving_atoms, saddle_modes
from ionscape.migration.plain import iterations
from ionscape.migration.refinement import refined, unresolved
from ionscape.migration.result import MigrationPath
from ionscape.migration.settings import BandSettings
from ionscape.migration.state import BandState, largest_force
from ionscape.migration.surface import LevelSurface, Sample, SurfaceCalculator
from ionscape.migration.surrogate import END_FRAMES, evaluations, free_coordinates
from ionscape.structures.exchange import constraints, fixed_coordinates, hold, to_atoms, to_structure

if TYPE_CHECKING:
    from pymatgen.core import Structure

LOG = "band.log"
#: A surrogate-assisted band that asked the level this often for every image goes on without its surrogate.
PATIENCE = 15


def check_path(initial: Structure, final: Structure, settings: BandSettings) -> EndPoints:
    """Return the matched ends after laying the first images, which costs nothing.

    Raises
    ------
    InputError
        If the ends do not belong together, or images overlap.
    """
    ends = matched_ends(initial, final, settings.mapping)
    first_images(ends, settings.images, settings.path)
    return ends


def find_path(ends: EndPoints, calculator: Any, settings: BandSettings, folder: Path) -> MigrationPath:
    """Return the minimum-energy path between two sites, continuing what an interrupted run left in `folder`.

    Climbing-image nudged elastic band with improved tangents (doi:10.1063/1.1323224, doi:10.1063/1.1329672). The
    cell is fixed. A band that did not converge is returned as it stands, and says so.

    Parameters
    ----------
    ends
        The matched end points (`check_path`).
    calculator
        ASE calculator of energy and forces.
    settings
        Images, springs, tolerances.
    folder
        Existing folder for the record of evaluations, which is also the checkpoint, and the log.

    Raises
    ------
    CalculationError
        If an end cannot be relaxed, both relax to one structure, or the level gives no finite number.
    """
    surface = LevelSurface(_atoms(ends.initial, 0.0), calculator, folder)
    try:
        with (folder / LOG).open("w", encoding="utf-8") as log:
            return _Search(surface, settings, log).path(ends)
    finally:
        surface.close()


class _Search:
    """The search for one path: its surface, its settings, its log."""

    def __init__(self, surface: LevelSurface, settings: BandSettings, log: TextIO) -> None:
        self._surface, self._settings, self._log = surface, settings, log
        self._iterations = 0
        self._known: list[Sample] = []
        self._end_calls = 0

    def path(self, ends: EndPoints) -> MigrationPath:
        first = self._end(_atoms(ends.initial, 0.0), "initial")
        last = self._end(_atoms(ends.initial, ends.displacement), "final")
        self._end_calls = self._surface.calls
        images = self._first_images(ends, first, last)
        state = self._converged(images)
        while state.is_converged(self._settings) and (where := self._wanting(images, state)):
            images = refined(images, where)
            state = self._converged(images)
        modes = self._modes(images, state)
        return self._result(images, state, modes)

    def _end(self, atoms: Atoms, name: str) -> Atoms:
        """Relax an end, keep its last evaluations, and freeze what the level says of it."""
        begun = self._surface.calls
        atoms.calc = SurfaceCalculator(self._surface)
        if self._settings.relax_ends:
            self._relax(atoms, name)
        sample = self._surface.at(atoms.positions)
        own = self._surface.samples[begun:] or [sample]
        self._known += own[-END_FRAMES:]
        atoms.calc = SinglePointCalculator(atoms, energy=sample.energy, forces=sample.forces)
        return atoms

    def _relax(self, atoms: Atoms, name: str) -> None:
        tolerance = self._settings.ends_fmax_eV_per_A
        optimizer = LBFGS(atoms, logfile=None)
        for _ in optimizer.irun(fmax=0.0, steps=self._settings.max_steps):
            left = largest_force(atoms.get_forces())
            self._tell(f"{name} end", optimizer.nsteps, atoms.get_potential_energy(), left)
            if left <= tolerance:
                return
        message = (
            f"the {name} end is not relaxed after {optimizer.nsteps} steps (largest force {left:.3f} eV/Å, "
            f"tolerance {tolerance:g})"
        )
        raise CalculationError(message)

    def _first_images(self, ends: EndPoints, first: Atoms, last: Atoms) -> list[Atoms]:
        moved = last.positions - first.positions
        farthest = float(np.linalg.norm(moved, axis=1).max())
        if farthest < SAME:
            message = (
                f"both ends relax to one structure (no atom moves farther than {farthest:.3f} Å between them)"
            )
            raise CalculationError(message)
        relaxed = EndPoints(_structure(first, ends.initial), _structure(last, ends.initial), moved)
        try:
            images = first_images(relaxed, self._settings.images, self._settings.path)
        except InputError as error:
            raise CalculationError(str(error)) from None
        return [first, *images[1:-1], last]

    def _converged(self, images: list[Atoms]) -> BandState:
        """Relax the band; return its last state, converged or not."""
        if self._settings.method == "surrogate":
            state = self._on_surrogate(images)
            if state is not None and state.is_converged(self._settings):
                return state
        for image in images[1:-1]:
            image.calc = SurfaceCalculator(self._surface)
        state = None
        for state in self._counted(iterations(images, self._settings)):
            if state.is_converged(self._settings):
                break
        assert state is not None  # noqa: S101  the state before the first iteration is always told
        return state

    def _on_surrogate(self, images: list[Atoms]) -> BandState | None:
        state, asked = None, PATIENCE * (len(images) - 2)
        known = [*self._known, *self._surface.samples[self._end_calls :]]
        steps = evaluations(images, self._surface, known, self._settings)
        for told in self._counted(steps):
            state = told or state
            asked -= 1
            if asked < 0 or (told is not None and told.is_converged(self._settings)):
                break
        return state

    def _counted(self, steps: Iterator[Any]) -> Iterator[Any]:
        for step in steps:
            if step is not None:
                profile = step.profile
                self._tell("band", self._iterations, profile.forward, step.saddle_force)
            yield step
            if self._iterations >= self._settings.max_steps:
                return
            self._iterations += 1

    def _tell(self, what: str, step: int, energy: float, force: float) -> None:
        self._log.write(f"{what:12s} {step:5d}  E {energy:14.6f} eV  force {force:9.5f} eV/A\n")
        self._log.flush()

    def _wanting(self, images: list[Atoms], state: BandState) -> list[int]:
        if not self._settings.adaptive or self._iterations >= self._settings.max_steps:
            return []
        return unresolved(images, state, self._settings)

    def _modes(self, images: list[Atoms], state: BandState) -> SaddleModes | None:
        if self._settings.modes == "none" or not state.is_converged(self._settings):
            return None
        moved = images[-1].positions - images[0].positions
        atoms = moving_atoms(moved) if self._settings.modes == "moving" else np.arange(len(moved))
        saddle = images[state.profile.highest]
        return saddle_modes(saddle, atoms, self._surface, free_coordinates(images[0]))

    def _result(self, images: list[Atoms], state: BandState, modes: SaddleModes | None) -> MigrationPath:
        settings = self._settings
        wanting = unresolved(images, state, settings.model_copy(update={"max_images": len(images)}))
        return MigrationPath(
            profile=state.profile,
            images=tuple(to_structure(image) for image in images),
            climbing=state.climbing,
            saddle_error=state.saddle_error,
            saddle_force=state.saddle_force,
            path_force=state.path_force,
            converged=state.is_converged(settings),
            resolved=not wanting,
            state=_in_words(state, settings, resolved=not wanting),
            iterations=self._iterations,
            n_force_calls=self._surface.calls - self._end_calls,
            n_end_calls=self._end_calls,
            initial_energy=float(images[0].get_potential_energy()),
            modes=modes,
        )


def _atoms(structure: Structure, moved: Any) -> Atoms:
    atoms, held = to_atoms(structure), fixed_coordinates(structure)
    atoms.positions += moved
    if held is not None:
        atoms.set_constraint(constraints(held))
    return atoms


def _structure(atoms: Atoms, like: Structure) -> Structure:
    held = fixed_coordinates(like)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structure = to_structure(atoms)
    return structure if held is None else hold(structure, held)


def _in_words(state: BandState, settings: BandSettings, *, resolved: bool) -> str:
    forces = (
        f"force on the saddle {state.saddle_force:.3f} eV/Å (tolerance {settings.fmax_eV_per_A:g}), "
        f"across the path {state.path_force:.3f} eV/Å (tolerance {settings.path_fmax_eV_per_A:g})"
    )
    if not state.is_converged(settings):
        return f"not converged: {forces}"
    what = (
        "converged" if state.climbing is not None or not settings.climb else "converged, no image above both ends"
    )
    if resolved:
        return f"{what}: {forces}"
    return f"{what}, but poorly resolved by {len(state.profile.energies) - 2} images: {forces}"
