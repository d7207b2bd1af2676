"""The runtime's name: its folder's, unless the app has a package of that name itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend import importing
from backend.importing import app_folder, split_target

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("app.py:app", ("app.py", "app")),
        ("app.py", ("app.py", "")),
        ("a.b : create_app('x:y') ", ("a.b", "create_app('x:y')")),
        (":app", ("", "app")),
        ("", ("", "")),
    ],
)
def test_a_target_is_a_place_and_a_name(target: str, parts: tuple[str, str]) -> None:
    assert split_target(target) == parts


def test_imports_of_a_module_start_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app_folder("package.module:app") == app_folder("module") == tmp_path


def test_imports_of_a_file_start_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "app.py").touch()
    assert app_folder(f"{tmp_path / 'app.py'}:app") == tmp_path


@pytest.mark.parametrize("rival", ["backend/__init__.py", "backend.py", "backend/orders.py"])
def test_an_apps_own_package_of_the_name_is_a_rival(tmp_path: Path, rival: str) -> None:
    (tmp_path / rival).parent.mkdir(exist_ok=True)
    (tmp_path / rival).touch()
    assert importing._is_taken(tmp_path)


def test_the_runtimes_own_folder_is_no_rival_of_itself(tmp_path: Path) -> None:
    assert not importing._is_taken(ROOT)
    assert not importing._is_taken(tmp_path)


def test_a_runtime_that_is_imported_already_is_that_one() -> None:
    assert importing.import_runtime() is sys.modules["backend"]
    assert importing.import_runtime(str(ROOT)) is sys.modules["backend"]


def run_wsgi(folder: Path, target: str, question: str, url: str) -> str:
    """Import wsgi.py as Gunicorn does and return what the app answers."""
    code = f"import wsgi; print(wsgi.application.test_client().get({question!r}).text)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True, text=True, cwd=folder,
        env={"HARDEN_APP": target, "DATABASE_URL": url, "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


APP = """
from flask import Flask
from backend.orders import NAME
import psycopg2, os
app = Flask(__name__)
@app.get("/")
def view():
    conn = psycopg2.connect(os.environ["DATABASE_URL"])
    return f"{NAME} {type(conn).__module__} {app.import_name}"
"""


@pytest.mark.parametrize("file", ["app.py", "wsgi.py"])
def test_an_app_with_its_own_backend_package_and_its_own_wsgi_is_served(
    tmp_path: Path, file: str, url: str
) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "__init__.py").touch()
    (tmp_path / "backend" / "orders.py").write_text("NAME = 'mine'\n")
    (tmp_path / file).write_text(APP)
    answer = run_wsgi(tmp_path, f"{tmp_path / file}:app", "/", url)
    assert answer.startswith("mine harden_runtime.connection ")


def test_an_app_without_one_gets_the_runtime_under_its_own_name(tmp_path: Path, url: str) -> None:
    source = APP.replace("from backend.orders import NAME", "from backend import ThreadedConnectionPool as NAME")
    (tmp_path / "app.py").write_text(source.replace("{NAME}", "{NAME.__name__}"))
    answer = run_wsgi(tmp_path, "app:app", "/", url)
    assert answer == "ThreadedConnectionPool backend.connection app"


def test_a_vendored_copy_of_the_kit_in_the_app_and_ours_leave_each_other_alone(tmp_path: Path, url: str) -> None:
    """`harden up` on an app that has adopted the kit: two copies in one process."""
    shutil.copytree(ROOT / "backend", tmp_path / "backend", ignore=shutil.ignore_patterns("shop", "__pycache__"))
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom backend import Hardening, get_db_connection, get_pool\n"
        "app = Flask(__name__)\nHardening(app)\n@app.get('/')\ndef view():\n"
        "    with get_db_connection() as conn:\n        conn.cursor().execute('SELECT 1')\n"
        "        return f\"{type(conn).__module__} {get_pool().stats()['opened']}\"\n"
    )
    assert run_wsgi(tmp_path, f"{tmp_path / 'app.py'}:app", "/", url) == "backend.connection 1"
    assert '"pools"' in run_wsgi(tmp_path, f"{tmp_path / 'app.py'}:app", "/health/database/pool", url)
