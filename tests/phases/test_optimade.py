"""The OPTIMADE client against the OPTIMADE consortium's own reference server, started here."""

import contextlib
import http.server
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests
from pymatgen.core import Composition, Structure

from ionscape.errors import InputError, MissingReferenceError
from ionscape.levels.calculation import Relaxation
from ionscape.levels.registry import Level
from ionscape.levels.relaxation import relax_structure
from ionscape.phases import optimade
from ionscape.phases.competing import phase_energies
from ionscape.phases.optimade import OptimadeServer, optimade_records, structures_from
from ionscape.phases.sources import PhaseSource, competing_phases

pytest.importorskip("optimade.server.main", reason="the development tools (make install)", exc_type=ImportError)

CHGNET = Level.of("chgnet")
ENERGIES = {"Li": -1.9, "Na": -1.3, "Ag": -2.8, "Li2O": -4.7, "NaCl": -3.4, "LiAg": -2.6, "O2": -4.9}


#: So many LiAg crystals, each smaller than the last, fill more than one page.
MORE = 25


def record(name: str, structure: Structure, **more) -> dict:
    """Return one line of an OPTIMADE JSON-lines file."""
    composition = structure.composition / math.gcd(*map(int, structure.composition.values()))
    symbols = sorted(element.symbol for element in composition.elements)
    counts = {s: int(structure.composition[s]) for s in symbols}
    reduced = "".join(f"{s}{int(composition[s])}".removesuffix("1") for s in symbols)
    anonymous = "".join(
        f"{letter}{n}" if n > 1 else letter
        for letter, n in zip("ABC", sorted((int(composition[s]) for s in symbols), reverse=True), strict=False)
    )
    attributes = {
        "elements": symbols,
        "nelements": len(symbols),
        "elements_ratios": [counts[s] / len(structure) for s in symbols],
        "chemical_formula_descriptive": reduced,
        "chemical_formula_reduced": reduced,
        "chemical_formula_anonymous": anonymous,
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "nsites": len(structure),
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in symbols],
        "species_at_sites": [site.specie.symbol for site in structure],
        "structure_features": [],
        "last_modified": {"$date": "2026-01-01T00:00:00Z"},
        "immutable_id": name,
        **more,
    }
    return {"id": name.replace(" ", "-"), "type": "structures", "attributes": attributes}


def database(crystals) -> list[dict]:
    records = [
        record(name, crystal, energy=ENERGIES[name.split()[0]], pbe={"per_atom": -1.0})
        for name, crystal in crystals.items()
    ]
    for i in range(MORE):
        smaller = crystals["LiAg"].copy()
        smaller.scale_lattice(crystals["LiAg"].volume * (1 - 0.005 * (i + 1)))
        records.append(record(f"more {i:02d}", smaller, energy=-2.0))
    half = [{"name": "M", "chemical_symbols": ["Li", "Na"], "concentration": [0.5, 0.5]}]
    records.append(
        record("alloy", crystals["Li"], species=half, species_at_sites=["M", "M"], structure_features=["disorder"])
    )
    records.append(record("layer", crystals["LiAg"], dimension_types=[1, 1, 0], nperiodic_dimensions=2))
    return records


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory, crystals):
    """Start the reference server (in-memory database) with our crystals; pages of at most 20 structures."""
    folder = tmp_path_factory.mktemp("optimade")
    lines = [{"x-optimade": {"meta": {"api_version": "1.2.0"}}}, *database(crystals)]
    (folder / "structures.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = {
        "database_backend": "mongomock",
        "insert_test_data": False,
        "insert_from_jsonl": str(folder / "structures.jsonl"),
        "page_limit_max": 20,
        "provider": {"name": "Example", "description": "for tests", "prefix": "exmpl", "homepage": None},
        "provider_fields": {"structures": ["energy", "pbe"]},
    }
    (folder / "config.json").write_text(json.dumps(settings))
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)]
    with (folder / "log").open("w") as log:
        environment = {**os.environ, "OPTIMADE_CONFIG_FILE": str(folder / "config.json")}
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        yield wait_for(f"http://127.0.0.1:{port}", process, folder / "log")
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url, process, log):
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/v1/structures", timeout=10).ok:
                return url
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def phases_of(text, elements, lab=None):
    return competing_phases(PhaseSource.of(f"optimade:{text}"), CHGNET, elements, lab=lab)


def test_the_server_limits_pages(server):
    """What the two tests below rely on: a wish for large pages is refused, and answers come in pages."""
    asked = requests.get(f"{server}/v1/structures", params={"page_limit": optimade.PAGE}, timeout=10)
    assert asked.status_code == 403
    assert requests.get(f"{server}/v1/structures", timeout=10).json()["links"]["next"]


@pytest.mark.parametrize(("page", "granted"), [(7, "elements HAS ONLY"), (100, "NOT (elements HAS ANY")])
def test_all_structures_of_a_system_are_read(server, page, granted, monkeypatch):
    """A page of 7 is granted to the first filter; a page of 100 to none, so that the last one is used."""
    asked = []

    def recorded(session, url, parameters, answer=optimade._answer):
        asked.append((parameters.get("filter", ""), answer(session, url, parameters)))
        return asked[-1][1]

    monkeypatch.setattr(optimade, "PAGE", page)
    monkeypatch.setattr(optimade, "_answer", recorded)
    found = optimade_records(OptimadeServer(server), ["Li", "Ag", "O"])
    assert next(query for query, answer in asked if answer.ok).startswith(granted)
    assert sum(answer.ok for _, answer in asked) > 1
    names = {"Li", "Ag", "LiAg", "Li2O", "Li2O-sheared", "O2", "layer"}
    names |= {"alloy", *(f"more-{i:02d}" for i in range(MORE))}
    assert {name.split("(")[1][:-1] for name in found.records} == names
    assert found.provider == "exmpl"


