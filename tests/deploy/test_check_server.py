"""Gunicorn itself looks at its configuration, with the unit's arguments and the environment of app.env."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.checks.subject import Subject

from .check_samples import PASSWORD, SECRETS, asked, changed, scratch, subject, text_of
from .unit_samples import one_host

KIT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


def test_gunicorn_takes_what_is_rendered(folder: Path) -> None:
    found = asked("gunicorn", subject(folder, one_host(), "app"))
    assert (found.state, text_of(found)) == ("ok", "")
    assert "with a stand-in for the app" in found.text


@pytest.mark.parametrize(("file", "old", "new", "said"), [
    ("/shop/app.env", "WORKERS=2", "WORKERS=many", "WORKERS"),
    ("/shop@.service", "--timeout 30", "--timeout soon", "--timeout"),
    ("/shop@.service", "--max-requests ", "--max-request-s ", "--max-request-s"),
    ("/shop@.service", "wsgi:application", "wsgi:no_such", "no_such"),
])  # fmt: skip
def test_what_gunicorn_refuses_is_a_finding(file: str, old: str, new: str, said: str, folder: Path) -> None:
    service = changed(subject(folder, one_host(), "app"), file, lambda text: text.replace(old, new))
    found = asked("gunicorn", service)
    assert found.state == "finding"
    assert said in text_of(found)


def _release(folder: Path, app: str, version: str = "") -> Path:
    """Make a host with a release; its Gunicorn is ours, or one that only knows its version."""
    root = folder / "host"
    release = root / "opt/shop/releases/20260101T000000Z-01234567"
    for part in ("app", "venv/bin"):
        (release / part).mkdir(parents=True)
    (release / "app/app.py").write_text(app)
    (release / "kit").symlink_to(KIT)
    gunicorn = release / "venv/bin/gunicorn"
    said = f"echo 'gunicorn (version {version})'" if version else f'exec {sys.executable} -m gunicorn "$@"'
    gunicorn.write_text(f"#!/bin/sh\n{said}\n")
    gunicorn.chmod(0o755)
    (root / "opt/shop/current").symlink_to("releases/20260101T000000Z-01234567")
    return root


def _ours(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """Look as ourselves: nobody else may read this kit's own environment here."""
    monkeypatch.setattr("deploy.checks.server.account", lambda *_: "")
    return subject(folder, one_host(), "app", root=root)


def test_on_a_host_the_release_itself_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _release(folder, "from flask import Flask\napp = Flask(__name__)\n")
    found = asked("gunicorn", _ours(folder, root, monkeypatch))
    assert (found.state, text_of(found)) == ("ok", "")
    assert "release 20260101T000000Z-01234567" in found.text


def test_a_release_that_cannot_be_loaded_is_a_finding_without_the_secrets_that_it_tells(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _release(folder, "import os\nraise RuntimeError(os.environ['SECRET_KEY'])\n")
    found = asked("gunicorn", _ours(folder, root, monkeypatch))
    assert found.state == "finding"
    assert SECRETS["SECRET_KEY"] not in text_of(found)
    assert PASSWORD not in text_of(found)


def test_a_gunicorn_that_loses_requests_is_a_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _release(folder, "", version="23.0.0")
    found = asked("gunicorn", _ours(folder, root, monkeypatch))
    assert "Gunicorn 23 loses requests on kept connections" in text_of(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone runs it as somebody else")
def test_a_release_is_not_loaded_as_root(folder: Path) -> None:
    root = _release(folder, "", version="27.0.0")
    program = root / "opt/shop/current/venv/bin/gunicorn"
    program.write_text(f"{program.read_text()}id -u > {folder}/gunicorn/who\n")
    asked("gunicorn", subject(folder, one_host(), "app", root=root))
    assert int((folder / "gunicorn/who").read_text()) != 0


def test_where_no_app_runs_it_is_skipped(folder: Path) -> None:
    assert asked("gunicorn", subject(folder, one_host(), "database")).state == "skipped"


def test_without_gunicorn_it_is_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    service = replace(subject(folder, one_host(), "app"), root=folder)
    assert "Python has no gunicorn" in asked("gunicorn", service).text
