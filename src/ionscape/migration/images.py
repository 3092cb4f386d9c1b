"""The images of a path as a file that structure viewers open."""

from __future__ import annotations

from pathlib import Path

from ase.io import write

from ionscape.migration.result import MigrationPath
from ionscape.structures.exchange import replacing, to_atoms


def write_images(path: MigrationPath, file: Path) -> Path:
    """Write the images of `path`, with their energies above the initial end, as extended XYZ; return `file`."""
    frames = [to_atoms(image) for image in path.images]
    for atoms, energy in zip(frames, path.profile.energies, strict=True):
        atoms.info["energy_above_initial_eV"] = float(energy)
    with replacing(file) as part:
        write(part, frames, format="extxyz")
    return file
