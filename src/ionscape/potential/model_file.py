"""Files of models: one portable, versioned zip of plain arrays and a JSON header; nothing in it is ever executed.

``header.json`` tells format, version, species, settings, noise, provenance and the SHA-256 of every array; each
array is a ``.npy`` in double precision, triangles packed. The version rises whenever the numbers mean something
else, also when the radial functions or the repulsion in the code change, since they are not in the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ionscape import __version__
from ionscape.errors import InputError
from ionscape.files import Wanted, check_file
from ionscape.potential.descriptor import Descriptor
from ionscape.potential.evidence import Noise
from ionscape.potential.kernel import DotProductKernel
from ionscape.potential.model import Provenance, SparseModel
from ionscape.potential.settings import DescriptorSettings
from ionscape.structures.exchange import replacing
from ionscape.units import Array

FORMAT, VERSION = "ionscape sparse Gaussian-process potential", 1
_HEADER = "header.json"
MODEL = Wanted(
    "a model",
    "the file of a model that `ionscape train` wrote",
    "Check the path and the permissions.",
    largest_MB=8192,
)
#: What the zip library raises over damaged archives (OSError: a place before the file's beginning).
_DAMAGES = (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError)


def write_model(model: SparseModel, path: Path) -> str:
    """Write `model` to `path`, whole or not at all; return the hash of its content (`content_hash`).

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    arrays = {name: _as_npy(array) for name, array in _arrays(model).items()}
    header = _header(model) | {"sha256": {name: hashlib.sha256(data).hexdigest() for name, data in arrays.items()}}
    text = json.dumps(header, sort_keys=True, indent=1, allow_nan=False).encode()
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_HEADER), text)
        for name, data in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data)
    return hashlib.sha256(text).hexdigest()


