"""H401."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.dev_server import RULE

from ..looking import findings, places

APP = """
    from flask import Flask

    app = Flask(__name__)

    if __name__ == "__main__":
        app.run(port=8000)
"""
FACTORY = """
    from flask import Flask

    def create_app():
        return Flask(__name__)
"""


@pytest.mark.parametrize("files, place", [
    pytest.param({}, "app.py:6:5", id="nothing beside it"),
    pytest.param({"requirements.txt": "flask\npsycopg2\n"}, "app.py:6:5", id="requirements without a server"),
    pytest.param({"requirements.txt": "# gunicorn\nflask\n"}, "app.py:6:5", id="a server in a comment"),
    pytest.param({"Procfile": "web: python app.py\n", "requirements.txt": "gunicorn\n"}, "app.py:6:5",
                 id="a Procfile that runs the script, with Gunicorn only installed"),
    pytest.param({"Dockerfile": 'FROM python\nCMD ["python", "/srv/app.py"]\n'}, "app.py:6:5", id="exec form"),
    pytest.param({"Dockerfile": 'FROM python\nENTRYPOINT ["python"]\nCMD ["app.py"]\n'}, "app.py:6:5", id="entry"),
    pytest.param({"Dockerfile": "FROM python\nCMD flask run --host 0.0.0.0\n"}, "app.py:6:5", id="flask run"),
    pytest.param({"docker-compose.dev.yml": "services:\n  web:\n    command: gunicorn app:app\n"}, "app.py:6:5",
                 id="a server only in a developer's file"),
])  # fmt: skip
def test_the_only_start_is_found(tmp_path: Path, files: dict[str, str], place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": APP, **files}) == [place]


@pytest.mark.parametrize("files", [
    pytest.param({"Procfile": "web: gunicorn app:app\n"}, id="Procfile"),
    pytest.param({"Procfile": "web: newrelic-admin run-program gunicorn -w 3 app:app\n"}, id="behind a wrapper"),
    pytest.param({"Dockerfile": 'FROM python\nCMD ["gunicorn", "app:app"]\n'}, id="exec form"),
    pytest.param({"Dockerfile": "FROM python\nCMD exec gunicorn --bind :$PORT app:app\n"}, id="shell form"),
    pytest.param({"Dockerfile": 'FROM python\nCMD ["sh", "-c", "flask init && gunicorn app:app"]\n'}, id="sh"),
    pytest.param({"Dockerfile": "FROM python\nRUN pip install flask gunicorn\n"}, id="installed in the image"),
    pytest.param({"compose.yaml": "a:\n  web:\n    command:\n      - gunicorn\n      - app:app\n"}, id="compose"),
    pytest.param({"requirements.txt": "Flask==3.0\ngunicorn==22.0\n"}, id="requirements"),
    pytest.param({"pyproject.toml": '[project]\ndependencies = ["flask", "waitress>=2"]\n'}, id="pyproject"),
    pytest.param({"Pipfile": '[packages]\nuwsgi = "*"\n'}, id="Pipfile"),
    pytest.param({"shop.service": "[Service]\nExecStart=/srv/venv/bin/gunicorn app:app\n"}, id="unit file"),
    pytest.param({"uwsgi.ini": "[uwsgi]\nmodule = app:app\nprocesses = 4\n"}, id="uwsgi.ini"),
    pytest.param({"supervisord.conf": "[program:web]\ncommand=gunicorn app:app\n"}, id="Supervisor"),
    pytest.param({"gunicorn.conf.py": "workers = 4\n"}, id="Gunicorn's settings"),
    pytest.param({"wsgi.py": "from app import app as application\n"}, id="wsgi.py"),
    pytest.param({"vercel.json": "{}\n"}, id="a platform"),
    pytest.param({"render.yaml": "services:\n  - type: web\n    startCommand: gunicorn app:app\n"}, id="render"),
    pytest.param({"start.sh": "#!/bin/sh\nexec gunicorn app:app\n"}, id="script"),
    pytest.param({"serve.py": "from waitress import serve\nfrom app import app\nserve(app)\n"}, id="code"),
])  # fmt: skip
def test_a_guarded_run_beside_a_server_is_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, {"app.py": APP, **files}) == []


def test_flask_run_without_app_run_is_found_in_the_file_that_starts_it(tmp_path: Path) -> None:
    files = {"shop.py": FACTORY, "Procfile": "release: flask db upgrade\nweb: flask run -p $PORT\n"}
    assert places(RULE, tmp_path, files) == ["Procfile:2:6"]


def test_an_app_of_another_module_or_a_factory_is_known(tmp_path: Path) -> None:
    files = {"shop.py": FACTORY, "run.py": "from shop import create_app\n\ncreate_app().run()\n"}
    assert places(RULE, tmp_path, files) == ["run.py:3:1"]


def test_an_unguarded_run_that_the_server_imports_never_lets_it_start(tmp_path: Path) -> None:
    files = {
        "app.py": "from flask import Flask\napp = Flask(__name__)\napp.run()\n",
        "Procfile": "web: gunicorn app:app\n",
    }
    [finding] = findings(RULE, tmp_path, files)
    assert (finding.place.line, finding.severity) == (3, Severity.critical)
    assert finding.message == "app.run() runs when gunicorn imports app.py: the import never ends"


def test_two_runs_of_a_file_are_one_finding(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": APP + "    app.run()\n"})
    assert [place.line for place in finding.more] == [7]


def test_a_developers_entry_counts_only_when_there_is_no_other(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"app.py": APP, "run_dev.py": "from app import app\napp.run()\n"}) == [
        "app.py:6:5"
    ]


def test_a_manager_counts_where_there_is_no_other_run_or_a_file_starts_it(tmp_path: Path) -> None:
    manager = "from flask_script import Manager\nfrom app import app\nmanager = Manager(app)\nmanager.run()\n"
    assert places(RULE, tmp_path, {"app.py": APP, "manage.py": manager}) == ["app.py:6:5"]
    files = {"Procfile": "web: python manage.py runserver\n"}
    assert places(RULE, tmp_path, files) == ["manage.py:4:1"]


def test_the_finding_names_the_evidence(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": APP, "Dockerfile": "FROM python\nCMD python app.py\n"})
    assert finding.message == "`python app.py` in Dockerfile starts Flask's development server"
    assert [(each.place.path, each.place.line) for each in finding.evidence] == [("Dockerfile", 2)]


@pytest.mark.parametrize("code", [
    pytest.param("import subprocess\nsubprocess.run(['ls'])\n", id="another run"),
    pytest.param("import asyncio\nasyncio.run(main())\n", id="asyncio"),
    pytest.param(FACTORY, id="no start at all"),
    pytest.param("import uvicorn\nfrom quart import Quart\nuvicorn.run(Quart(__name__))\n", id="uvicorn"),
])  # fmt: skip
def test_what_does_not_run_flask_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": code}) == []
