"""Builds the compiled core of the potential: one shared library with a plain C interface, loaded by ctypes.

Everything else about the package stands in pyproject.toml. Without a compiler the package installs all the same,
and evaluates potentials with Numba.

Kernels (``kernel*.cpp``) are compiled once for every instruction set below, with ``IONSCAPE_VARIANT`` defined as
its name, and chosen among at run time. Objects are linked from the oldest instruction set to the newest: of an
inline function that several of them hold, the linker takes the first, which runs everywhere.
"""

from __future__ import annotations

import hashlib
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

CORE = Path("src/ionscape/potential/core")
NAME = "ionscape.potential._core"
#: Where an editable installation leaves the library; a wheel of the same sources takes it from there.
IN_PLACE = CORE.parent / ("_core.dll" if os.name == "nt" else "_core.so")
#: No -ffast-math (a NaN must stay one) and no -march=native (a wheel goes elsewhere).
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility-inlines-hidden",
    "-pthread",
    "-g0",
]
VARIANTS = {
    "x86_64": {
        "sse4": ["-march=x86-64-v2"],
        "avx2": ["-march=x86-64-v3"],
        "avx512": ["-march=x86-64-v4"],
    }
}
MACHINE = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())


def sources_hash() -> str:
    """Return the hash of all sources; `ionscape.potential.library` computes the same."""
    digest = hashlib.sha256()
    for path in sorted([*CORE.glob("*.cpp"), *CORE.glob("*.hpp")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _is_current(library: Path) -> bool:
    """Tell whether `library` was built from these sources, whose stamp it bears, and after this file changed."""
    if not library.is_file() or library.stat().st_mtime < Path(__file__).stat().st_mtime:
        return False
    return sources_hash().encode() in library.read_bytes()


class BuildCore(build_ext):
    """Compiles and links the core as a library without a Python interface."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of the library inside the package: the same for every Python."""
        return str(Path(*fullname.split("."))) + (".dll" if os.name == "nt" else ".so")

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return nothing: there is no module to initialise."""
        del ext
        return []

    def build_extension(self, ext: Extension) -> None:
        """Compile the sources, kernels once for each instruction set, and link; or take what is in place."""
        target = self.get_ext_fullpath(ext.name)
        if _is_current(IN_PLACE):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            if not Path(target).exists() or not IN_PLACE.samefile(target):
                self.copy_file(str(IN_PLACE), target)
            return
        kernels = [source for source in ext.sources if Path(source).name.startswith("kernel")]
        tasks = [(source, "", []) for source in ext.sources if source not in kernels]
        for variant, flags in VARIANTS.get(MACHINE, {"generic": []}).items():
            tasks += [(source, variant, flags) for source in kernels]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda task: self._compiled(Path(task[0]), *task[1:]), tasks))
        self.compiler.link_shared_object(objects, target, extra_postargs=["-pthread"], target_lang="c++")

    def _compiled(self, source: Path, variant: str, flags: list[str]) -> str:
        """Return the object of `source`; one that is younger than all it was made from is taken as it is."""
        folder = Path(self.build_temp, variant)
        (target,) = self.compiler.object_filenames([str(source)], output_dir=str(folder))
        stamped = source.name == "sources.cpp"
        origins = [source, *CORE.glob("*.hpp"), Path(__file__)]
        if not stamped and not newer_group([str(path) for path in origins], target):
            return target
        macros = [("IONSCAPE_SOURCES", f'"{sources_hash()}"')] if stamped else []
        macros += [("IONSCAPE_VARIANT", variant)] if variant else []
        options = [*FLAGS, *flags]
        self.compiler.compile([str(source)], output_dir=str(folder), macros=macros, extra_postargs=options)
        return target


class PlatformWheel(bdist_wheel):
    """Tags the wheel by platform alone: the library knows nothing of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return ``py3-none-<platform>``; ``py3-none-any`` where no library could be built."""
        built = any(Path(self.bdist_dir).rglob("_core.*"))
        return "py3", "none", super().get_tag()[2] if built else "any"


setup(
    ext_modules=[
        Extension(
            NAME,
            sources=[str(path) for path in sorted(CORE.glob("*.cpp"))],
            depends=[str(path) for path in sorted(CORE.glob("*.hpp"))],
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildCore, "bdist_wheel": PlatformWheel},
)
