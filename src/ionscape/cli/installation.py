"""Commands about the installation: levels, doctor."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ionscape.cli.options import command
from ionscape.cli.output import Answer, table

if TYPE_CHECKING:
    from ionscape.study.installation import Installation


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    command(commands, "levels", _levels, "levels of theory: which work here, and what the others need")
    command(commands, "doctor", _doctor, "what is installed, which levels work, and a self-test")


def _levels(options: argparse.Namespace) -> Answer:
    from ionscape.levels.registry import availability

    del options
    missing = availability()
    levels = [{"name": name, "available": not need, "install": need} for name, need in missing.items()]
    rows = [(name, need or "ready") for name, need in missing.items()]
    return Answer({"levels": levels}, table(("level", "state"), rows))


def _doctor(options: argparse.Namespace) -> Answer:
    from ionscape.study.doctor import examine
    from ionscape.study.installation import installation

    del options
    here, findings = installation(), examine()
    passed = all(finding.passed for finding in findings)
    rows = [(one.check, "ok" if one.passed else "FAILED", one.detail, f"{one.seconds:.1f}") for one in findings]
    parts = [
        table(("installed", "what"), _facts(here)),
        table(("level", "state"), [(name, need or "ready") for name, need in here.levels.items()]),
        table(("check", "state", "detail", "seconds"), rows),
    ]
    payload = {"passed": passed, "checks": [asdict(one) for one in findings], "installation": asdict(here)}
    return Answer(payload, "\n\n".join(parts), 0 if passed else 3)


def _facts(here: Installation) -> list[tuple[str, str]]:
    """Return what there is to tell of an installation, one row each."""
    return [
        *here.versions.items(),
        ("system", here.platform),
        ("cores, memory", f"{here.cores}, {here.memory_GB:.0f} GB; OMP_NUM_THREADS {here.threads}"),
        ("graphics processors", ", ".join(here.gpus) or "none that PyTorch can use"),
        *here.extras.items(),
    ]