def test_structures_arrive_as_they_were(server, crystals):
    structures, excluded = structures_from(optimade_records(OptimadeServer(server), ["Li", "Na", "Ag", "O", "Cl"]))
    assert excluded == {"Li (alloy)": "disorder", "AgLi (layer)": "not periodic in three directions"}
    assert len(structures) == len(crystals) + MORE
    for name, crystal in crystals.items():
        (found,) = (s for key, s in structures.items() if key.endswith(f"({name.replace(' ', '-')})"))
        assert found.lattice.matrix == pytest.approx(crystal.lattice.matrix, abs=1e-9)
        assert found.cart_coords == pytest.approx(crystal.cart_coords, abs=1e-9)
        assert found.composition == crystal.composition


def test_the_base_url_may_name_the_version(server):
    assert optimade_records(OptimadeServer(f"{server}/v1"), ["Na"]) == optimade_records(
        OptimadeServer(server), ["Na"]
    )


def test_structures_are_relaxed_at_the_level(server, crystals, lab):
    phases = phases_of(server, ["Li", "O", "Ag"], lab)
    assert phases.scheme == "chgnet"
    assert set(phases.labels) == {"Li", "Ag", "LiAg", "Li2O", "O2"}
    assert phases.energy_of("LiAg") == pytest.approx(lab.energy_per_atom(crystals["LiAg"]), abs=1e-9)
    assert set(phases.excluded) == {"Li (alloy)", "AgLi (layer)", "O (O2)"}
    assert "O2" not in lab.asked


def test_relaxed_structures_have_the_packaged_energies(server, tmp_path):
    """The same crystals, relaxed by CHGNet from another cell: the packaged energies to 1 meV/atom."""

    class Chgnet:
        def relax(self, structures, level, settings):
            ends = [
                relax_structure(s.get_primitive_structure(), CHGNET.calculator(1), settings, tmp_path)
                for s in structures
            ]
            return [
                Relaxation(
                    e.structure, e.last.energy, e.last.energy / len(e.structure), 0.0, 0.0, 0.0, 1, True, ""
                )
                for e in ends
            ]

    phases, packaged = phases_of(server, ["Li", "O"], Chgnet()), phase_energies(CHGNET, ["Li", "O"])
    assert phases.energy_of("Li2O") == pytest.approx(packaged.energy_of("Li2O"), abs=1e-3)


def test_energies_of_a_named_property(server):
    phases = phases_of(f"{server}#energy=_exmpl_energy", ["Na", "Li", "Ag", "O"])
    assert phases.scheme == phases.level == "exmpl:_exmpl_energy"
    assert phases.references == {}
    assert {label: phases.energy_of(label) for label in phases.labels} == {
        Composition(f).reduced_formula: ENERGIES[f] for f in ("Na", "Li", "Ag", "Li2O", "LiAg", "O2")
    }
    assert phases.excluded["Li (alloy)"].startswith("no number in")


def test_energies_inside_a_property(server):
    phases = phases_of(f"{server}#energy=_exmpl_pbe.per_atom", ["Na"])
    assert phases.energy_of("Na") == -1.0


def test_schemes_of_servers_stay_apart(server, lab):
    with pytest.raises(InputError, match="phases of 2 schemes: 'exmpl:_exmpl_energy'; 'chgnet'"):
        phases_of(f"{server}#energy=_exmpl_energy+packaged", ["Li", "O"], lab)


@pytest.mark.parametrize(
    ("suffix", "elements", "message"),
    [
        ("#energy=_exmpl_enthalpy", ["Na"], r"none of \d structures has a number in '_exmpl_enthalpy'"),
        ("#energy=_exmpl_energy", ["Mg"], "no structure that consists of Mg"),
        ("#energy=_exmpl_energy", ["Na", "Cl"], "no phase of the pure element Cl"),
        ("/nothing", ["Na"], "HTTP status 404"),
        ("/docs#energy=x", ["Na"], "HTTP status 404"),
    ],
)
def test_what_the_server_has_not_is_told(server, suffix, elements, message, lab):
    with pytest.raises(InputError, match=message):
        phases_of(server + suffix, elements, lab)


def test_structures_without_a_lab_are_refused(server):
    with pytest.raises(MissingReferenceError, match="1 structures have no energy at level 'chgnet'"):
        phases_of(server, ["Na"])


def test_no_network():
    with pytest.raises(
        InputError, match=r"127.0.0.1.*no answer \(ConnectionError\).*Check the URL and the network"
    ):
        phases_of(f"http://127.0.0.1:{free_port()}", ["Na"])


class OtherPage(http.server.BaseHTTPRequestHandler):
    """A web server that is no OPTIMADE server; what it answers depends on the path."""

    answers = {  # noqa: RUF012
        "/page/": (200, b"<html>"),
        "/index/": (200, b'{"data": {}}'),
        "/down/": (500, b""),
        "/busy/": (503, b""),
        "/loop/": (200, b'{"data": [], "links": {"next": "/loop/again"}}'),
    }

    def do_GET(self):
        status, content = next(v for k, v in self.answers.items() if self.path.startswith(k))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def other():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherPage) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("page", "no OPTIMADE JSON"),
        ("index", "no OPTIMADE JSON"),
        ("down", "HTTP status 500"),
        ("busy", "HTTP status 503"),
        ("loop", "no structure that consists of Na"),
    ],
)
def test_other_web_servers_are_told_apart(other, path, message, monkeypatch):
    with pytest.raises(InputError, match=message):
        phases_of(f"{other}/{path}", ["Na"])
