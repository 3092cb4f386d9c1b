"""CHGNet's network evaluated with a third of its arithmetic: the same function, other order of operations.

A gated perceptron of CHGNet (doi:10.1038/s42256-023-00716-3, Methods) takes the features of two atoms and their
bond, or of two bonds, their angle and its atom, one after the other: W·[a, b, c], with one row for every directed
bond or angle. Since W·[a, b, c] = W₁a + W₂b + W₃c, the products are formed here once for every atom and every
undirected bond, of which there are far fewer, and only their sums are gathered. Sums over the bonds of an atom,
and those of the gradients, run over rows in order of their owner; bonds that make no angle enter no product of the
angles; and the last update of the angles, which nothing reads, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ionscape.levels.chgnet_graph import CrystalGraph, Owners

#: Factor by which CHGNet keeps cosines from ±1, where the angle has no derivative.
NEAR_ONE = 1 - 1e-6
#: A part of the input of a gated perceptron: its number, the features of the owners, and who owns which row.
Part = tuple[int, Tensor, Owners]


class _GatheredSum(torch.autograd.Function):
    """Σ_k table_k[owners_k] of several tables, without keeping the terms."""

    @staticmethod
    def forward(ctx: Any, owners: tuple[Owners, ...], *tables: Tensor) -> Tensor:
        ctx.owners = owners
        rows = tables[0].index_select(0, owners[0].of_row)
        for table, owner in zip(tables[1:], owners[1:], strict=True):
            rows += table.index_select(0, owner.of_row)
        return rows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(owner.sums(gradients[0]) for owner in ctx.owners)


class _OwnedSum(torch.autograd.Function):
    """Sums of the rows of each owner."""

    @staticmethod
    def forward(ctx: Any, owners: Owners, rows: Tensor) -> Tensor:
        ctx.owners = owners
        return owners.sums(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, gradients[0].index_select(0, ctx.owners.of_row)


def gather(table: Tensor, owners: Owners) -> Tensor:
    """Return the row of its owner for every row, (rows, features)."""
    return _GatheredSum.apply((owners,), table)  # type: ignore[no-untyped-call]


def owned_sum(rows: Tensor, owners: Owners) -> Tensor:
    """Return the sum of the rows of every owner, (owners, features)."""
    return _OwnedSum.apply(owners, rows)  # type: ignore[no-untyped-call]


class SplitPerceptron:
    """One of the two perceptrons of a gated one, its first map split by the parts of its input.

    Parameters
    ----------
    layers, norm
        The layers of CHGNet: one linear map, or two with SiLU between them; then a normalisation or none.
    width
        Features of each part.
    """

    def __init__(self, layers: Any, norm: Any, width: int) -> None:
        first, *second = (layer for layer in layers if isinstance(layer, torch.nn.Linear))
        self._parts = [part.T.contiguous() for part in torch.split(first.weight, width, dim=1)]
        self._bias = first.bias
        self._second = second[0] if second else None
        self._norm = norm

    def part(self, number: int, features: Tensor) -> Tensor:
        """Return what part `number` of the input adds to the first map."""
        return features @ self._parts[number]

    def tables(self, gathered: Sequence[Part]) -> list[Tensor]:
        """Return what the parts add that owners hold; the bias of the first map is with the first of them."""
        (number, features, _), *others = gathered
        first = torch.addmm(self._bias, features, self._parts[number])
        return [first, *(self.part(number, features) for number, features, _ in others)]

    def finish(self, first: Tensor) -> Tensor:
        """Return the output for `first`, that of the first map."""
        found = first if self._second is None else self._second(functional.silu(first))
        return found if self._norm is None else self._norm(found)


class SplitGate:
    """A gated perceptron: SiLU of one perceptron times the sigmoid of another."""

    def __init__(self, gated: Any, width: int) -> None:
        self._core = SplitPerceptron(gated.mlp_core.layers, gated.bn1, width)
        self._gate = SplitPerceptron(gated.mlp_gate.layers, gated.bn2, width)

    def __call__(self, gathered: Sequence[Part], own: tuple[int, Tensor] | None = None) -> Tensor:
        """Return the output, (rows, width).

        `gathered` are parts of the input that owners hold, with their number; `own` is a part with one row each.
        """
        owners = tuple(owner for _, _, owner in gathered)
        outputs = []
        for perceptron in (self._core, self._gate):
            first = _GatheredSum.apply(owners, *perceptron.tables(gathered))  # type: ignore[no-untyped-call]
            outputs.append(perceptron.finish(first if own is None else first + perceptron.part(*own)))
        return functional.silu(outputs[0]) * torch.sigmoid(outputs[1])


class SplitNetwork:
    """The energy of one crystal by the weights of a loaded CHGNet model.

    Parameters
    ----------
    model
        A `chgnet.model.CHGNet` with frozen weights.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._free_atoms = model.composition_model.fc.weight[0].cpu().numpy().astype(float)
        width = model.atom_fea_dim
        self._atoms = [SplitGate(layer.twoBody_atom, width) for layer in model.atom_conv_layers]
        self._bonds = [SplitGate(layer.twoBody_bond, width) for layer in model.bond_conv_layers]
        self._angles = [SplitGate(layer.twoBody_bond, width) for layer in model.angle_layers]

    def energy(self, graph: CrystalGraph, strain: Tensor, shift: Tensor) -> Tensor:
        """Return the energy, eV, without that of the free atoms.

        Parameters
        ----------
        graph
            Atoms, bonds and angles.
        strain
            (3, 3), zero, by which the cell is strained: its gradient is the volume times the stress.
        shift
            (n, 3), zero, Å, by which atoms move: its gradient is the force with its sign changed.
        """
        model = self._model
        radial, short, angles = self._embedded(graph, strain, shift)
        atoms, bonds = model.atom_embedding(graph.numbers - 1), model.bond_embedding(radial)
        weights = gather(model.bond_weights_ag(radial), graph.pair)
        angle_weights = gather(short, graph.first_pair) * gather(short, graph.second_pair)
        last = len(self._bonds) - 1
        for number, of_bonds in enumerate(self._bonds):
            atoms = self._atom_update(number, atoms, bonds, weights, graph)
            if not len(angles):
                continue
            found = owned_sum(
                of_bonds(_around(graph, atoms, bonds), (2, angles)) * angle_weights, graph.first_pair
            )
            of_all = torch.zeros_like(bonds).index_copy(0, graph.short, found)
            bonds = bonds + model.bond_conv_layers[number].mlp_out(of_all)
            if number < last:
                angles = angles + self._angles[number](_around(graph, atoms, bonds), (2, angles))
        atoms = self._atom_update(last + 1, atoms, bonds, weights, graph)
        read = atoms if model.readout_norm is None else model.readout_norm(atoms)
        return model.mlp(read).sum()

    def free_atoms(self, graph: CrystalGraph) -> float:
        """Return the energy of the free atoms, eV, by CHGNet's linear composition model."""
        return float(self._free_atoms[graph.numbers.cpu().numpy() - 1].sum())

    def _embedded(self, graph: CrystalGraph, strain: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return radial functions of the undirected bonds, weights of short ones, features of the angles."""
        model, basis = self._model, self._model.bond_basis_expansion
        moved = gather(shift, graph.centre) - gather(shift, graph.neighbour)
        vectors = graph.vectors + graph.vectors @ strain + moved
        lengths = torch.norm(vectors, dim=1)
        unit = vectors / lengths[:, None]
        of_pairs = torch.index_select(lengths, 0, graph.one_way)
        cosines = (gather(unit, graph.first) * gather(unit, graph.second)).sum(dim=1) * NEAR_ONE
        angles = model.angle_embedding(model.angle_basis_expansion.fourier_expansion(torch.acos(cosines)))
        short = basis.rbf_expansion_bg(of_pairs.index_select(0, graph.short))
        return basis.rbf_expansion_ag(of_pairs), model.bond_weights_bg(short), angles

    def _atom_update(
        self, number: int, atoms: Tensor, bonds: Tensor, weights: Tensor, graph: CrystalGraph
    ) -> Tensor:
        parts = [(0, atoms, graph.centre), (1, bonds, graph.pair), (2, atoms, graph.neighbour)]
        found = owned_sum(self._atoms[number](parts) * weights, graph.centre)
        return atoms + self._model.atom_conv_layers[number].mlp_out(found)


def _around(graph: CrystalGraph, atoms: Tensor, bonds: Tensor) -> list[Part]:
    """Return what the owners of an angle add to its input: two bonds and the atom between them."""
    short = bonds.index_select(0, graph.short)
    return [(3, atoms, graph.corner), (0, short, graph.first_pair), (1, short, graph.second_pair)]
