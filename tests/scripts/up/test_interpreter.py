"""Which Python runs the app, and what is said when that cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.up import interpreter
from scripts.up.interpreter import choose, kit_path

from .conftest import Fails, MakeApp


def _program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _venv(folder: Path) -> Path:
    return _program(folder / "bin" / "python", f'exec {sys.executable} "$@"')


def _choose(folder: Path, named: str | None = None, requirements: Path | None = None) -> str:
    return choose(named, requirements, folder, lambda _: None)


@pytest.fixture(autouse=True)
def _no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def test_without_an_environment_it_is_the_kits_own(tmp_path: Path) -> None:
    assert _choose(tmp_path) == sys.executable
    assert kit_path(sys.executable) == ""


@pytest.mark.parametrize(("name", "folder"), [(".venv", "."), ("venv", "src"), ("env", "src/shop")])
def test_the_apps_own_environment_is_found_beside_it_or_above(tmp_path: Path, name: str, folder: str) -> None:
    python = _venv(tmp_path / name)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert _choose(tmp_path / folder) == str(python)
    assert "site-packages" in kit_path(str(python))


def test_the_search_ends_at_the_top_of_the_repository(tmp_path: Path) -> None:
    _venv(tmp_path / "venv")
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    assert _choose(tmp_path / "repository") == sys.executable


def test_the_active_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _venv(tmp_path / ".venv")
    active = _venv(tmp_path / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert _choose(tmp_path) == str(active)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "gone"))
    assert _choose(tmp_path) == str(tmp_path / ".venv" / "bin" / "python")


def test_an_environment_that_somebody_else_put_above_the_app_is_not_run(tmp_path: Path) -> None:
    """In /tmp anybody can make a folder `venv`, and root may try an app there."""
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's folder")
    _venv(tmp_path / "venv")
    os.chown(tmp_path / "venv", 65534, 65534)
    (tmp_path / "app").mkdir()
    assert _choose(tmp_path / "app") == sys.executable
    os.chown(tmp_path / "app", 65534, 65534)  # the app's owner may
    assert _choose(tmp_path / "app") == str(tmp_path / "venv" / "bin" / "python")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo 3.12; echo flask psycopg2", "has no flask and no psycopg2; install the app's requirements there"),
        ("echo 3.12; echo flask", "has no flask; install the app's requirements there, or give --requirements"),
        ("echo 3.8", "is Python 3.8; the kit needs 3.10 or newer: give --python another one"),
        ("echo 2.7; echo 'ImportError: No module named util' >&2; exit 1", "is Python 2.7; the kit needs 3.10"),
        ("exit 0", "does not run: it is no Python; give --python another one"),
        ("echo hello", "does not run: it is no Python"),
        ("echo broken library >&2; exit 127", "does not run: broken library; give"),
        ("echo 3.12; echo it crashed >&2; exit 1", "does not run: it crashed; give"),
        ("printf '\\377\\376'", "does not run: it is no Python"),
    ],
)
def test_an_interpreter_that_cannot_run_the_app_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    python = _program(tmp_path / "python", text)
    with pytest.raises(CommandError) as caught:
        _choose(tmp_path, str(python))
    assert caught.value.line().startswith(f"{python} ")
    assert reason in caught.value.line()


@pytest.mark.parametrize(
    ("named", "reason"),
    [("/nowhere/python", "No such file"), ("/", "Permission denied"), ("nosuchpython", "No such file")],
)
def test_an_interpreter_that_is_not_there_is_one_line(tmp_path: Path, named: str, reason: str) -> None:
    with pytest.raises(CommandError, match=rf"^cannot run {named} \({reason}.*\); give --python the path"):
        _choose(tmp_path, named)


def test_an_interpreter_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 60)

    monkeypatch.setattr(interpreter.subprocess, "run", hang)
    with pytest.raises(CommandError, match=r"^cannot run python3 \(no answer within 60 s\)|^cannot run /"):
        _choose(tmp_path, "python3")


def test_a_real_python_without_flask_is_said_before_anything_starts(
    fails: Fails, make_app: MakeApp, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    line = fails(f"{make_app()}:app", "--python", python)
    assert line.startswith(f"{python} has no flask and no psycopg2; install the app's requirements there")


def test_requirements_that_do_not_exist_are_one_line(fails: Fails, make_app: MakeApp) -> None:
    line = fails(f"{make_app()}:app", "--requirements", "no/requirements.txt")
    assert line == "cannot read no/requirements.txt (No such file or directory); check --requirements"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "harden"


def test_requirements_that_cannot_be_installed_are_one_line_and_tried_again(
    fails: Fails, make_app: MakeApp, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an index: pip looks at the file alone. The environment is a stand-in, which is made at once."""
    real = interpreter._run_or_explain

    def run(command: list[str], what: str) -> None:
        if command[2] == "venv":
            _venv(Path(command[3]))
        else:
            real(command, what)

    monkeypatch.setattr(interpreter, "_run_or_explain", run)
    file = tmp_path / "requirements.txt"
    file.write_text("--no-index\nno-such-package-of-mine==1.0\n")
    for _ in range(2):
        line = fails(f"{make_app()}:app", "--requirements", file)
        assert line.startswith(f"pip could not install {file}: ERROR: Could not find a version")
        assert "no-such-package-of-mine==1.0" in line
    assert not list(cache.glob("venv-*/complete"))


def test_a_cache_that_cannot_be_written_is_one_line(
    fails: Fails, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("flask\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    line = fails(f"{make_app()}:app", "--requirements", file)
    assert line == f"cannot write to {file}/harden (Not a directory); set XDG_CACHE_HOME to a folder of yours"


def test_an_environment_for_requirements_is_made_once_and_by_one_at_a_time(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("flask\npsycopg2-binary\n")
    busy, most, ran = threading.Semaphore(1), [], []

    def slow(command: list[str], what: str) -> None:
        assert busy.acquire(blocking=False), "two at once"
        ran.append(command[2])
        if command[2] == "venv":
            _venv(Path(command[3]))
        most.append(threading.active_count())
        busy.release()

    monkeypatch.setattr(interpreter, "_run_or_explain", slow)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(_choose(tmp_path, None, file))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ran == ["venv", "pip"]
    assert len(set(found)) == 1 and len(found) == 4
    assert Path(found[0]).is_relative_to(cache)
    file.write_text("flask>=3\npsycopg2-binary\n")
    assert _choose(tmp_path, None, file) != found[0]


def test_an_environment_that_was_interrupted_is_made_anew(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("flask\n")
    made: list[Path] = []

    def interrupted(command: list[str], what: str) -> None:
        if command[2] == "venv":
            made.append(Path(command[3]))
            _venv(made[-1])
            (made[-1] / "half").touch()
        elif len(made) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(interpreter, "_run_or_explain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _choose(tmp_path, None, file)
    (made[0] / "quarter").touch()
    _choose(tmp_path, None, file)
    assert made[0] == made[1]
    assert not (made[0] / "quarter").exists()
