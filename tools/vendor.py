"""Fetch the scripts that the report carries, as ``report/vendored/scripts.toml`` pins them, and check them.

``python tools/vendor.py`` writes each script and its licence beside the table. A hash that differs is refused;
after a change of version, ``--accept`` writes the new one into the table.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

VENDORED = Path(__file__).parents[1] / "src" / "ionscape" / "report" / "vendored"
TABLE = VENDORED / "scripts.toml"


def packed(package: str, version: str) -> tarfile.TarFile:
    """Return the archive of a package of the npm registry."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", f"{package}@{version}", "--silent"], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        return tarfile.open(fileobj=io.BytesIO(archive.read_bytes()), mode="r:gz")


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return a file of the archive of a package."""
    handle = archive.extractfile(f"package/{name}")
    if handle is None:
        sys.exit(f"{name} is no file of the package")
    return handle.read()


def main() -> None:
    """Fetch all scripts of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write new hashes into the table")
    accept = parser.parse_args().accept
    text = TABLE.read_text(encoding="utf-8")
    for name, one in tomllib.loads(text).items():
        archive = packed(one["package"], one["version"])
        script = member(archive, one["member"])
        found = hashlib.sha256(script).hexdigest()
        if found != one["sha256"]:
            if not accept:
                sys.exit(f"{name} {one['version']}: hash {found}, expected {one['sha256']}")
            head, _, rest = text.partition(f"[{name}]")
            text = f"{head}[{name}]{rest.replace(one['sha256'].join(chr(34) * 2), found.join(chr(34) * 2), 1)}"
        (VENDORED / f"{name}.js").write_bytes(script)
        (VENDORED / f"{name}.LICENSE").write_bytes(member(archive, one["licence_member"]))
        print(f"{name} {one['version']}: {len(script)} bytes, SHA-256 {found}")
    TABLE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
