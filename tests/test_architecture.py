"""The tree stays what it says it is: layers, sizes, units, docstrings, silence, light imports, the README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ionscape

ROOT = Path(ionscape.__file__).parent
PROJECT = Path(__file__).parents[1]
#: Modules that every room may use, and the rooms from low to high; rooms of one line do not know one another.
FOUNDATION = {"errors", "units", "results", "settings", "files"}
ROOMS = [
    {"structures"},
    {"potential"},
    {"levels"},
    {"phases", "dynamics", "electronic"},
    {"stability", "doping", "transport"},
    {"interfaces"},
    {"migration"},
    {"study"},
    {"report"},
    {"cli"},
]
LONGEST_MODULE, LONGEST_FUNCTION, MOST_PARAMETERS = 400, 40, 6

MODULES = sorted(ROOT.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def every_module(function):
    return pytest.mark.parametrize("path", MODULES, ids=name_of)(function)


def room_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of all modules imported anywhere in `tree`, for type checkers or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may_import(room: str) -> set[str]:
    """Return the rooms that a module of `room` may import."""
    if room in FOUNDATION:
        return FOUNDATION
    if room in {"__init__", "__main__"}:
        return set() if room == "__init__" else {"cli"}
    height = next(i for i, level in enumerate(ROOMS) if room in level)
    return FOUNDATION.union({room}, *ROOMS[:height])


@every_module
def test_a_room_imports_only_lower_rooms(path: Path) -> None:
    own = [name.split(".") for name in imported(tree_of(path)) if name.split(".")[0] == "ionscape"]
    rooms = {parts[1] for parts in own if len(parts) > 1} - {"__version__"}
    assert rooms <= may_import(room_of(path))


@every_module
def test_only_the_report_imports_a_plotting_library(path: Path) -> None:
    used = {name.split(".")[0] for name in imported(tree_of(path))}
    assert room_of(path) == "report" or not used & {"matplotlib", "plotly", "seaborn"}


def test_every_room_is_known_and_has_tests() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert rooms == set().union(*ROOMS)
    assert all(list((PROJECT / "tests" / room).glob("test_*.py")) for room in rooms)


@every_module
def test_no_module_is_longer_than_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def code_lines(node: Function, source: list[str]) -> int:
    """Return the number of lines of `node` that are neither blank nor comment nor docstring."""
    lines = set(range(node.lineno, node.end_lineno + 1))
    if ast.get_docstring(node) is not None:
        lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    texts = [source[number - 1].strip() for number in lines]
    return sum(1 for text in texts if text and not text.startswith("#"))


@every_module
def test_no_function_is_long_or_has_many_parameters(path: Path) -> None:
    source = path.read_text(encoding="utf-8").splitlines()
    for function in functions(tree_of(path)):
        assert code_lines(function, source) <= LONGEST_FUNCTION, function.name
        arguments = function.args
        names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
        assert len([name for name in names if name not in {"self", "cls"}]) <= MOST_PARAMETERS, function.name


def public_parts(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield the public functions, classes and methods; functions inside functions are nobody's business."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_parts(node.body)


@every_module
def test_what_is_public_is_documented(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    for part in public_parts(tree.body):
        assert ast.get_docstring(part), part.name


def results_in(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Yield the public classes decorated with ``@dataclass(frozen=True)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            calls = [
                d for d in node.decorator_list if isinstance(d, ast.Call) and "dataclass" in ast.unparse(d.func)
            ]
            if any("frozen=True" in ast.unparse(call) for call in calls):
                yield node


@every_module
def test_every_number_of_a_result_has_a_unit(path: Path) -> None:
    """A result is a public frozen dataclass of a room that computes, whatever else it may be used for.

    ``float`` and ``Array`` say nothing about the unit, so neither may stand in the annotation of a field unless
    ``Unit`` stands there too: the aliases of `ionscape.units` (``Energy``, ``LengthArray``, …) have one. The rooms
    report and cli only show what was computed, and are left out.
    """
    if room_of(path) in {"report", "cli"}:
        return
    for result in results_in(tree_of(path)):
        for field in [node for node in result.body if isinstance(node, ast.AnnAssign)]:
            words = set(re.findall(r"[A-Za-z_]\w*", ast.unparse(field.annotation)))
            bare = words & {"float", "complex", "Array", "float64", "complex128"}
            assert not bare or "Unit" in words, f"{result.name}.{field.target.id}: {ast.unparse(field.annotation)}"


def test_units_of_every_result_can_be_read() -> None:
    """``results.json`` takes units from the annotations at run time: they must be readable there."""
    import importlib

    from ionscape.results import units_of

    with_units = 0
    for path in MODULES:
        for result in results_in(tree_of(path)):
            module = importlib.import_module(".".join(["ionscape", *path.relative_to(ROOT).with_suffix("").parts]))
            with_units += bool(units_of(getattr(module, result.name)))
    assert with_units > 3


@every_module
def test_the_library_does_not_print(path: Path) -> None:
    calls = [ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    assert room_of(path) == "cli" or not {"print", "sys.stdout.write"} & set(calls)


#: Prints the modules loaded so far that are neither of the standard library nor ours.
FOREIGN = """
import sys
def foreign():
    names = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    own = {"ionscape", "__main__", "__mp_main__", "_distutils_hack", "sitecustomize", "usercustomize"}
    return sorted(name for name in names - own - before if not name.startswith("__editable__"))
before = set()
before = set(foreign())
"""
HELP = """
import contextlib, io
from ionscape.cli.main import main, parser
(choices,) = [action.choices for action in parser()._actions if isinstance(action.choices, dict)]
for words in [["--help"], *([name, "--help"] for name in choices)]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main(words)
    assert "usage: ionscape" in out.getvalue(), words
"""


@pytest.mark.parametrize(
    "start", ["import ionscape", "import ionscape.cli", "from ionscape.cli.main import parser", HELP]
)
def test_starting_and_every_help_load_the_standard_library_alone(start: str) -> None:
    script = f"{FOREIGN}\n{start}\nprint(foreign())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_heavy_module_would_be_seen() -> None:
    script = f"{FOREIGN}\nimport numpy\nprint(foreign())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "numpy" in done.stdout


def test_the_tree_of_the_readme_is_the_real_one() -> None:
    blocks = re.findall(r"```[a-z]*\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if block.startswith("src/ionscape/")]
    written = re.findall(r"^\s+(\w+)/", block, re.MULTILINE)
    real = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert sorted(written) == sorted(real)


@every_module
def test_packages_stay_free_of_imports(path: Path) -> None:
    tree = tree_of(path)
    assert path.name != "__init__.py" or not list(imported(tree))
