"""What users install: wheel and sdist, built, installed into an empty environment, and used from elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "src")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


@dataclass(frozen=True)
class Environment:
    """An environment with the package installed, and a folder far from the sources."""

    python: Path
    folder: Path

    def ionscape(self, *arguments: str) -> Any:
        """Return what a command says as JSON."""
        done = self.run(self.python.parent / "ionscape", *arguments, "--json")
        return json.loads(done)

    def run(self, *command: Any) -> str:
        """Return what `command` prints; compiled kernels stay Python, or every one would be compiled anew."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [str(word) for word in command],
            check=False,
            cwd=self.folder,
            env=kept | {"NUMBA_DISABLE_JIT": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def copied(folder: Path) -> Path:
    """Return a copy of what a build needs, with the compiled core where one is there."""
    tree = folder / "tree"
    tree.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in NEEDED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored)
        else:
            shutil.copy2(source, tree / name)
    return tree


def built(tree: Path, hook: str, out: Path, **environment: str) -> Path:
    """Return the file that a hook of the build backend makes of `tree`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILD, hook, str(out)],
        check=False,
        cwd=tree,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out / done.stdout.splitlines()[-1]


def installed(wheel: Path, folder: Path) -> Environment:
    """Return an environment that holds `wheel`, and the libraries of this one behind it."""
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    place = sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    # A path in a .pth file is searched, but .pth files there, such as that of an editable ionscape, are not read.
    Path(place, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    (folder / "elsewhere").mkdir()
    return Environment(python, folder / "elsewhere")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    return built(copied(folder), "build_sdist", folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return built(copied(folder), "build_wheel", folder)


@pytest.fixture(scope="module")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return installed(wheel, tmp_path_factory.mktemp("from_wheel"))


@pytest.fixture(scope="module")
def from_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the package as a machine without a compiler installs it from the sdist."""
    folder = tmp_path_factory.mktemp("from_sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = [path for path in folder.iterdir() if path.is_dir()]
    none = shutil.which("false") or "false"
    return installed(built(tree, "build_wheel", folder, CC=none, CXX=none), folder)


def package_files(root: Path) -> set[str]:
    """Return the files under `root` that the package is made of."""
    kinds = {".py", ".toml", ".json", ".csv", ".html", ".css", ".typed"}
    paths = [path for path in root.rglob("*") if path.suffix in kinds or path.name == "py.typed"]
    return {path.relative_to(root).as_posix() for path in paths}


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("ionscape/") for name in archive.namelist() if name.startswith("ionscape/")}
    wanted = package_files(PROJECT / "src" / "ionscape")
    assert len(wanted) > 100
    assert wanted <= names
    assert not [name for name in names if name.endswith((".cpp", ".hpp", ".pyc"))]


def test_the_sdist_holds_the_sources_of_the_core(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "src").rglob("core/*.?pp")}
    assert wanted
    assert wanted | {"pyproject.toml", "setup.py", "LICENSE"} <= names


@pytest.mark.parametrize("environment", ["from_wheel", "from_sdist"])
def test_an_installed_package_works_far_from_its_sources(environment: str, request: pytest.FixtureRequest) -> None:
    here: Environment = request.getfixturevalue(environment)
    where = here.run(here.python, "-c", "import ionscape; print(ionscape.__file__)")
    assert Path(where.strip()).is_relative_to(here.python.parents[1])
    assert "Exit codes" in here.run(here.python.parent / "ionscape", "--help")
    (target,) = here.ionscape("hull", "Li2O")["targets"]
    assert target["products"] == {"Li2O": 1.0}
    levels = {level["name"] for level in here.ionscape("levels")["levels"]}
    assert {"chgnet", "gpaw", "sgpr", "vasp"} <= levels


def test_the_wheel_brings_the_core_and_a_machine_without_compiler_does_without(
    from_wheel: Environment, from_sdist: Environment
) -> None:
    asked = "from ionscape.potential.library import unavailable; print(unavailable() or '')"
    missing = from_sdist.run(from_sdist.python, "-c", asked).strip()
    assert missing
    if (PROJECT / "src" / "ionscape" / "potential" / "_core.so").exists():
        assert not from_wheel.run(from_wheel.python, "-c", asked).strip()


def test_every_extra_named_in_the_documentation_exists() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]
    named = {
        name
        for page in pages
        for group in re.findall(r"ionscape\[([\w,-]+)\]", page.read_text(encoding="utf-8"))
        for name in group.split(",")
    }
    assert named
    assert named <= set(extras)
