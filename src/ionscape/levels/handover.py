"""Structures handed over to workflows of atomate2 and jobflow, and results of their tasks read back.

Handed over is a JSON list of structures as pymatgen writes them, each with an identifier; read back are task
documents of atomate2 and emmet, alone, in lists, or as jobflow stores them. Neither package needs to be installed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ionscape.errors import InputError, unreadable
from ionscape.results import Failure
from ionscape.structures.exchange import check_structure, replacing
from ionscape.units import GPA_PER_EV_PER_A3, Array, Energy, Unit

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Structure property under which the identifier stands.
IDENTIFIER = "ionscape_id"
#: Two structures are one if lattice vectors and sites differ by less than this, Å.
SAME = 0.01
_STATES_DONE = {"successful", "success"}


@dataclass(frozen=True)
class TaskResult:
    """What a task gave.

    Attributes
    ----------
    name
        What the task calls itself.
    identifier
        Of the structure that was handed over; empty where none could be told.
    structure
        The final structure.
    energy
        Its energy.
    forces, stress
        (atoms, 3); xx, yy, zz, yz, xz, xy, positive under tension; None where the task does not tell.
    level
        What the task says of its level of theory.
    """

    name: str
    identifier: str
    structure: Structure = field(metadata={"internal": True})
    energy: Energy
    forces: Annotated[Array | None, Unit("eV/Å")]
    stress: Annotated[Array | None, Unit("eV/Å³")]
    level: str


def identifier_of(structure: Structure, source: str) -> str:
    """Return the identifier of a structure: where it comes from, and a hash of lattice, elements and sites."""
    rounded = [np.round(structure.lattice.matrix, 6) + 0.0, np.round(structure.frac_coords, 8) + 0.0]
    text = json.dumps([*(one.tolist() for one in rounded), [site.specie.symbol for site in structure]])
    stem = "".join(letter if letter.isalnum() else "-" for letter in source).strip("-")
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def write_structures(structures: Mapping[str, Structure], folder: Path) -> list[Path]:
    """Write ``structures.json`` and a POSCAR of each structure into `folder`; return the files.

    The list is read in Python by ``monty.serialization.loadfn``; the identifier of each structure stands in its
    properties.

    Parameters
    ----------
    structures
        By identifier.
    folder
        Where to write.
    """
    plain = []
    files = [folder / "structures.json"]
    for identifier, structure in structures.items():
        named = structure.copy(properties={**structure.properties, IDENTIFIER: identifier})
        plain.append(named.as_dict())
        file = folder / identifier / "POSCAR"
        with replacing(file) as part:
            part.write_text(str(structure.get_sorted_structure().to(fmt="poscar")), encoding="utf-8")
        files.append(file)
    with replacing(files[0]) as part:
        part.write_text(json.dumps(plain, indent=1, default=float), encoding="utf-8")
    return files


def read_structures(path: Path) -> dict[str, Structure]:
    """Return the structures of a ``structures.json`` by their identifiers.

    Raises
    ------
    InputError
        If the file is none.
    """
    from pymatgen.core import Structure as Crystal

    try:
        read = [Crystal.from_dict(one) for one in _loaded(path)]
        return {str(one.properties[IDENTIFIER]): one for one in read}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unreadable(
            error,
            "structures that were handed over",
            where=str(path),
            expected="the structures.json that `ionscape export --to atomate2` wrote",
            remedy="Give that file.",
        ) from None


def read_tasks(path: Path, handed: Mapping[str, Structure] | None = None) -> list[TaskResult | Failure]:
    """Return the results of all task documents in a JSON file; a task that failed is a failure in its place.

    Parameters
    ----------
    path
        A document, a list of them, or one on every line (.jsonl); each may be gzipped.
    handed
        The structures that were handed over, to tell which task is whose.

    Raises
    ------
    InputError
        If the file is no JSON, or holds no task document.
    """
    documents = list(_documents(_loaded(path)))
    if not documents:
        raise InputError(
            "no task document",
            where=str(path),
            expected="documents with output.structure and output.energy, as atomate2 and emmet write them",
            remedy="Export the outputs of the jobs, e.g. with jobflow's JobStore.query, as JSON.",
        )
    return [_result(one, f"{path}, task {number}", handed or {}) for number, one in enumerate(documents)]


def _loaded(path: Path) -> Any:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        if ".jsonl" in path.name:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(
            error,
            "JSON",
            where=str(path),
            expected="JSON, or a document a line (.jsonl)",
            remedy="Check the file.",
        ) from None


def _documents(node: Any, job: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
    """Yield the task documents in `node`: those whose output has a structure, however deep jobflow put them.

    What the jobs around a document say of themselves stands in it under ``job``.
    """
    if isinstance(node, list):
        for one in node:
            yield from _documents(one, job)
    elif isinstance(node, dict):
        output = node.get("output")
        if isinstance(output, dict) and "structure" in output:
            yield {**node, "job": list(job)}
        elif isinstance(output, dict | list):
            yield from _documents(output, [*job, *(node.get(key) for key in ("name", "metadata"))])


def _result(document: dict[str, Any], where: str, handed: Mapping[str, Structure]) -> TaskResult | Failure:
    name = str(document.get("task_label") or document.get("name") or where)
    state = document.get("state")
    if state is not None and str(state).rpartition(".")[2].lower() not in _STATES_DONE:
        return Failure(f"{name}: state {state}")
    output = document["output"]
    try:
        structure = _structure(output["structure"], where)
        energy = float(output["energy"])
        forces = _array(output.get("forces"), (len(structure), 3))
        stress = _array(output.get("stress"), (3, 3))
    except (KeyError, TypeError, ValueError, InputError) as error:
        return Failure(f"{name}: not a result that can be read ({' '.join(str(error).split())[:160]})")
    per_atom = output.get("energy_per_atom")
    if per_atom is not None and abs(energy - len(structure) * float(per_atom)) > 1e-3 * len(structure):
        return Failure(f"{name}: energy {energy:.4f} eV is not {len(structure)} times {float(per_atom):.4f} eV")
    level = str(document.get("calc_type") or document.get("run_type") or document.get("forcefield_name") or "")
    found = TaskResult(name, "", structure, energy, forces, None if stress is None else _voigt(stress), level)
    identifier = _identifier(document, structure, handed)
    return TaskResult(**{**found.__dict__, "identifier": identifier})


def _structure(node: Any, where: str) -> Structure:
    from pymatgen.core import Structure as Crystal

    structure: Structure = Crystal.from_dict(node)
    check_structure(structure, where=where)
    return structure


def _array(node: Any, shape: tuple[int, ...]) -> Array | None:
    if node is None:
        return None
    values = np.array(node, dtype=float)
    if values.shape != shape or not np.isfinite(values).all():
        message = f"numbers of shape {values.shape} where {shape} are expected"
        raise ValueError(message)
    return values


def _voigt(kbar: Array) -> Array:
    """Return the stress, eV/Å³ and positive under tension, of VASP's, kbar and of the other sign."""
    tensor = -kbar / 10 / GPA_PER_EV_PER_A3
    symmetric = (tensor + tensor.T) / 2
    return symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


def _identifier(document: Mapping[str, Any], structure: Structure, handed: Mapping[str, Structure]) -> str:
    """Return whose task it is: by an identifier that it carries, else by the structure that it started from."""
    text = json.dumps([document.get(key) for key in ("task_label", "name", "tags", "metadata", "job")])
    named = [identifier for identifier in handed if identifier in text]
    carried = str(structure.properties.get(IDENTIFIER, ""))
    if named or carried:
        return named[0] if named else carried
    given = (document.get("input") or {}).get("structure")
    if given is None:
        return ""
    from pymatgen.core import Structure as Crystal

    first = Crystal.from_dict(given)
    return next((identifier for identifier, one in handed.items() if _same(first, one)), "")


def _same(a: Structure, b: Structure) -> bool:
    if len(a) != len(b) or not np.allclose(a.lattice.matrix, b.lattice.matrix, atol=SAME):
        return False
    distances = a.lattice.get_all_distances(a.frac_coords, b.frac_coords)
    nearest: Sequence[int] = distances.argmin(axis=1)
    return bool(
        (distances.min(axis=1) < SAME).all()
        and all(a[k].specie == b[int(near)].specie for k, near in enumerate(nearest))
    )
