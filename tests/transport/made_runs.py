"""Runs of known truth: hopping ions in a sheared cell that breathes, wrapped, drifting, with a rattling host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionscape.dynamics.trajectory import Chunk, folded

#: A sheared cell with a simple cubic lattice of sites 2.5 Å apart along each lattice vector.
SHAPE = np.array([[10.0, 0.0, 0.0], [2.5, 10.0, 0.0], [-1.2, 1.5, 7.5]])
SITES = np.array([4, 4, 3])


@dataclass(frozen=True)
class MadeRun:
    """A run of known truth; positions are wrapped, as files hold them."""

    symbols: tuple[str, ...]
    fractional: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    frame_interval: float
    temperature: float | None
    diffusivity: float

    def chunks(self, frames: int = 512) -> Iterator[Chunk]:
        for first in range(0, len(self.cells), frames):
            part = slice(first, first + frames)
            yield Chunk(first, self.positions[part], self.cells[part], folded(self.fractional[part]))


def made_run(
    frames: int = 3000, *, rate: float = 0.02, axes: int = 3, ions: int = 12, seed: int = 0, together: bool = False
) -> MadeRun:
    """Return ions that glide between sites in five frames, at `rate` per frame, along the first `axes` vectors.

    D is the trace of the tensor over three, from the lengths of the lattice vectors, Å² per interval of 10 fs.
    """
    rng = np.random.default_rng(seed)
    cells = SHAPE * (1 + 0.004 * np.sin(np.arange(frames) / 37)[:, None, None])
    hops = rng.random((frames, 1 if together else ions)) < rate
    step = np.zeros((frames, ions, 3))
    which, sign = rng.integers(0, axes, hops.shape), rng.choice([-1, 1], hops.shape)
    for axis in range(axes):
        step[..., axis] = hops * (which == axis) * sign / SITES[axis]
    glide = np.stack([np.convolve(s, np.ones(5) / 5)[:frames] for s in step.reshape(frames, -1).T], -1)
    start = np.stack(np.unravel_index(rng.choice(SITES.prod(), ions, replace=False), SITES), -1) / SITES
    path = start + np.cumsum(glide.reshape(step.shape), axis=0)
    host = np.stack(np.unravel_index(np.arange(SITES.prod()), SITES), -1) / SITES + 0.5 / SITES
    everything = np.concatenate([path, np.broadcast_to(host, (frames, *host.shape))], axis=1)
    rattle = 0.12 * rng.standard_normal(everything.shape)
    drift = np.cumsum(rng.normal(0, 0.02, (frames, 1, 3)), axis=0)
    fractional = everything + (rattle + drift) @ np.linalg.inv(SHAPE)
    symbols = ("Li",) * ions + tuple("Zr" if k % 3 == 0 else "O" for k in range(len(host)))
    lengths = np.linalg.norm(SHAPE, axis=1)[:axes] / SITES[:axes]
    truth = rate * float((lengths**2).mean()) / 6 / 10.0
    return MadeRun(symbols, fractional, fractional @ SHAPE, cells, 10.0, 1000.0, truth)


def write_xdatcar(run: MadeRun, path: Path) -> Path:
    """Write a run as VASP does at constant pressure: a header before every frame, wrapped positions."""
    names = list(dict.fromkeys(run.symbols))
    order = [k for name in names for k, symbol in enumerate(run.symbols) if symbol == name]
    counts = " ".join(str(run.symbols.count(name)) for name in names)
    with path.open("w", encoding="utf-8") as file:
        for number, (cell, inside) in enumerate(zip(run.cells, folded(run.fractional), strict=True), start=1):
            file.write("made\n1.0\n" + "".join("{:.6f} {:.6f} {:.6f}\n".format(*row) for row in cell))
            file.write(f"{' '.join(names)}\n{counts}\nDirect configuration= {number:5d}\n")
            file.write("".join("{:.8f} {:.8f} {:.8f}\n".format(*inside[k]) for k in order))
    return path
