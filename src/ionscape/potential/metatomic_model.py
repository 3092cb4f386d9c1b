"""A collapsed potential as metatomic asks for it: energies of systems or atoms from the engine's neighbour lists.

Annotations are real objects, in the spelling of metatomic, which compares them with its own: no ``annotations``
are imported from the future here.
"""

from typing import Dict, List, Optional  # noqa: UP035

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System

from ionscape.potential.torch_module import TorchPotential


class MetatomicPotential(torch.nn.Module):
    """A potential for `metatomic.torch.AtomisticModel`.

    Its one output is ``energy`` (eV), of systems or of atoms; forces and stress are autograd's, through the
    vectors of the neighbour list.

    Parameters
    ----------
    potential
        The potential.
    atomic_numbers
        Of its species, in their order.
    """

    def __init__(self, potential: TorchPotential, atomic_numbers: List[int]) -> None:  # noqa: UP006
        super().__init__()
        self.potential = potential
        species = torch.full((max(atomic_numbers) + 1,), -1, dtype=torch.int64)
        species[torch.tensor(atomic_numbers)] = torch.arange(len(atomic_numbers))
        self.species = torch.nn.Buffer(species)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        """Return the one list that is needed: every pair within the cutoff, from either side."""
        return [NeighborListOptions(cutoff=self.potential.cutoff, full_list=True, strict=True)]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels],  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        """Return the requested output, of the selected atoms where some are selected."""
        results: Dict[str, TensorMap] = {}  # noqa: UP006
        if "energy" not in outputs or len(systems) == 0:
            return results
        samples, vectors, centres, kinds, species = self._gathered(systems)
        chosen = torch.arange(len(species), device=species.device)
        if selected_atoms is not None:
            wanted = torch.zeros(len(species), dtype=torch.bool, device=species.device)
            wanted[self._places(systems, selected_atoms.values)] = True
            chosen = torch.nonzero(wanted).flatten()
            place = torch.cumsum(wanted, dim=0) - 1
            own = torch.nonzero(wanted[centres]).flatten()
            vectors, centres, kinds = vectors[own], place[centres[own]], kinds[own]
        energies = self.potential.atom_energies(vectors, centres, kinds, species[chosen])
        samples, names = samples[chosen], ["system", "atom"]
        if outputs["energy"].sample_kind != "atom":
            whole = torch.zeros(len(systems), dtype=energies.dtype, device=energies.device)
            energies = whole.index_add(0, samples[:, 0].to(torch.int64), energies)
            samples, names = torch.arange(len(systems), device=samples.device).reshape(-1, 1), ["system"]
        components: List[Labels] = []  # noqa: UP006
        only = torch.zeros((1, 1), dtype=torch.int32, device=samples.device)
        block = TensorBlock(
            values=energies.to(systems[0].positions.dtype).reshape(-1, 1),
            samples=Labels(names, samples.to(torch.int32)),
            components=components,
            properties=Labels(["energy"], only),
        )
        results["energy"] = TensorMap(keys=Labels(["_"], only), blocks=[block])
        return results

    def _gathered(
        self,
        systems: List[System],  # noqa: UP006
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return system and number of atoms, vectors, centres and neighbours' species of pairs, and species."""
        samples: List[torch.Tensor] = []  # noqa: UP006
        vectors: List[torch.Tensor] = []  # noqa: UP006
        centres: List[torch.Tensor] = []  # noqa: UP006
        kinds: List[torch.Tensor] = []  # noqa: UP006
        species: List[torch.Tensor] = []  # noqa: UP006
        first = 0
        options = self.requested_neighbor_lists()[0]
        for i, system in enumerate(systems):
            found = system.get_neighbor_list(options)
            numbers = torch.arange(len(system), device=system.positions.device)
            own = self.species[system.types.to(torch.int64)]
            samples.append(torch.stack([torch.full_like(numbers, i), numbers], dim=1))
            vectors.append(found.values.reshape(-1, 3).to(torch.float64))
            centres.append(found.samples.column("first_atom").to(torch.int64) + first)
            kinds.append(own[found.samples.column("second_atom").to(torch.int64)])
            species.append(own)
            first += len(system)
        return torch.cat(samples), torch.cat(vectors), torch.cat(centres), torch.cat(kinds), torch.cat(species)

    def _places(self, systems: List[System], atoms: torch.Tensor) -> torch.Tensor:  # noqa: UP006
        """Return where atoms (system, number) stand among all atoms."""
        first: List[int] = [0]  # noqa: UP006
        for system in systems:
            first.append(first[-1] + len(system))
        starts = torch.tensor(first, device=atoms.device)
        return starts[atoms[:, 0].to(torch.int64)] + atoms[:, 1].to(torch.int64)
