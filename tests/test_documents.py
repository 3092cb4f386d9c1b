"""What is written about the project holds: examples run, links lead somewhere, versions and names agree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ionscape
from ionscape.cli.main import parser

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
#: Folders of the machines on which the project is made, in pieces so that this file does not name them.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:{})\b".format("|".join(["wo" + "rk", "tmp/scr" + "atch", "ro" + "ot"])))


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [text for marked, text in found if marked == language]


def commands() -> dict[str, object]:
    """Return the parsers of all commands by name."""
    (choices,) = [action.choices for action in parser()._actions if isinstance(action.choices, dict)]
    return choices


@pytest.mark.parametrize("example", blocks("python"), ids=lambda text: text.splitlines()[-1][:30])
def test_python_examples_of_the_readme_run(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102  our own text
    value, words = capsys.readouterr().out.split(maxsplit=1)
    assert 0 <= float(value) < 0.1
    assert words == "eV/atom above the hull\n"


def test_the_readme_has_a_python_example() -> None:
    assert blocks("python")


def test_commands_of_the_readme_are_the_real_ones() -> None:
    (listing,) = [block for block in blocks("") if block.startswith("ionscape ")]
    named = set()
    for line in listing.splitlines():
        usage = re.split(r"\s{2,}", line.removeprefix("ionscape "))[0]
        words = [word for part in usage.split("|") if (word := part.split()[0])]
        options = re.findall(r"--[\w-]+", usage)
        for word in words:
            assert word in commands(), line
            for option in options:
                assert option in commands()[word]._option_string_actions, line
        named |= set(words)
    assert named == set(commands())


def test_commands_named_in_the_pages_exist() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`ionscape ([a-z]+)\b", text):
            assert name in commands(), f"{page.name}: ionscape {name}"


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"^make ([\w-]+)", README, re.MULTILINE))
    assert {"study", "test"} <= named <= targets


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Yield the relative links of a page, of text and of pictures; code is left out."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_links_are_found() -> None:
    assert {"CHANGELOG.md", "docs/conventions.md"} <= set(links(PROJECT / "README.md"))


def test_versions_agree() -> None:
    version = ionscape.__version__
    assert PYPROJECT["project"]["version"] == version
    citation = (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version]
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings
    assert headings[0] in {"Unreleased", version}


def test_citation_has_what_its_format_demands() -> None:
    citation = (PROJECT / "CITATION.cff").read_text(encoding="utf-8")
    for key in ("cff-version", "message", "title", "authors", "license"):
        assert re.search(rf"^{key}:", citation, re.MULTILINE), key
    assert re.search(rf"^license: {PYPROJECT['project']['license']}$", citation, re.MULTILINE)


def normal(name: str) -> str:
    """Return the name of a package as package registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Return the versions of the lock file, after checking that each line pins one exactly."""
    pinned = {}
    for line in (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            found = re.fullmatch(r"([\w.-]+)==([\w.+!]+)", text)
            assert found, line
            pinned[normal(found[1])] = found[2]
    return pinned


def test_lock_pins_every_dependency() -> None:
    pinned = pins()
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
    for requirement in wanted:
        name, relation, version = re.fullmatch(r"([\w.-]+?)(?:\[\w+\])?(?:(>=|==)([\d.]+))?", requirement).groups()
        assert normal(name) in pinned, requirement
        if relation == ">=":
            assert numbers(pinned[normal(name)]) >= numbers(version), requirement
        elif relation == "==":
            assert pinned[normal(name)] == version, requirement
    assert any(requirement.startswith("torch==") for requirement in wanted)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def project_files() -> list[Path]:
    """Return the files that belong to the project, as git tells them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.splitlines() if (path := PROJECT / name).is_file()]


def test_no_file_names_the_machine_it_was_made_on() -> None:
    files = project_files()
    assert PROJECT / "README.md" in files
    for path in files:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        found = MACHINE_PATHS.search(content.decode("utf-8", errors="replace"))
        assert not found, f"{path.relative_to(PROJECT)}: {found and found[0]}"


def test_machine_paths_would_be_found() -> None:
    assert MACHINE_PATHS.search("see /" + "work/main")
    assert MACHINE_PATHS.search('"/tmp/' + 'scratch"')
    assert not MACHINE_PATHS.search("store/working/ab, frame" + "work/x")
