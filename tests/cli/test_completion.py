"""Completion scripts: every command and option in each shell; run in the shells that are here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ionscape.cli import completion
from ionscape.cli.completion import SHELLS, completion_script
from ionscape.cli.main import main, parser
from ionscape.errors import InputError

COMPLETE = """
source {script}
complete -p ionscape >/dev/null
COMP_WORDS=(ionscape {words}); COMP_CWORD={last}; COMPREPLY=(); _shtab_ionscape
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def commands():
    (choices,) = [action.choices for action in parser()._actions if isinstance(action.choices, dict)]
    return choices


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return {shell: completion_script(shell) for shell in SHELLS}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_in_the_script(shell: str, scripts: dict[str, str]) -> None:
    for name, command in commands().items():
        assert name in scripts[shell]
        for option in command._option_string_actions:
            assert option.lstrip("-") in scripts[shell], f"{name} {option}"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_reads_its_script(shell: str, scripts: dict[str, str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    script = tmp_path / "script"
    script.write_text(scripts[shell], encoding="utf-8")
    subprocess.run([shell, "-n", str(script)], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tra"], ["train", "transport"]),
        (["relax", "--fm"], ["--fmax-eV-per-A"]),
        (["relax", "--optimizer", "F"], ["FIRE"]),
        (["relax", "cry"], ["crystal.cif"]),
        (["contact", "--vol"], ["--voltage-V", "--voltage"]),
    ],
)
def test_bash_completes(words: list[str], expected: list[str], scripts: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(scripts["bash"], encoding="utf-8")
    (tmp_path / "crystal.cif").touch()
    text = COMPLETE.format(script="./script", words=" ".join(words), last=len(words))
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert sorted(done.stdout.split()) == sorted(expected)


def test_the_command_prints_the_script(scripts: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out.strip() == scripts["bash"].strip()


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(InputError, match="pip install shtab"):
        completion.completion_script("bash")
