"""Which level judges runs with a learned potential."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ase.build import bulk
from ase.calculators.emt import EMT

from ionscape.levels.registry import Level
from ionscape.potential.frames import labelled_frames
from ionscape.potential.model_file import write_model
from ionscape.potential.settings import DescriptorSettings, TrainingSettings
from ionscape.potential.training import train
from ionscape.study.motion import _teacher


def frame(seed: int) -> Any:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    atoms.calc = EMT()
    atoms.get_potential_energy()
    return atoms


def test_learned_level_is_not_its_own_judge(tmp_path: Path) -> None:
    """Its frames named no level, so that any level may have taught it; it alone cannot."""
    small = DescriptorSettings(cutoff_A=4.0, n_max=2, l_max=1)
    model = train(
        labelled_frames([frame(0), frame(1)], "made"), TrainingSettings(descriptor=small, inducing=8, held_out=0.0)
    )
    write_model(model, tmp_path / "cu.sgpr")
    learned, dear = Level.of(f"sgpr:{tmp_path / 'cu.sgpr'}"), Level.of("toy_levels:SoftSpheres")
    study = SimpleNamespace(dynamics=SimpleNamespace(level="cheap"), potential=None)
    alone: Any = SimpleNamespace(study=study, dear=(), cheap=learned)
    assert _teacher(alone, learned) is None
    taught: Any = SimpleNamespace(study=study, dear=(dear,), cheap=learned)
    assert _teacher(taught, learned) == dear
