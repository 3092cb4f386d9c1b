"""The live view: a page on this machine that follows a running study, for whoever knows its address.

The server listens on the loopback interface only. Every address begins with a random token; it answers nothing
else, nothing under another host name (a page elsewhere cannot reach it by rebinding a name), and no method but
GET. It serves three fixed texts and the state; no path leads to a file.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

from ionscape.errors import InputError
from ionscape.report.live_state import live_state
from ionscape.report.scripting import library
from ionscape.report.templating import templates

LOOPBACK = "127.0.0.1"
#: What browsers are told about every answer.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class LiveView:
    """A live view that is being served, and its address."""

    address: str


@contextmanager
def live_view(folder: Path, port: int = 0) -> Iterator[LiveView]:
    """Serve the live view of the study in `folder` while the context lasts.

    Parameters
    ----------
    folder
        Folder of the study.
    port
        Port on the loopback interface; 0: any that is free.

    Raises
    ------
    InputError
        If the port cannot be used.
    """
    token = secrets.token_urlsafe(24)
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), _handler(folder, token))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} cannot be used ({error})",
            where="live view",
            expected="a free port of this machine",
            remedy="Choose another, or 0 for any that is free.",
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    try:
        yield LiveView(f"http://{LOOPBACK}:{server.server_port}/{token}/")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(folder: Path, token: str) -> type[BaseHTTPRequestHandler]:
    answers: dict[str, tuple[str, Callable[[], str]]] = {
        "": ("text/html", lambda: templates().get_template("live.html").render(name=folder.name)),
        "live.js": (
            "text/javascript",
            lambda: files("ionscape.report").joinpath("scripts", "live.js").read_text("utf-8"),
        ),
        "plotly.js": ("text/javascript", lambda: str(library("plotly"))),
        "state": ("application/json", lambda: json.dumps(live_state(folder), allow_nan=False)),
    }

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "ionscape", ""
        timeout = 20

        def do_GET(self) -> None:
            asked = self._asked()
            answer = None if asked is None else answers.get(asked)
            if answer is None:
                self._send(HTTPStatus.FORBIDDEN, "text/plain", "This address is not known here.\n")
            else:
                self._send(HTTPStatus.OK, answer[0], answer[1]())

        def _asked(self) -> str | None:
            """Return what is asked for under the right host and token; None otherwise."""
            _, port = self.request.getsockname()
            host = self.headers.get("Host", "") in {f"{LOOPBACK}:{port}", f"localhost:{port}"}
            given, _, rest = self.path.removeprefix("/").partition("?")[0].partition("/")
            known = secrets.compare_digest(given.encode(), token.encode())
            return rest if host and known else None

        def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), **_HEADERS}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            """Say nothing: standard error belongs to the progress of the run."""

    return Handler
