"""Which app `harden init` takes: of one, of several, of start commands, and of files that would never end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.init.target import find_target

from .samples import APP, FACTORY, repository_of

ROOT = Path(__file__).resolve().parents[3]
RUNS = "if __name__ == '__main__':\n    app.run(debug=True)\n"


@pytest.mark.parametrize(("files", "target"), [
    ({"app.py": APP}, "app:app"),
    ({"server.py": APP.replace("app =", "application =")}, "server:application"),
    ({"app.py": "import flask\nweb = flask.Flask(__name__)\n"}, "app:web"),
    ({"app.py": "from flask import Flask\napp: Flask = Flask(__name__)\n"}, "app:app"),
    ({"app.py": "from flask import Flask\nif True:\n    app = Flask(__name__)\n"}, "app:app"),
    ({"shop/__init__.py": FACTORY}, "shop:create_app()"),
    ({"shop/__init__.py": FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()\n"}, "wsgi:app"),
    ({"shop/__init__.py": FACTORY, "run.py": f"from shop import create_app\napp = create_app()\n{RUNS}"},
     "run:app"),
    ({"shop/__init__.py": APP, "run.py": f"from shop import app\n{RUNS}"}, "run:app"),
    ({"shop/__init__.py": APP, "wsgi.py": "from shop import app as application\n"}, "wsgi:application"),
    ({"shop/__init__.py": APP, "other.py": "from shop import app\n"}, "shop:app"),
    ({"src/app.py": APP}, "src/app.py:app"),
    ({"src/web/__init__.py": "", "src/web/app.py": "from . import x\n" + APP}, "src/web/app.py:app"),
    ({"my-app/main.py": APP}, "my-app/main.py:app"),
    ({"main.py": APP, "tools/report.py": APP}, "main:app"),
    ({"shop/web/__init__.py": APP, "scripts/try.py": f"{APP}{RUNS}"}, "shop/web/__init__.py:app"),
    ({"main.py": f"{APP}{RUNS}", "other.py": APP}, "main:app"),
    ({"web.py": APP, "Procfile": "web: gunicorn web:app --workers 3\n", "app.py": APP}, "web:app"),
    ({"web.py": FACTORY, "Procfile": "web: gunicorn 'web:create_app()'\n", "app.py": APP}, "web:create_app()"),
    ({"api/web.py": APP, "api/Dockerfile": 'CMD ["gunicorn", "-b", "0.0.0.0:80", "web:app"]\n', "app.py": APP},
     "api/web.py:app"),
    ({"web.py": APP, "docker-compose.yml": "    command: gunicorn -w 4 -b 0.0.0.0:5000 web:app\n", "app.py": APP},
     "web:app"),
    ({"app.py": APP, "Procfile": "web: gunicorn gone:app\n"}, "app:app"),
    ({"shop/__init__.py": FACTORY,
      "serve.py": "from shop import create_app\napp = create_app()\nWSGIServer(('', 80), app).serve_forever()\n"},
     "shop:create_app()"),
    ({"app.py": APP, "tests/app.py": APP, "venv/lib/app.py": APP, "node_modules/app.py": APP}, "app:app"),
    ({"app.py": APP, "env/pyvenv.cfg": "", "mine/pyvenv.cfg": "", "mine/wsgi.py": APP}, "app:app"),
])  # fmt: skip
def test_the_app_that_is_served(tmp_path: Path, files: dict[str, str], target: str) -> None:
    assert find_target(repository_of(tmp_path, files))[0].value == target


@pytest.mark.parametrize("files", [
    {}, {"app.py": "print('no app')\n"}, {"app.py": "def ("}, {"tests/app.py": APP},
    {"app.py": FACTORY.replace("config=None", "config")},
    {"app.py": "from flask import Flask\ndef main():\n    app = Flask(__name__)\n    app.run()\n"},
    {"db.py": "from flask import Flask\ndef get_db():\n    app = Flask(__name__)\n    return SQLAlchemy(app)\n"},
])  # fmt: skip
def test_nothing_to_serve_is_to_be_filled_in(tmp_path: Path, files: dict[str, str]) -> None:
    found, candidate = find_target(repository_of(tmp_path, files))
    assert candidate is None
    assert "no Flask(...) was found" in found.change


@pytest.mark.parametrize("files", [
    {"shop/__init__.py": FACTORY}, {"src/app.py": "import helper\n" + APP, "src/helper.py": ""},
    {"src/web/__init__.py": "", "src/web/x.py": "", "src/web/app.py": "from . import x\n" + APP},
])  # fmt: skip
def test_the_runtime_and_flask_itself_load_what_was_found(tmp_path: Path, files: dict[str, str]) -> None:
    target = find_target(repository_of(tmp_path, files))[0].value
    code = "import sys; from backend.app_loader import load_app; print(load_app(sys.argv[1]))"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    for command in (["-c", code, target], ["-m", "flask", "--app", target, "routes"]):
        whole = [sys.executable, *command]
        done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, env=environ)
        assert done.returncode == 0, done.stderr


def test_where_it_was_found_and_what_else_there_is_are_told(tmp_path: Path) -> None:
    repository = repository_of(tmp_path, {"main.py": f"{APP}{RUNS}", "shop/admin.py": f"# x\n{APP}"})
    found, _ = find_target(repository)
    assert (found.value, found.where) == ("main:app", "found in main.py:2")
    assert found.others == (("shop/admin.py:app", "found in shop/admin.py:3"),)


def test_a_package_that_reaches_above_the_repository_is_named_by_its_file(tmp_path: Path) -> None:
    files = {"__init__.py": "", "api/__init__.py": "", "api/views.py": f"from . import x\n{APP}"}
    assert find_target(repository_of(tmp_path / "repo", files))[0].value == "api/views.py:app"


def test_files_that_do_not_parse_are_kept_to_be_told(tmp_path: Path) -> None:
    repository = repository_of(tmp_path, {"app.py": APP, "old.py": "x = 1\nprint 'x'\n", "nul.py": "x = '\0'\n"})
    assert find_target(repository)[0].value == "app:app"
    assert sorted(repository.unparsable) == ["nul.py:1", "old.py:2"]
