"""The software bill of materials of this environment, as CycloneDX 1.5 JSON, and a check of the lock against it.

    python tools/sbom.py [--out sbom.json] [--lock requirements.lock] [--audit]

Every installed distribution that ionscape needs, directly or through others: version, licence and package URL.
With ``--lock`` versions must be those of the lock file. With ``--audit`` the package index is asked for known
vulnerabilities of exactly these versions (the JSON of https://pypi.org/pypi/NAME/VERSION/json, as pip-audit does);
without network that is said, and is no failure.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = "ionscape"
#: Come with the environment, not with the lock file.
FOUNDATIONS = {"pip", "setuptools", "wheel"}
ADVISORIES = "https://pypi.org/pypi/{}/{}/json"


def main() -> int:
    """Write the bill, compare and ask as the options say; return 1 for a difference or a vulnerability."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("sbom.json"))
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--audit", action="store_true", help="ask the package index for vulnerabilities")
    options = parser.parse_args()
    found = distributions(ROOT)
    options.out.write_text(json.dumps(bill(found), indent=1) + "\n", encoding="utf-8")
    print(f"{len(found) - 1} packages: {options.out}")
    problems = differences(found, options.lock.read_text(encoding="utf-8")) if options.lock else []
    problems += vulnerabilities(found) if options.audit else []
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def normalised(name: str) -> str:
    """Return the name of a package as the index has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(root: str) -> dict[str, metadata.Distribution]:
    """Return the distributions that `root` needs, itself among them, by their normalised names."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [root]
    while waiting:
        name = normalised(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # optional, or of another platform
            continue
        waiting += [one.name for one in map(Requirement, found[name].requires or ()) if _applies(one)]
    return found


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def bill(found: dict[str, metadata.Distribution]) -> dict[str, Any]:
    """Return the bill of materials of `found`."""
    names = sorted(set(found) - {ROOT})
    content = "".join(f"{name}=={found[name].version}\n" for name in names)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": {**component(ROOT, found[ROOT]), "type": "application"}},
        "components": [component(name, found[name]) for name in names],
        "dependencies": [
            {"ref": reference(name, one), "dependsOn": sorted(needed(one, found))}
            for name, one in sorted(found.items())
        ],
    }


def component(name: str, distribution: metadata.Distribution) -> dict[str, Any]:
    """Return one entry of the bill."""
    about = distribution.metadata
    licence = about.get("License-Expression") or (about.get("License") or "").strip().split("\n")[0][:80]
    licences = {"licenses": [{"license": {"name": licence}}]} if licence else {}
    purl = reference(name, distribution)
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": distribution.version,
        "purl": purl,
        **licences,
    }


def reference(name: str, distribution: metadata.Distribution) -> str:
    """Return the package URL of a distribution."""
    return f"pkg:pypi/{name}@{distribution.version}"


def needed(distribution: metadata.Distribution, found: dict[str, metadata.Distribution]) -> set[str]:
    """Return the package URLs of what a distribution needs, of those in `found`."""
    names = {normalised(one.name) for one in map(Requirement, distribution.requires or ()) if _applies(one)}
    return {reference(name, found[name]) for name in names & found.keys()}


def differences(found: dict[str, metadata.Distribution], lock: str) -> list[str]:
    """Return the packages whose version is not that of the lock file."""
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE))
    pinned = {normalised(name): version for name, version in locked.items()}
    told = []
    for name, one in sorted(found.items()):
        if name in {ROOT, *FOUNDATIONS}:
            continue
        if name not in pinned:
            told.append(f"{name} {one.version}: not in the lock file")
        elif pinned[name].partition("+")[0] != one.version.partition("+")[0]:
            told.append(f"{name} {one.version}: the lock file has {pinned[name]}")
    return told


def vulnerabilities(found: dict[str, metadata.Distribution]) -> list[str]:
    """Return the known vulnerabilities of the versions in `found`, as the package index tells them."""
    import requests

    told = []
    for name in sorted(set(found) - {ROOT}):
        version = found[name].version.partition("+")[0]
        try:
            answer = requests.get(ADVISORIES.format(name, version), timeout=20)
            known = answer.json().get("vulnerabilities", []) if answer.ok else None
        except (requests.RequestException, ValueError) as error:
            print(f"{name} {version}: the index does not answer ({type(error).__name__})")
            return told
        if known is None:
            print(f"{name} {version}: not on the index, not checked")
        told += [f"{name} {version}: {one['id']} {one.get('summary') or ''}" for one in known or ()]
    return told


if __name__ == "__main__":
    sys.exit(main())
