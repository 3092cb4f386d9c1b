"""PAW data sets: which are there, and the one of Li with its 1s electrons in the valence, made on first use."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ionscape.errors import CalculationError, InputError
from ionscape.levels.gpaw.settings import WHERE, GPAWSettings
from ionscape.levels.hubbard import shell_of
from ionscape.units import Count

#: Data sets that are made here: GPAW's generator with so many valence electrons.
MADE = {("Li", "sv"): 3}
#: Environment variable that names the folder of the data sets made here.
CACHE = "IONSCAPE_CACHE"
INSTALL = "Run `make install-dft`, or `pip install gpaw gpaw-data` in the environment of ionscape (needs libxc)."


def missing_installation() -> str | None:
    """Return None if GPAW and its data sets are installed, else what to do."""
    if importlib.util.find_spec("gpaw") is None:
        return INSTALL
    return None if importlib.util.find_spec("gpaw_data") is not None else f"The data sets are missing. {INSTALL}"


def versions() -> dict[str, str]:
    """Return the versions of GPAW and of its data sets."""
    return {name: importlib.metadata.version(name) for name in ("gpaw", "gpaw-data")}


def setup_type(symbol: str, settings: GPAWSettings) -> str:
    """Return GPAW's description of the data set and the +U of an element, such as ``sv`` or ``:d,3.32,0``."""
    kind = settings.datasets.get(symbol, "paw")
    U = settings.hubbard_U_eV.get(symbol)
    if U is None:
        return kind
    scaled = 1 if settings.hubbard_projector == "normalized" else 0
    return f"{'' if kind == 'paw' else kind}:{shell_of(symbol)},{U!r},{scaled}"


def setups(symbols: Iterable[str], settings: GPAWSettings) -> dict[str, str]:
    """Return GPAW's ``setups`` for the elements of a structure, making what can be made.

    Raises
    ------
    InputError
        If an element has no data set.
    """
    elements = sorted(set(symbols))
    missing = [symbol for symbol in elements if _file(symbol, settings) is None]
    if missing:
        kinds = ", ".join(f"{symbol} ({settings.datasets.get(symbol, 'paw')})" for symbol in missing)
        raise InputError(
            f"no PAW data set of {kinds}",
            where=WHERE,
            expected="elements that GPAW's data sets cover, of the kinds that are installed",
            remedy="Take another kind in `datasets`, or put the file into a folder of GPAW_SETUP_PATH.",
        )
    return {symbol: setup_type(symbol, settings) for symbol in elements}


def valence_electrons(symbols: Iterable[str], settings: GPAWSettings) -> dict[str, Count]:
    """Return the number of valence electrons of each element in its data set."""
    return {symbol: _valence(str(_file(symbol, settings))) for symbol in sorted(set(symbols))}


def hashes(symbols: Iterable[str], settings: GPAWSettings) -> Mapping[str, str]:
    """Return the SHA-256 of the data set of each element: its physics is in that file."""
    return {symbol: _sha256(str(_file(symbol, settings))) for symbol in sorted(set(symbols))}


@functools.cache
def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@functools.cache
def _valence(path: str) -> int:
    import gzip
    import re

    data = Path(path).read_bytes()
    text = (gzip.decompress(data) if path.endswith(".gz") else data)[:4000].decode("utf-8", "replace")
    found = re.search(r'<atom [^>]*valence="([0-9.]+)"', text)
    if found is None:
        raise InputError("no data set of GPAW", where=path, expected="a PAW-XML file", remedy="Install it again.")
    return round(float(found.group(1)))


def _file(symbol: str, settings: GPAWSettings) -> Path | None:
    kind = settings.datasets.get(symbol, "paw")
    name = _file_name(symbol, kind, settings.functional)
    found = _found(name)
    if found is None and (symbol, kind) in MADE:
        return _made(symbol, kind, settings.functional)
    return found


def _file_name(symbol: str, kind: str, functional: str) -> str:
    middle = "" if kind == "paw" else f"{kind}."
    return f"{symbol}.{middle}{_family(functional)}"


def _family(functional: str) -> str:
    """Return the functional that data sets were made with: PBEsol has none of its own and takes those of PBE."""
    return "PBE" if functional == "PBEsol" else functional


def _found(name: str) -> Path | None:
    from gpaw import setup_paths

    for folder in setup_paths:
        for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def _made(symbol: str, kind: str, functional: str) -> Path:
    """Return the data set from the cache, making it there if need be; its folder joins GPAW's search path."""
    name, folder = _file_name(symbol, kind, functional), _folder()
    if not (folder / name).is_file():
        _generate(symbol, kind, functional, folder)
    know_made_datasets()
    return folder / name


def know_made_datasets() -> None:
    """Add the folder of the data sets made here to those that GPAW searches."""
    from gpaw import setup_paths

    folder = str(_folder())
    if folder not in [str(path) for path in setup_paths]:
        setup_paths.insert(0, folder)


def _folder() -> Path:
    root = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "ionscape")
    return root / f"gpaw-datasets-{versions()['gpaw']}"


def _generate(symbol: str, kind: str, functional: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name, electrons = _file_name(symbol, kind, functional), str(MADE[symbol, kind])
    command = [sys.executable, "-m", "gpaw", "dataset", symbol, "-e", electrons, "-f", _family(functional)]
    command += ["-w", "-t", kind]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        made = Path(scratch) / name
        if done.returncode or not made.is_file():
            message = f"GPAW could not make the data set {name}: {done.stderr.strip()[-300:]}"
            raise CalculationError(message)
        made.replace(folder / name)  # whole, even if another process makes it at the same time
