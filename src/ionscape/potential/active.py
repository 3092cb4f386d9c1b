"""Learning on the fly: a potential that knows when it does not know, and asks the dear level then.

The learner owns the frames of the dear level, the fit that grows with them, and the calibration of its
uncertainty. For every frame it notes what it would have said of it before it was taught it; what
error goes with what covariance loss follows from the last such forecasts (`active_calibration`), so that the
tolerance is in eV/Å. It is a function of the frames in their order: a learner that is made again from its record
equals the one that wrote it to the last bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase.units import fs, kB

from ionscape.errors import CalculationError, InputError
from ionscape.potential.active_calibration import RunningCalibration, running_calibration
from ionscape.potential.active_fit import GrowingFit
from ionscape.potential.active_record import Forecast, Lesson, LessonRecord
from ionscape.potential.active_settings import LearningSettings
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.calibration import spread_of
from ionscape.potential.descriptor import by_atomic_number
from ionscape.potential.frames import Frame, labelled_frames
from ionscape.potential.model import SparseModel
from ionscape.potential.uncertainty import covariance_loss
from ionscape.units import Count, ForceArray, LengthArray, NumberArray, Temperature, Time


class Learner:
    """A potential that learns from a dear level.

    Parameters
    ----------
    dear
        ASE calculator of energy, forces and stress.
    symbols
        Elements that there will be.
    settings
        Tolerance, caution, growth, and the potential.
    record
        File of the lessons. Those in it answer first, as long as exactly their structures are asked for in their
        order; the rest is cut off then.
    level
        Name of the dear level.

    Attributes
    ----------
    calls
        How often the dear level itself was asked by this object.

    Raises
    ------
    InputError
        If the record cannot be read, or holds frames of another level.
    """

    def __init__(
        self, dear: Any, symbols: set[str], settings: LearningSettings, record: Path, level: str = ""
    ) -> None:
        self.settings, self.level, self.calls = settings, level, 0
        self._dear, self._record = dear, LessonRecord(record)
        self._fit = GrowingFit(by_atomic_number(symbols), settings)
        self._check_level()
        self._taught: list[Lesson] = []
        self._calculator: PotentialCalculator | None = None
        self._told: RunningCalibration | None = None

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """What was taught so far."""
        return tuple(self._taught)

    @property
    def recorded(self) -> Count:
        """Lessons in the record, taught or waiting to answer."""
        return len(self._record.lessons)

    @property
    def calibrated(self) -> bool:
        """Whether errors of forecasts are known."""
        return self._told is not None

    @property
    def model(self) -> SparseModel:
        """The potential as it is now."""
        return self.calculator.model

    @property
    def calculator(self) -> PotentialCalculator:
        """ASE calculator of the potential as it is now.

        Raises
        ------
        ValueError
            Before the first frame.
        """
        if self._calculator is None:
            message = "the learner has seen no frame yet"
            raise ValueError(message)
        return self._calculator

    def resume(self, count: Count) -> None:
        """Learn the first `count` lessons of the record again, as if they had been asked for one by one."""
        self._taught, self._calculator, self._told = self._record.lessons[:count], None, None
        if not count:
            return
        fitted = self.settings.last_refit(count)
        self._fit.refit([lesson.frame for lesson in self._taught[:fitted]])
        self._renew(fitted)
        for number in range(fitted, count):
            self._fit.add(self._taught[number].frame, self.model)
            self._renew(number + 1)

    def deviations(self, atoms: Any) -> ForceArray:
        """Return the standard deviation to be expected of a force component on each atom, eV/Å; inf if unknown.

        Parameters
        ----------
        atoms
            ASE atoms.
        """
        if self._told is None:
            return np.full(len(atoms), np.inf)
        kinds = self.model.descriptor.indices(atoms.get_chemical_symbols(), "structure")
        return self._told.deviations(self._losses(atoms), kinds)

    def ask(self, atoms: Any) -> Frame:
        """Return the labels of the dear level for ASE `atoms`, after they were recorded and learned from.

        Raises
        ------
        CalculationError
            If the dear level fails.
        InputError
            If it gives labels that are not finite or absurdly large, or the record cannot be written.
        """
        lesson = self._recorded(atoms)
        if lesson is None:
            forecast = None if self._calculator is None else self._forecast(atoms)
            lesson = Lesson(self._labelled(atoms), forecast)
            self._record.append(lesson)
        self._learn(lesson)
        return lesson.frame

    def begin(self, atoms: Any, temperature: Temperature, seed: int) -> None:
        """Learn the start: ASE `atoms`, then after free thermal flights of growing length from there.

        Atoms fly from where they are with velocities drawn at the temperature (K), each time new ones, up to
        ``flight_fs``: as far as they move in a vibration.
        """
        count = self.settings.first_frames
        for number in range(len(self._taught), count):
            rng = np.random.default_rng((seed, number))
            moved = atoms.copy()
            moved.set_constraint()
            moved.positions = flown(atoms, self.settings.flight_fs * number / (count - 1), temperature, rng)
            self.ask(moved)

    def _check_level(self) -> None:
        others = sorted({one.frame.level for one in self._record.lessons} - {self.level})
        if others:
            raise InputError(
                f"frames of level '{others[0]}'",
                where=str(self._record.path),
                expected=f"frames of level '{self.level}'",
                remedy="Choose another folder, or move the file away.",
            )

    def _recorded(self, atoms: Any) -> Lesson | None:
        place = len(self._taught)
        if place >= len(self._record.lessons):
            return None
        frame = self._record.lessons[place].frame
        same_atoms = frame.symbols == tuple(atoms.get_chemical_symbols()) and frame.periodic == tuple(atoms.pbc)
        same_cell = np.array_equal(frame.cell, atoms.cell.array)
        if same_atoms and same_cell and np.array_equal(frame.positions, atoms.positions):
            return self._record.lessons[place]
        self._record.cut(place)
        return None

    def _labelled(self, atoms: Any) -> Frame:
        asked = atoms.copy()
        asked.info, asked.calc = {"level": self.level} if self.level else {}, self._dear
        asked.set_constraint()
        number = len(self._taught) + 1
        try:
            self.calls += 1
            asked.get_potential_energy()
            asked.get_forces()
            if asked.pbc.all():
                asked.get_stress()
        except Exception as error:  # the dear level may be any program, and raises anything
            raise CalculationError(_failed(self.level, number, f"{type(error).__name__}: {error}")) from error
        return labelled_frames([asked], f"answer {number} of the dear level")[0]

    def _forecast(self, atoms: Any) -> Forecast:
        asked = atoms.copy()
        asked.set_constraint()
        asked.calc = self.calculator
        deviations = self.deviations(asked) if self.calibrated else np.zeros(len(asked))
        energy, forces = asked.get_potential_energy(), asked.get_forces()
        return Forecast(float(energy), np.array(forces), self._losses(asked), deviations)

    def _losses(self, atoms: Any) -> NumberArray:
        kinds = self.model.descriptor.indices(atoms.get_chemical_symbols(), "structure")
        a, b, c = (bool(flag) for flag in atoms.pbc)
        features = self._fit.baseline.descriptors(atoms.positions, atoms.cell.array, kinds, (a, b, c)).features
        return covariance_loss(self.model, features, kinds)

    def _learn(self, lesson: Lesson) -> None:
        self._taught.append(lesson)
        count = len(self._taught)
        if self.settings.last_refit(count) == count:
            self._fit.refit([each.frame for each in self._taught])
        else:
            self._fit.add(lesson.frame, self.model)
        self._renew(count)

    def _renew(self, count: Count) -> None:
        """Calibrate by the last forecasts among the first `count` lessons, and take the fit as it is."""
        told = [(one.frame, one.forecast) for one in self._taught[:count] if one.forecast is not None]
        last = told[-self.settings.calibration_frames :]
        spread: tuple[float, ...] = ()
        if last:
            species = self._fit.descriptor
            kinds = np.concatenate([species.indices(list(frame.symbols), "frames") for frame, _ in last])
            losses = np.concatenate([forecast.losses for _, forecast in last])
            errors = np.concatenate([forecast.forces - frame.forces for frame, forecast in last])
            self._told = running_calibration(losses, errors, kinds, len(species.species))
            spread = spread_of(losses, errors, kinds, len(species.species))
        self._calculator = PotentialCalculator(self._fit.model(self.level, spread))


def flown(atoms: Any, time: Time, temperature: Temperature, rng: np.random.Generator) -> LengthArray:
    """Return the positions of ASE `atoms` after a free flight (fs) with velocities of a temperature (K), Å."""
    velocities = rng.standard_normal((len(atoms), 3)) * np.sqrt(kB * temperature / atoms.get_masses())[:, None]
    return np.asarray(atoms.positions + time * fs * velocities)


def _failed(level: str, number: Count, reason: str) -> str:
    return (
        f"the dear level{f' {level}' * bool(level)} failed on frame {number} ({' '.join(reason.split())[:300]}). "
        "Everything learned before is kept: mend it and give the same command again."
    )
