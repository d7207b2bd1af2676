"""Web servers: where they listen, whose Gunicorn runs, what the app's interpreter lends and borrows."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.stack import Stack, web
from scripts.stack.web import GUNICORN_RUNNER, open_listener

from .running import get
from .test_stack import HELLO


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no.such.host.invalid", "known|resolution"),
        ("ü" * 70, "it is no host name"),
        ("::2", "Cannot assign requested address"),
    ],
    ids=["not ours", "unknown", "no name", "not ours either"],
)
def test_an_address_that_is_not_ours_is_one_line(host: str, reason: str) -> None:
    with pytest.raises(CommandError, match=rf"^cannot listen on {host}:0 \(.*({reason})") as caught:
        open_listener(host, 0)
    assert "\n" not in caught.value.line()


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=rf"127.0.0.1:{port} \(Address already in use\); give another"):
            open_listener("127.0.0.1", port)


def test_a_listener_that_is_handed_over_is_closed_here(state: Path) -> None:
    """Else a server that dies would leave its clients waiting in a queue that nobody empties."""
    with Stack() as stack, open_listener("127.0.0.1", 0) as listener:
        environ = {"HARDEN_APP": "nowhere.py:app"}
        server = stack.gunicorn(environ, listener=listener)
        assert listener.fileno() == -1
        with pytest.raises(CommandError, match=r"nowhere\.py"):
            server.wait_until_ready()


def test_flasks_server_gets_another_port_when_its_own_was_taken(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(HELLO)
    choose, chosen = web.free_port, []
    with socket.create_server(("127.0.0.1", 0)) as thief, Stack() as stack:

        def stolen_once() -> int:
            chosen.append(choose() if chosen else thief.getsockname()[1])
            return int(chosen[-1])

        monkeypatch.setattr(web, "free_port", stolen_once)
        monkeypatch.setattr(web.Web, "_answers", _refusing(thief, web.Web._answers))
        server = stack.flask(tmp_path / "app.py", {}, "flask", "/")
        assert server.port == chosen[1] != chosen[0]
        assert get(server.url) == "hello"


def _refusing(thief: socket.socket, answers: object) -> object:
    """Skip asking the thief, which would take as long as a client waits."""

    def skip(server: web.Web) -> bool:
        return server.port != thief.getsockname()[1] and answers(server)  # type: ignore[operator]

    return skip


@pytest.fixture
def apps_packages(tmp_path: Path) -> Path:
    """The packages of an app that pins a Gunicorn that cannot run, and has a `packaging` of its own."""
    (tmp_path / "gunicorn").mkdir()
    (tmp_path / "gunicorn" / "__init__.py").write_text("raise ImportError('the old one')")
    (tmp_path / "packaging.py").write_text("MINE = True")
    return tmp_path


def test_gunicorn_is_always_the_kits(apps_packages: Path) -> None:
    """gunicorn 20.1 as many apps pin it cannot even be imported by Python 3.12."""
    done = _run_gunicorn(apps_packages, "--version")
    assert (done.returncode, done.stdout[:18]) == (0, "gunicorn (version "), done.stderr


def test_every_other_package_of_the_app_wins_over_the_kits(apps_packages: Path) -> None:
    config = "import packaging\nprint('mine:', packaging.MINE)\nraise SystemExit(0)"
    (apps_packages / "config.py").write_text(config)
    done = _run_gunicorn(apps_packages, "--config", str(apps_packages / "config.py"), "wsgi:application")
    assert done.stdout == "mine: True\n", done.stderr


def _run_gunicorn(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kit = os.pathsep.join(entry for entry in sys.path if entry.endswith("site-packages"))
    return subprocess.run(
        [sys.executable, str(GUNICORN_RUNNER), *arguments],
        capture_output=True, text=True, cwd=packages, timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "_HARDEN_KIT_PATH": kit},
    )  # fmt: skip
