"""The command line in an empty folder, and what it prints with ``--json``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ionscape.cli.main import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ionscape(capfd: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Return the command line with ``--json``: the one object that it prints."""

    def run(*arguments: str) -> dict[str, Any]:
        assert main([*arguments, "--json"]) == 0
        out, _ = capfd.readouterr()
        assert len(out.splitlines()) == 1
        data = json.loads(out)
        assert isinstance(data, dict)
        return data

    return run
