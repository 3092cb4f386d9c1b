"""A matrix that grows is the matrix put together at once, in whatever order its parts come."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionscape.errors import CalculationError
from ionscape.potential.growing import GrowingMatrix


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=12),
    seed=st.integers(0, 999),
    in_memory=st.sampled_from([0, 300, 10**6]),
)
def test_blocks_are_the_whole_matrix(steps, seed, in_memory):
    rng, columns = np.random.default_rng(seed), 3
    whole, growing = np.zeros((0, columns)), GrowingMatrix(columns, in_memory)
    for is_row, size in steps:
        if is_row:
            new = rng.normal(size=(size, whole.shape[1]))
            whole = np.concatenate([whole, new])
            growing.add_rows(new)
        else:
            new = rng.normal(size=(len(whole), size))
            whole = np.hstack([whole, new])
            growing.add_columns(new)
    assert np.array_equal(growing.values, whole)
    right, left = rng.normal(size=(whole.shape[1] - 1, 2)), rng.normal(size=(len(whole), 2))
    assert growing.times(right, first=1) == pytest.approx(whole[:, 1:] @ right)
    assert growing.times(right[:-1]) == pytest.approx(whole[:, : len(right) - 1] @ right[:-1])
    assert growing.transposed_times(left) == pytest.approx(whole.T @ left)
    held = [block for block in growing._blocks if not isinstance(block, np.memmap)]
    assert sum(block.nbytes for block in held) <= in_memory


def test_files_for_which_there_is_no_space_are_one_message(monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    growing = GrowingMatrix(3, 0)
    with pytest.raises(CalculationError, match=r"no longer fit into memory.*No space left on device.*TMPDIR"):
        growing.add_rows(np.ones((5, 3)))
