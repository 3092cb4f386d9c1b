"""The live view: what it shows of a run, whom it answers, and that it ends with the run."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parent))

from browser import chromium, watched

from ionscape.cli.main import main
from ionscape.dynamics.recording import RecordedFrame, Recorder, RunHeader
from ionscape.errors import InputError
from ionscape.report.live_server import live_view
from ionscape.report.live_state import live_state
from ionscape.structures.exchange import to_structure, write_cif
from ionscape.study.told import TOLD, read_told, write_told

KEYS = ("ab" * 32, "cd" * 32, "ef" * 32)
LOG = """step     0  E      -846.180801 eV  fmax   3.82614 eV/A  smax  0.01
step     1  E      -846.9 eV  fmax   2.1 eV/A
"""


def trajectory(path: Path, frames: int) -> None:
    header = RunHeader(("Li", "O"), np.array([6.94, 16.0]), 20.0, 1000.0, "nvt", {"name": "toy"}, 1)
    with Recorder.create(path, header, np.zeros((2, 3))) as recorder:
        for k in range(1, frames + 1):
            recorder.append(RecordedFrame(np.zeros((2, 3)), np.eye(3) * 9, -4.0 - k, 900.0 + k, 0.0))


@pytest.fixture
def running(tmp_path) -> Path:
    """Return the folder of a study that this process seems to run: a relaxation, dynamics, and one that waits."""
    stages = {
        "host": {"state": "done", "seconds": 3.0, "reason": ""},
        "doping": {"state": "pending", "reason": ""},
    }
    (tmp_path / "run.json").write_text(json.dumps({"store": "store", "stages": stages}))
    relaxed, moved = (tmp_path / "store" / "working" / key for key in KEYS[:2])
    relaxed.mkdir(parents=True)
    moved.mkdir()
    (relaxed / "relaxation.log").write_text(LOG)
    trajectory(moved / "production.trajectory", 600)
    calculations = {
        key: {"name": f"dynamics <script>{k}</script>", "atoms": 120, "steps": 5, "planned_steps": 10 * k}
        for k, key in enumerate(KEYS)
    }
    told = {
        "pid": os.getpid(),
        "stage": "doping",
        "seconds": 12.0,
        "seconds_left": None,
        "finished": 2,
        "count": 5,
    }
    write_told(tmp_path / TOLD, told | {"running": calculations})
    return tmp_path


def answer(address: str, path: str = "", method: str = "GET", host: str = "") -> tuple[int, bytes, dict[str, str]]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(method, parts.path + path, headers={"Host": host or parts.netloc})
    response = connection.getresponse()
    found = response.status, response.read(), dict(response.headers)
    connection.close()
    return found


def test_state_tells_stages_calculations_and_their_curves(running):
    state = live_state(running)
    assert [(one["name"], one["state"]) for one in state["stages"]] == [("host", "done"), ("doping", "running")]
    assert (state["runs"], state["finished"], state["count"], state["waiting"]) == (True, 2, 5, 1)
    relaxed, moved = (one["curves"] for one in state["running"])
    assert relaxed[0] | {"label": ""} == {
        "name": "energy", "unit": "eV", "label": "", "x": [0.0, 1.0], "y": [-846.180801, -846.9]
    }  # fmt: skip
    assert moved[0]["y"][-1] == pytest.approx(-604.0 / 2)
    assert moved[1]["x"][-1] == pytest.approx(600 * 0.02)
    assert moved[1]["y"][-1] == pytest.approx(1500.0)
    assert 200 <= len(moved[1]["x"]) <= 240


def test_it_answers_who_knows_the_token_under_its_own_name_and_nobody_else(running):
    with live_view(running) as view:
        assert urlsplit(view.address).hostname == "127.0.0.1"
        status, body, headers = answer(view.address, "state")
        assert (status, json.loads(body)["stage"]) == (200, "doping")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        token = urlsplit(view.address).path.strip("/")
        assert len(token) >= 32
        base = view.address.removesuffix(f"{token}/")
        for path in ("", "state", "wrong/state", f"{token[:-1]}/state", f"{token}x/state"):
            assert answer(base, path)[0] == 403
        assert answer(view.address, "../run.json")[0] == 403
        assert answer(view.address, "state", host="elsewhere.example")[0] == 403
        assert answer(view.address, "state", method="POST")[0] == 501
    with pytest.raises(ConnectionError):
        answer(view.address, "state")


def test_two_views_have_different_tokens(running):
    with live_view(running) as one, live_view(running) as other:
        assert urlsplit(one.address).path != urlsplit(other.address).path


def test_a_taken_port_is_refused(running):
    with (
        live_view(running) as view,
        pytest.raises(InputError, match="cannot be used"),
        live_view(running, urlsplit(view.address).port),
    ):
        pass


def test_a_run_whose_process_has_died_does_not_run(running):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    told = json.loads((running / TOLD).read_text())
    write_told(running / TOLD, told | {"pid": gone.pid})
    assert read_told(running) is None
    assert live_state(running)["runs"] is False


def test_the_live_page_follows_the_run_and_says_when_it_has_ended(running):
    with chromium() as browser, live_view(running) as view:
        with watched(browser, allowed=(view.address,)) as seen:
            page = seen.page
            page.goto(view.address)
            page.wait_for_selector(".calculation .curves .main-svg", state="attached")
            assert "2 of 5 calculations" in page.inner_text("#summary")
            assert "<script>" in page.inner_text(".calculation h3")
            assert page.locator(".stages li[data-state='running']").inner_text().startswith("doping")
            (running / TOLD).unlink()
            page.wait_for_function("() => document.getElementById('summary').textContent.includes('ended')")
            seen.clean()
        with watched(browser, allowed=("http://127.0.0.1",)) as seen:
            refused = seen.page.goto(view.address.rsplit("/", 2)[0] + "/wrong/")
            assert refused.status == 403


STUDY = """
[study]
name = "watched"

[host]
structure = "host.cif"

[levels.cheap]
name = "ase.calculators.lj:LennardJones"

[relaxation]
move = "positions"
max_steps = 5
"""


def test_a_watched_run_tells_its_address_and_the_view_ends_with_it(tmp_path, capfd):
    write_cif(to_structure(bulk("LiF", "rocksalt", 4.0, cubic=True)), tmp_path / "host.cif")
    (tmp_path / "s.toml").write_text(STUDY)
    out = tmp_path / "out"
    options = ["--out", str(out), "--engine", "process", "--stages", "host", "--watch"]
    assert main(["run", str(tmp_path / "s.toml"), *options]) == 0
    address = re.search(r"live view: (http://127\.0\.0\.1:\d+/\S+/)", capfd.readouterr().err)[1]
    assert read_told(out) is None
    with pytest.raises(ConnectionError):
        answer(address, "state")
    assert main(["watch", str(out)]) == 2
    assert "no run is going on" in capfd.readouterr().err
