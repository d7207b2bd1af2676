"""What the tests of `up` share: a state folder, apps as people write them, and a start that must fail."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from scripts import cli

from ..stack.running import TELLING, descendants, runs, short_state

Fails = Callable[..., str]
MakeApp = Callable[..., Path]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """HARDEN_STATE for this test."""
    with short_state() as folder:
        for name in [name for name in os.environ if name.startswith(TELLING)]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HARDEN_STATE", str(folder))
        yield folder


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """A function that writes an app's file: `make_app("import os", name="app.py")`; it makes a Flask app first."""

    def make(text: str = "", name: str = "app.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"from flask import Flask\n\napp = Flask(__name__)\n{dedent(text)}")
        return path

    return make


@pytest.fixture
def fails(state: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Fails]:
    """Run `harden up ...` in this process; it must say why in one line, and leave nothing. Returns the line."""
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str | Path) -> str:
        code = _code(["up", *map(str, arguments)])
        stdout, stderr = capfd.readouterr()
        assert code == 2, stderr
        assert stdout == ""
        assert "Traceback" not in stderr
        lines = stderr.splitlines()
        assert [line for line in lines if line.startswith("harden: error: ")] == lines[-1:]
        assert all(line.startswith("harden: ") for line in lines)
        assert not [pid for pid in descendants(os.getpid()) if _belongs_to(pid, state)], "processes are left"
        assert not runs(state), "a run folder is left"
        return lines[-1].removeprefix("harden: error: ")

    yield run
    for name, handler in before.items():
        signal.signal(name, handler)


def _belongs_to(pid: int, state: Path) -> bool:
    place = Path(f"/proc/{pid}")
    try:
        return str(state).encode() in (place / "environ").read_bytes() + os.fsencode((place / "cwd").readlink())
    except OSError:
        return False  # it has just ended


def _code(arguments: list[str]) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return int(error.code or 0)
