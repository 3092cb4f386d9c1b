"""What tests of levels share."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def chgnet_peer() -> Callable[..., Any]:
    """Return a function that makes CHGNet's own calculator."""

    def made(model: str = "0.3.0") -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            from chgnet.model import CHGNet, CHGNetCalculator

            loaded = CHGNet.load(model_name=model, use_device="cpu", verbose=False)
            return CHGNetCalculator(loaded, use_device="cpu")

    return made
