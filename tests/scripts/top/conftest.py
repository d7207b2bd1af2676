"""What the tests of `top` share: a service behind Gunicorn, a server that says what a test wants, samples."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from scripts.stack.postgres import Cluster
from scripts.stack.web import Web
from scripts.top.service import Service
from tests.support.client import HttpClient
from tests.support.threads import until

TOKEN = "open-sesame"
APP = '''
from flask import Flask, abort
from backend import get_db_connection

app = Flask(__name__)

@app.get("/loop")
def loop():
    with get_db_connection() as conn, conn.cursor() as cursor:
        for number in range(12):
            cursor.execute("SELECT relname FROM pg_class WHERE oid = %s", (number,))
            cursor.fetchone()
    return "done"

@app.get("/wrong")
def wrong():
    abort(500)
'''


@pytest.fixture(scope="module")
def service(cluster: Cluster, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Two workers with a token, of an app that has looped and failed."""
    app = tmp_path_factory.mktemp("app") / "looping.py"
    app.write_text(APP)
    with Stack() as stack:
        settings = {
            "DATABASE_URL": cluster.url(database, "app"), "WORKERS": "2", "THREADS": "2",
            "HARDEN_APP": f"{app}:app", "HARDEN_OPS_TOKEN": TOKEN,
        }  # fmt: skip
        web = stack.gunicorn(settings)
        web.wait_until_ready()
        client = HttpClient(web.url)
        for _ in range(5):
            client.request("GET", "/loop")
        client.request("GET", "/wrong")
        client.close()
        asking = Service(web.url, TOKEN)
        until(lambda: _is_complete(asking.ask()), "both workers have told what they saw", 30)
        yield web


def _is_complete(data: dict[str, Any]) -> bool:
    # A worker knows what the other one wrote down a second ago; whichever is asked, that is long past then.
    is_settled = all(worker["uptime"] > 2.5 for worker in data["workers"])
    has_all = data["service"]["requests"] >= 6 and bool(data["incidents"])
    return len(data["workers"]) == 2 and is_settled and has_all


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server that answers everything alike: `serve(status, body, headers)`; returns its URL."""
    running: list[HTTPServer] = []

    def start(status: int = 200, body: Any = b"", headers: dict[str, str] | None = None) -> str:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        server.seen = start.seen  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    start.seen, start.running = [], running  # type: ignore[attr-defined]
    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def sample() -> dict[str, Any]:
    """The example of docs/ops.md."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "ops.md").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(page.partition("```json\n")[2].partition("```")[0])
    return found
