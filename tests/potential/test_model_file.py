"""Files of models: the same bits back, one clear message for whatever is wrong with a file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_frames import frames, model

from ionscape.errors import InputError
from ionscape.potential.calculator import PotentialCalculator
from ionscape.potential.errors_of_model import predictions
from ionscape.potential.model_file import VERSION, content_hash, read_model, write_model
from ionscape.potential.settings import DescriptorSettings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "alloy.sgpr"
    write_model(model(), file)
    return file


@pytest.mark.parametrize("powers", [(1.0,), (0.3, 0.7), (0.0, 0.5, 0.0, 0.5)])
def test_predictions_of_a_read_model_have_the_same_bits(powers, tmp_path):
    written = model(powers)
    write_model(written, tmp_path / "one")
    read = read_model(tmp_path / "one")
    ours, theirs = predictions(written, frames(2, 50)), predictions(read, frames(2, 50))
    for field in dataclasses.fields(ours):
        assert np.array_equal(getattr(ours, field.name), getattr(theirs, field.name)), field.name
    assert np.array_equal(written.triangle, read.triangle)
    assert read.provenance == written.provenance
    assert (read.descriptor, read.kernel, read.noise) == (written.descriptor, written.kernel, written.noise)
    assert (read.spread, read.rank) == (written.spread, written.rank)


def test_hash_is_that_of_the_content(path, tmp_path):
    first = content_hash(path)
    assert write_model(model(), tmp_path / "other name") == first
    changed = dataclasses.replace(model(), offsets=model().offsets + 1e-15 * np.abs(model().offsets).max())
    assert write_model(changed, path) != first


def test_model_of_the_size_of_the_study_is_small_and_fast(tmp_path):
    """1,600 environments of 544 features on one species: the largest triangles that this number can have."""
    rng = np.random.default_rng(0)
    small, many = model(), 1600
    triangle = np.triu(rng.normal(size=(many + 1, many + 1)))
    settings = DescriptorSettings(cutoff_A=6.0, n_max=16 // 4, l_max=3)
    large = dataclasses.replace(
        small,
        descriptor=dataclasses.replace(small.descriptor, species=("Li", "N", "O", "Zr"), settings=settings),
        inducing=(rng.normal(size=(many, 544)), *[np.zeros((0, 544))] * 3),
        weights=(rng.normal(size=many), *[np.zeros(0)] * 3),
        offsets=np.zeros(4),
        factors=(np.tril(rng.normal(size=(many, many))), *[np.zeros((0, 0))] * 3),
        triangle=np.pad(triangle, (0, 3)),
        columns=(np.arange(4, many + 4), *[np.zeros(0, dtype=int)] * 3),
        spread=(1.0,) * 4,
    )
    write_model(large, tmp_path / "large")
    assert (tmp_path / "large").stat().st_size < 50e6
    started = time.process_time()
    assert np.array_equal(read_model(tmp_path / "large").triangle, large.triangle)
    assert time.process_time() - started < 1


def rewritten(path: Path, name: str, change) -> None:
    """Write the zip anew with the part `name` changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {one: archive.read(one) for one in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in parts.items():
            archive.writestr(one, data)


def header_with(path: Path, **changes) -> None:
    rewritten(path, "header.json", lambda text: json.dumps({**json.loads(text), **changes}).encode())


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def of_other_shape(path: Path) -> None:
    changed = dataclasses.replace(model(), offsets=np.zeros(5))
    write_model(changed, path)


def of_other_features(path: Path) -> None:
    write_model(dataclasses.replace(model(), inducing=tuple(q[:, 1:] for q in model().inducing)), path)


def not_finite(path: Path) -> None:
    write_model(dataclasses.replace(model(), offsets=np.full(2, np.nan)), path)


def lying_about_columns(path: Path) -> None:
    write_model(dataclasses.replace(model(), columns=tuple(c * 0 for c in model().columns)), path)


def plain_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.txt", "nothing")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: header_with(path, version=VERSION + 1), f"version {VERSION + 1}"),
        (lambda path: header_with(path, format="something"), "not a model"),
        (lambda path: header_with(path, species=["Cu"]), "damaged"),
        (lambda path: header_with(path, descriptor={"cutoff_A": -1}), "damaged"),
        (lambda path: header_with(path, sha256="none"), "damaged"),
        (lambda path: header_with(path, spread=["a"]), "damaged"),
        (lambda path: rewritten(path, "offsets.npy", lambda data: data[:-4] + b"abcd"), "altered"),
        (lambda path: path.write_text("frames"), "not a model"),
        (lambda path: path.write_bytes(b""), "not a model"),
        (lambda path: path.unlink(), "no such file"),
        (plain_zip, "not a model"),
        (truncated, "cut short"),
        (flipped, "damaged"),
        (of_other_shape, "damaged"),
        (of_other_features, "damaged"),
        (not_finite, "finite"),
        (lying_about_columns, "columns"),
    ],
)
def test_files_that_cannot_be_used_are_one_clear_error(change, told, path):
    change(path)
    with pytest.raises(InputError, match=told) as caught:
        read_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickles_are_not_opened(path):
    """A file whose hashes are right, with an array of objects in it."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    rewritten(path, "offsets.npy", lambda _: buffer.getvalue())
    with zipfile.ZipFile(path) as archive:
        hashes = json.loads(archive.read("header.json"))["sha256"]
    header_with(path, sha256={**hashes, "offsets": hashlib.sha256(buffer.getvalue()).hexdigest()})
    with pytest.raises(InputError, match="allow_pickle=False"):
        read_model(path)


def test_read_model_evaluates(path):
    from made_frames import alloy

    atoms = alloy(3)
    atoms.calc = PotentialCalculator(read_model(path))
    assert np.isfinite(atoms.get_potential_energy())
    assert np.abs(atoms.get_forces()).max() > 0.01
