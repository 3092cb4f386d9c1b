"""The command that completes commands and options in a shell."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from ionscape.cli.options import command
from ionscape.cli.output import Answer
from ionscape.errors import InputError

#: Shell: what makes it read the script at every start.
SHELLS = {
    "bash": "ionscape completion bash > ~/.local/share/bash-completion/completions/ionscape",
    "zsh": "ionscape completion zsh > ~/.zfunc/_ionscape, with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc",
    "fish": "ionscape completion fish > ~/.config/fish/completions/ionscape.fish",
}


def add_commands(commands: Any) -> None:
    """Add the commands of this module."""
    added = command(commands, "completion", _completion, "script that completes commands and options in a shell")
    added.epilog = "For good: " + "; ".join(SHELLS.values()) + "."
    added.add_argument("shell", choices=sorted(SHELLS), help="shell that reads the script")


def _completion(options: argparse.Namespace) -> Answer:
    script = completion_script(options.shell)
    return Answer({"shell": options.shell, "script": script}, script.rstrip("\n"))


def completion_script(shell: str) -> str:
    """Return the completion script of `shell` for the whole command line.

    Raises
    ------
    InputError
        If the library that writes it is not installed.
    """
    from ionscape.cli.main import parser

    try:
        shtab = importlib.import_module("shtab")
    except ImportError:
        raise InputError(
            "shtab is not installed",
            where="ionscape completion",
            expected="the library that writes completion scripts",
            remedy="Install it with `pip install shtab` in the environment of ionscape.",
        ) from None
    top = parser()
    _complete_paths(top, shtab)
    script: str = shtab.complete(top, shell=shell)
    return script


def _complete_paths(parser: argparse.ArgumentParser, shtab: Any) -> None:
    """Let every argument that takes free text complete to files: most of them are."""
    for action in parser._actions:  # noqa: SLF001  argparse tells its arguments nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in set(action.choices.values()):
                _complete_paths(below, shtab)
        elif action.choices is None and action.nargs != 0 and _may_be_a_file(action):
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def _may_be_a_file(action: argparse.Action) -> bool:
    from pathlib import Path

    return action.type is Path or not action.option_strings
