"""The Materials Project through its own client, against a server here that speaks the project's API."""

import http.server
import json
import sys
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility
from pymatgen.core import Composition
from pymatgen.core.entries import ComputedStructureEntry

from ionscape.errors import InputError
from ionscape.levels.registry import Level
from ionscape.phases.materials_project import materials_project_entries
from ionscape.phases.scheme import require_same_scheme
from ionscape.phases.sources import PhaseSource, competing_phases

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
CHGNET = Level("chgnet")
KEY = "k" * 32
ENERGIES = {"Li": -1.9, "O2": -4.9, "Li2O": -4.7, "Li2O sheared": -4.6, "NaCl": -3.4, "Na": -1.3}


def test_without_the_client_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(InputError, match=r"mp-api is not usable here.*pip install 'ionscape\[mp\]'"):
        competing_phases(PhaseSource.of("mp"), CHGNET, ["Li", "O"])


def thermo(crystals) -> list[dict]:
    """Return documents as /materials/thermo gives them, with MP2020 corrections."""
    parameters = {"run_type": "GGA", "hubbards": {}}
    entries = [
        ComputedStructureEntry(
            crystals[name], energy * len(crystals[name]), parameters=parameters, entry_id=f"mp-{i}-GGA"
        )
        for i, (name, energy) in enumerate(ENERGIES.items(), 1)
    ]
    MaterialsProject2020Compatibility(check_potcar=False).process_entries(entries)
    return [
        {
            "material_id": f"mp-{i}",
            "thermo_type": "GGA_GGA+U",
            "chemsys": entry.composition.chemical_system,
            "entries": {"GGA": entry.as_dict()},
        }
        for i, entry in enumerate(entries, 1)
    ]


class Api(http.server.BaseHTTPRequestHandler):
    """Answers /heartbeat and /materials/thermo/ as the project's API does."""

    documents: tuple[dict, ...] = ()
    status = 200

    def do_GET(self):
        url = urlsplit(self.path)
        status, answer = 200, {"status": "OK", "version": "0.87.3", "db_version": "2026.01.01"}
        answer["access_controlled_batch_ids"] = []
        if "thermo" in url.path:
            query = parse_qs(url.query)
            assert query["thermo_types"] == ["GGA_GGA+U"]
            systems = query["chemsys"][0].split(",")
            found = [d for d in self.documents if d["chemsys"] in systems]
            status, answer = type(self).status, {"data": found, "meta": {"total_doc": len(found)}}
            if self.headers.get("x-api-key") != KEY:
                status, answer = 401, {"message": "Unauthorized"}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def api(crystals, monkeypatch):
    """Direct the client to the server here, as MP_API_ENDPOINT does before the client is first imported."""
    reason = "make install-mp"
    settings = pytest.importorskip("mp_api.client.core.settings", reason=reason, exc_type=ImportError)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}/"
        monkeypatch.setattr(Api, "documents", tuple(thermo(crystals)))
        monkeypatch.setattr(settings.MAPI_CLIENT_SETTINGS, "ENDPOINT", url)
        monkeypatch.setenv("MP_API_KEY", KEY)
        yield url
        web.shutdown()


def test_entries_come_with_the_corrections_of_the_project(api):
    phases = competing_phases(PhaseSource.of("mp"), CHGNET, ["Li", "O"])
    assert phases.scheme == "GGA/GGA+U, MP2020 corrections"
    assert phases.energy_of("Li2O") == pytest.approx(-4.7 - 0.687 / 3)  # MP2020, oxide: −0.687 eV per O
    assert (phases.energy_of("Li"), phases.energy_of("O2")) == pytest.approx((-1.9, -4.9))
    assert phases.references == {}
    with pytest.raises(InputError, match=r"the target would have one of 'chgnet'"):
        require_same_scheme(phases, CHGNET)


def test_mixing_again_changes_nothing(api):
    found = [competing_phases(PhaseSource.of("mp", m), CHGNET, ["Li", "O"]) for m in ("none", "mp2020")]
    assert found[0].energies == pytest.approx(found[1].energies)


def test_the_project_vouches_for_its_scale(api):
    """A compound that the project left uncorrected stays so, even where pymatgen here would correct it."""
    for document in Api.documents:
        document["entries"]["GGA"]["energy_adjustments"] *= document["material_id"] != "mp-3"
        document["entries"]["GGA"]["correction"] *= document["material_id"] != "mp-3"
    phases = competing_phases(PhaseSource.of("mp"), CHGNET, ["Li", "O"])
    assert phases.energy_of("Li2O") == pytest.approx(-4.6 - 0.687 / 3)
    assert phases.scheme == "GGA/GGA+U, MP2020 corrections"


def test_only_the_system_is_asked_for(api):
    entries = materials_project_entries(["Na", "Mg"]).entries
    assert [entry.composition.reduced_formula for entry in entries] == ["Na"]
    assert entries[0].composition == Composition("Na2")
    with pytest.raises(InputError, match=r"no entries of Ag-Mg"):
        materials_project_entries(["Mg", "Ag"])


def test_a_wrong_key_is_told(api, monkeypatch):
    monkeypatch.setenv("MP_API_KEY", "w" * 32)
    with pytest.raises(InputError, match=r"the API key is refused.*MP_API_KEY"):
        materials_project_entries(["Li", "O"])
    monkeypatch.setenv("MP_API_KEY", "short")
    with pytest.raises(InputError, match=r"the API key is refused.*MP_API_KEY"):
        materials_project_entries(["Li", "O"])


def test_no_key_is_told(api, monkeypatch):
    monkeypatch.delenv("MP_API_KEY")
    monkeypatch.setattr("mp_api.client.core.utils.PMG_SETTINGS", {}, raising=False)
    with pytest.raises(InputError, match=r"no API key.*pmg config --add PMG_MAPI_KEY"):
        materials_project_entries(["Li", "O"])


def test_a_failing_server_is_told(api, monkeypatch):
    monkeypatch.setattr(Api, "status", 500)
    with pytest.raises(InputError, match=r"the query failed .*status code 500"):
        materials_project_entries(["Li", "O"])


def test_no_network_is_told(api, monkeypatch):
    from mp_api.client.core import settings

    monkeypatch.setattr(settings.MAPI_CLIENT_SETTINGS, "ENDPOINT", "http://127.0.0.1:9/")
    with pytest.raises(InputError, match=r"no answer .ConnectionError.*network"):
        materials_project_entries(["Li", "O"])