def read_model(path: Path) -> SparseModel:
    """Return the model in a file.

    Raises
    ------
    InputError
        If the file is missing, not a model, damaged, of a newer version, or its arrays do not belong together.
    """
    header, arrays = _read(path)
    try:
        model = _model(header, arrays)
        _check(model)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, MemoryError, ValidationError) as error:
        raise _damaged(path, f"its parts do not belong together ({' '.join(str(error).split())[:120]})") from None
    return model


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the header of a model file, which holds those of all arrays.

    Raises
    ------
    InputError
        As `read_model`, without a look at the arrays.
    """
    with _opened(path) as archive:
        _header_in(archive, path)
        return hashlib.sha256(archive.read(_HEADER)).hexdigest()


def _header(model: SparseModel) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_by": f"ionscape {__version__}",
        "species": list(model.descriptor.species),
        "descriptor": model.descriptor.settings.model_dump(mode="json"),
        "powers": [float(one) for one in model.kernel.amplitudes],
        "noise": dataclasses.asdict(model.noise),
        "provenance": dataclasses.asdict(model.provenance),
        "spread": [float(one) for one in model.spread],
        "rank": int(model.rank),
    }


def _arrays(model: SparseModel) -> dict[str, Array]:
    arrays: dict[str, Any] = {"offsets": model.offsets, "triangle": _packed(model.triangle)}
    for kind in range(len(model.inducing)):
        arrays |= {
            f"inducing-{kind}": model.inducing[kind],
            f"weights-{kind}": model.weights[kind],
            f"factor-{kind}": _packed(model.factors[kind].T),
            f"columns-{kind}": np.asarray(model.columns[kind], dtype=np.int64),
        }
    return arrays


def _model(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> SparseModel:
    kinds = range(len(header["species"]))
    provenance = dict(header["provenance"])
    provenance["compositions"] = tuple(tuple(one) for one in provenance["compositions"])
    return SparseModel(
        descriptor=Descriptor(
            tuple(header["species"]), DescriptorSettings.model_validate_json(json.dumps(header["descriptor"]))
        ),
        kernel=DotProductKernel(tuple(float(one) for one in header["powers"])),
        inducing=tuple(arrays[f"inducing-{kind}"] for kind in kinds),
        weights=tuple(arrays[f"weights-{kind}"] for kind in kinds),
        offsets=arrays["offsets"],
        noise=Noise(**header["noise"]),
        factors=tuple(_unpacked(arrays[f"factor-{kind}"]).T.copy() for kind in kinds),
        triangle=_unpacked(arrays["triangle"]),
        columns=tuple(arrays[f"columns-{kind}"] for kind in kinds),
        provenance=Provenance(**provenance),
        spread=tuple(float(one) for one in header["spread"]),
        rank=int(header["rank"]),
    )


def _check(model: SparseModel) -> None:
    """Raise `ValueError` unless shapes belong together and all numbers are finite."""
    species, features = len(model.descriptor.species), model.descriptor.form().n_features
    size = species + model.n_inducing
    expected = {"offsets": (model.offsets, (species,)), "triangle": (model.triangle, (size, size))}
    for kind, symbol in enumerate(model.descriptor.species):
        count = len(model.inducing[kind])
        expected |= {
            f"inducing environments of {symbol}": (model.inducing[kind], (count, features)),
            f"weights of {symbol}": (model.weights[kind], (count,)),
            f"factor of {symbol}": (model.factors[kind], (count, count)),
            f"columns of {symbol}": (model.columns[kind], (count,)),
        }
    for name, (array, shape) in expected.items():
        if array.shape != shape or not np.isfinite(array).all():
            message = f"{name}: shape {array.shape}, expected finite numbers of shape {shape}"
            raise ValueError(message)
    columns = np.sort(np.concatenate(model.columns))
    if not np.array_equal(columns, np.arange(species, size)):
        message = "columns: not one for each inducing environment"
        raise ValueError(message)
    numbers = [*model.kernel.amplitudes, *model.spread, *dataclasses.astuple(model.noise)]
    if not model.kernel.amplitudes or not np.isfinite(numbers).all() or len(model.spread) not in {0, species}:
        message = "kernel, noise or spread: not finite, or not one for each species"
        raise ValueError(message)


def _packed(triangle: Array) -> Array:
    return np.asarray(triangle)[np.triu_indices(len(triangle))]


def _unpacked(packed: Array) -> Array:
    size = int((np.sqrt(8 * len(packed) + 1) - 1) / 2)
    triangle = np.zeros((size, size))
    triangle[np.triu_indices(size)] = packed
    return triangle


def _as_npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    with _opened(path) as archive:
        header, arrays = _header_in(archive, path), {}
        try:
            for name, digest in header["sha256"].items():
                if archive.getinfo(f"{name}.npy").file_size > path.stat().st_size:
                    raise _damaged(path, f"'{name}' is absurdly large")
                data = archive.read(f"{name}.npy")
                if hashlib.sha256(data).hexdigest() != digest:
                    raise _damaged(path, f"'{name}' was altered")
                arrays[name] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
        except (*_DAMAGES, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
            raise _damaged(path, " ".join(str(error).split())[:120]) from None
    return header, arrays


def _header_in(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        if archive.getinfo(_HEADER).file_size > path.stat().st_size:  # nothing in it is compressed
            raise _damaged(path, "its header is absurdly large")
        header = json.loads(archive.read(_HEADER))
        if header["format"] != FORMAT:
            raise _foreign(path)
        version = int(header["version"])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise _foreign(path) from None
    except _DAMAGES as error:
        raise _damaged(path, str(error)) from None
    if version > VERSION:
        raise InputError(
            f"a model of version {version}",
            where=str(path),
            expected=f"version {VERSION} or older, which ionscape {__version__} reads",
            remedy=f"Install the ionscape that wrote it ({header.get('written_by', 'unknown')}), or a newer one.",
        )
    return dict(header)


def _opened(path: Path) -> zipfile.ZipFile:
    check_file(path, MODEL)
    try:
        with path.open("rb") as file:
            start = file.read(4)
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise (_damaged(path, "it was cut short") if start == b"PK\x03\x04" else _foreign(path)) from None
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror or error})",
            where=str(path),
            expected="the file of a model that `ionscape train` wrote",
            remedy="Check the path and the permissions.",
        ) from None


def _foreign(path: Path) -> InputError:
    return InputError(
        "is not a model of ionscape",
        where=str(path),
        expected="the file of a model that `ionscape train` wrote",
        remedy="Check the path, or train a model.",
    )


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"is damaged: {reason}",
        where=str(path),
        expected="the file of a model as `ionscape train` wrote it",
        remedy="Copy it again from where it came, or train the model again.",
    )
