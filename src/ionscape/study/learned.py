"""The potential that a study learns for its molecular dynamics: as a request, as a task, as a level of theory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionscape.errors import CalculationError
from ionscape.levels.registry import Level

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from ionscape.dynamics.exploration import Exploration, FinalFit
    from ionscape.dynamics.learning_plan import Stretch
    from ionscape.potential.active_settings import LearningSettings
    from ionscape.potential.errors_of_model import Predictions
    from ionscape.potential.model import SparseModel
    from ionscape.potential.settings import TrainingSettings

#: Files of a finished learning: the potential, what taught it, and what it says of the frames that were held out.
MODEL, PREDICTIONS = "learned.sgpr", "predictions.npz"
#: How a level is named whose potential is in the store, before the key of its learning.
STORED = "sgpr:store/"


@dataclass(frozen=True)
class LearningRequest:
    """A potential that is asked for.

    Attributes
    ----------
    cells
        Materials.
    level
        Level that teaches.
    stretches
        Runs in their order.
    learning, training
        How it grows, and how it is fitted in the end.
    """

    cells: tuple[Structure, ...]
    level: Level
    stretches: tuple[Stretch, ...]
    learning: LearningSettings
    training: TrainingSettings


@dataclass(frozen=True)
class LearnedLevel(Level):
    """A level whose potential is in the store: the same wherever the store is.

    Attributes
    ----------
    file
        The potential.
    key
        Key of its learning.
    """

    file: Path = Path()
    key: str = ""

    @property
    def address(self) -> str:
        """Name by which a process that has the store makes this level."""
        return f"{STORED}{self.key}"

    def identity(self) -> dict[str, Any]:
        """Return what defines this level's energies: the hash of the potential's content."""
        return {**Level.of(f"sgpr:{self.file}").identity(), "name": self.address}


@dataclass(frozen=True)
class LearnedPotential:
    """A potential that was learned.

    Attributes
    ----------
    level
        It, as a level of theory.
    teacher
        Name of the level that taught it.
    materials
        Names of the materials, in the order of their cells.
    record
        Its numbers, units in the keys.
    predictions_file, lessons_file
        What it says of frames that were held out, and all labelled frames.
    """

    level: LearnedLevel
    teacher: str
    materials: tuple[str, ...]
    record: Mapping[str, Any] = field(repr=False)
    predictions_file: Path
    lessons_file: Path


def learn(
    request: Mapping[str, Any],
    level: Level,
    folder: Path,
    threads: int,
    structure_of: Callable[[dict[str, Any]], Structure],
) -> dict[str, Any]:
    """Carry out the request of a potential that `level` teaches in `folder`, and return its numbers.

    Raises
    ------
    RuntimeError
        If the level that teaches fails: nothing is stored then, and another try goes on from what was learned.
    """
    import json

    from ionscape.dynamics.exploration import explore, final_fit
    from ionscape.dynamics.learning_plan import Stretch
    from ionscape.dynamics.settings import DynamicsSettings
    from ionscape.potential.active_settings import LearningSettings
    from ionscape.potential.model_file import write_model
    from ionscape.potential.settings import TrainingSettings

    stretches = [
        Stretch(one["cell"], DynamicsSettings.model_validate_json(json.dumps(one["settings"])))
        for one in request["stretches"]
    ]
    settings = LearningSettings.model_validate_json(json.dumps(request["learning"]))
    cells = [structure_of(cell) for cell in request["cells"]]
    try:
        found = explore(cells, stretches, level.own_calculator(threads), settings, folder, level.name)
    except CalculationError as error:
        raise RuntimeError(str(error)) from error
    fit = final_fit(found.frames, TrainingSettings.model_validate_json(json.dumps(request["training"])))
    identity = write_model(fit.model, folder / MODEL)
    _write_predictions(fit, folder / PREDICTIONS)
    return {**_record(found, fit), "content_sha256": identity}


def _record(found: Exploration, fit: FinalFit) -> dict[str, Any]:
    from dataclasses import asdict

    from ionscape.dynamics.exploration import learning_curve
    from ionscape.units import GPA_PER_EV_PER_A3

    times, lessons = learning_curve(found.stretches)
    model, noise = fit.model, fit.model.noise
    taught = model.provenance.n_frames
    return {
        "steps": sum(one.steps for one in found.stretches),
        "stretches": [
            {
                "cell": one.cell,
                "temperature_K": one.temperature,
                "time_ps": one.time / 1000,
                "lessons": one.lessons,
                "stopped": one.stopped,
            }
            for one in found.stretches
        ],
        "dear_calls": len(found.frames),
        "curve": {"time_ps": (times / 1000).tolist(), "dear_calls": lessons.tolist()},
        "taught": taught,
        "held_out": len(found.frames) - taught,
        "inducing": dict(zip(model.descriptor.species, map(len, model.inducing), strict=True)),
        "noise": {
            "energy_meV_per_atom": 1000 * noise.energy,
            "force_eV_per_A": noise.force,
            "stress_GPa": GPA_PER_EV_PER_A3 * noise.stress,
        },
        "errors": dict(model.provenance.errors),
        **({} if fit.calibration is None else {"calibration": asdict(fit.calibration)}),
    }


def _write_predictions(fit: FinalFit, path: Path) -> None:
    import io

    import numpy as np

    from ionscape.structures.exchange import replacing

    found: Predictions | None = fit.predictions
    arrays: dict[str, Any] = {}
    if found is not None:
        arrays = {
            "energies": found.energies,
            "forces": found.forces,
            "stresses": found.stresses,
            "losses": found.losses,
            "species": found.species,
            "deviations": np.array(fit.model.spread)[found.species] * np.sqrt(found.losses),
        }
    content = io.BytesIO()
    np.savez(content, **arrays)
    with replacing(path) as part:
        part.write_bytes(content.getvalue())


def model_of(level: Level) -> SparseModel | None:
    """Return the potential of a level that is one; None for any other level."""
    if isinstance(level, LearnedLevel):
        return _read(level.file)
    family, _, file = level.name.partition(":")
    return _read(Path(file)) if family == "sgpr" else None


@functools.lru_cache(maxsize=2)
def _read(file: Path) -> SparseModel:
    from ionscape.potential.model_file import read_model

    return read_model(file)
