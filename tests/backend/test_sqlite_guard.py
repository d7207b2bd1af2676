"""SQLite files in production: told once with the line, or refused; nobody else's databases are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from backend import SettingsError, adopt, sqlite_guard
from backend.errors import SQLiteRefused
from backend.settings import load

LIBRARY = "import sqlite3\n\n\ndef remember(path):\n    sqlite3.connect(path).close()\n"


@pytest.fixture(autouse=True)
def _allowed_afterwards() -> Iterator[None]:
    yield
    sqlite_guard.stop()


def _start(mode: str | None = None, **environ: str) -> None:
    sqlite_guard.start(load(environ={**({"HARDEN_SQLITE": mode} if mode else {}), **environ}))


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == sqlite_guard.__name__]


def test_a_file_is_told_once_with_the_apps_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _start()
    for _ in range(3):
        sqlite3.connect(tmp_path / "shop.db").close()
    (said,) = _said(caplog)
    assert said.startswith(f"SQLite file {tmp_path}/shop.db opened at {__file__}:")
    assert "scripts/harden sqlite-to-postgres" in said


@pytest.mark.parametrize("name", [":memory:", "", "file:x?mode=memory&cache=shared"])
def test_databases_in_memory_are_nobodys_concern(name: str, caplog: pytest.LogCaptureFixture) -> None:
    _start("refuse")
    sqlite3.connect(name, uri=name.startswith("file:")).close()
    assert _said(caplog) == []


def test_outside_of_production_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _start(HARDEN_ENV="development")
    sqlite3.connect(tmp_path / "shop.db").close()
    assert _said(caplog) == []


def test_refuse_raises_what_code_for_sqlite_catches(tmp_path: Path) -> None:
    _start("refuse")
    with pytest.raises(sqlite3.OperationalError, match="HARDEN_SQLITE=refuse") as caught:
        sqlite3.connect(str(tmp_path / "shop.db"))
    assert isinstance(caught.value, SQLiteRefused)
    assert not (tmp_path / "shop.db").exists()


def test_a_librarys_own_cache_is_neither_told_nor_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "keeps_a_cache.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder))
    import keeps_a_cache  # type: ignore[import-not-found]

    _start("refuse")
    keeps_a_cache.remember(str(tmp_path / "cache.db"))
    assert _said(caplog) == []


def test_sqlalchemy_opens_what_the_app_names(tmp_path: Path) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    _start("refuse")
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="HARDEN_SQLITE=refuse"):
        engine.connect()
    engine.dispose()


def test_an_apps_configuration_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    adopt(app)
    assert "app.config['SQLALCHEMY_DATABASE_URI'] names a SQLite file" in _said(caplog)[0]


def test_a_configuration_is_refused_at_start() -> None:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    with pytest.raises(SettingsError, match="names a SQLite file"):
        adopt(app, HARDEN_SQLITE="refuse")


def test_sqlite3_is_not_imported_for_it(tmp_path: Path) -> None:
    """An app without SQLite does not pay for the question, nor does a Python that has no SQLite."""
    code = (
        "import sys\nfrom backend import sqlite_guard\nfrom backend.settings import load\n"
        "sqlite_guard.start(load(environ={}))\nassert 'sqlite3' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


def test_the_hook_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[object] = []
    monkeypatch.setattr(sqlite_guard, "_is_hooked", False)
    monkeypatch.setattr(sys, "addaudithook", hooks.append)
    for _ in range(3):
        _start("warn")
    assert len(hooks) == 1
