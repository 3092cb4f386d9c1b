"""Commands about the installation: levels, doctor."""

from __future__ import annotations

import argparse
from typing import Any

from ionscape.cli.options import command
from ionscape.cli.output import Answer, table


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    command(commands, "levels", _levels, "levels of theory: which work here, and what the others need")
    command(commands, "doctor", _doctor, "test this installation")


def _levels(options: argparse.Namespace) -> Answer:
    from ionscape.levels.registry import availability

    del options
    missing = availability()
    levels = [{"name": name, "available": not need, "install": need} for name, need in missing.items()]
    rows = [(name, need or "ready") for name, need in missing.items()]
    return Answer({"levels": levels}, table(("level", "state"), rows))


def _doctor(options: argparse.Namespace) -> Answer:
    from ionscape.study.doctor import examine

    del options
    findings = examine()
    checks = [{"check": finding.check, "passed": finding.passed, "detail": finding.detail} for finding in findings]
    rows = [(finding.check, "ok" if finding.passed else "FAILED", finding.detail) for finding in findings]
    passed = all(finding.passed for finding in findings)
    return Answer(
        {"passed": passed, "checks": checks}, table(("check", "state", "detail"), rows), 0 if passed else 3
    )
