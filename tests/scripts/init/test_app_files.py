"""Packages, static files and migrations: what a release takes beside the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.init.app_files import find_migrate, find_requirements, find_static, lacks_driver
from scripts.init.target import find_target

from .samples import APP, repository_of

FLASK_MIGRATE = "from flask import current_app\n"


@pytest.mark.parametrize(("files", "value"), [
    ({"app.py": APP, "requirements.txt": "flask\n"}, "requirements.txt"),
    ({"src/app.py": APP, "src/requirements.txt": "", "requirements.txt": ""}, "src/requirements.txt"),
    ({"app.py": APP, "requirements/production.txt": "", "requirements/base.txt": ""},
     "requirements/production.txt"),
    ({"app.py": APP, "requirements-dev.txt": "", "deploy/requirements-web.txt": ""},
     "deploy/requirements-web.txt"),
])  # fmt: skip
def test_the_list_of_packages_nearest_to_the_app(tmp_path: Path, files: dict[str, str], value: str) -> None:
    repository = repository_of(tmp_path, files)
    found = find_requirements(repository, find_target(repository)[1])
    assert (found.value, found.change) == (value, "")


@pytest.mark.parametrize(("name", "said"), [
    ("Pipfile", "pipenv requirements"), ("poetry.lock", "poetry export"), ("pyproject.toml", "pip freeze"),
    ("requirements-dev.txt", "there is none"), ("README.md", "there is none"),
])  # fmt: skip
def test_without_a_list_there_is_advice_how_to_make_one(tmp_path: Path, name: str, said: str) -> None:
    repository = repository_of(tmp_path, {"app.py": APP, name: ""})
    assert said in find_requirements(repository, None).change


@pytest.mark.parametrize(("arguments", "folder", "static", "url"), [
    ("", "static", "static", "/static/"),
    (", static_folder='public'", "public", "public", "/public/"),
    (", static_folder='public', static_url_path='/files/'", "public", "public", "/files/"),
    (", static_folder='dist/assets'", "dist/assets", "dist/assets", "/assets/"),
    (", static_url_path=''", "static", "", "/static/"),
    (", static_folder=None", "static", "", "/static/"),
    (", static_folder='../public'", "public", "", "/static/"),
    (", static_folder='/srv/public'", "public", "", "/static/"),
    (", static_folder=FOLDER", "static", "", "/static/"),
    ("", "other", "", "/static/"),
])  # fmt: skip
def test_static_folder_as_flask_serves_it(
    tmp_path: Path, arguments: str, folder: str, static: str, url: str
) -> None:
    app = f"from flask import Flask\napp = Flask(__name__{arguments})\n"
    repository = repository_of(tmp_path, {"app.py": app, f"{folder}/x.css": ""})
    found = find_static(repository, find_target(repository)[1])
    assert (found[0].value, found[1].value) == (static, url)


def test_static_folder_lies_beside_the_module_that_makes_the_app(tmp_path: Path) -> None:
    files = {"shop/__init__.py": APP, "shop/static/x.css": "", "run.py": "from shop import app\napp.run()\n"}
    repository = repository_of(tmp_path, files)
    assert find_static(repository, find_target(repository)[1])[0].value == "shop/static"


@pytest.mark.parametrize(("files", "target", "command"), [
    ({"migrations/alembic.ini": "", "migrations/env.py": FLASK_MIGRATE}, "app:app",
     "flask --app app:app db upgrade"),
    ({"db/alembic.ini": "", "db/env.py": FLASK_MIGRATE}, "app:app",
     "flask --app app:app db upgrade --directory db"),
    ({"migrations/alembic.ini": "", "migrations/env.py": FLASK_MIGRATE}, "shop:create_app()",
     "flask --app 'shop:create_app()' db upgrade"),
    ({"alembic.ini": "", "alembic/env.py": ""}, "app:app", "alembic upgrade head"),
    ({"app/alembic.ini": "", "app/alembic/env.py": ""}, "app:app",
     "alembic --config app/alembic.ini upgrade head"),
    ({"app.py": APP}, "app:app", ""),
])  # fmt: skip
def test_the_command_that_migrates(tmp_path: Path, files: dict[str, str], target: str, command: str) -> None:
    assert find_migrate(repository_of(tmp_path, files), target).value == command


@pytest.mark.parametrize(("text", "lacks"), [
    ("flask\n", True), ("psycopg2-binary==2.9\n", False), ("Psycopg2\n", False), ("-r base.txt\n", False),
    ("", False), (" psycopg2>=2\n", False), ("psycopg[binary]\n", True),
])  # fmt: skip
def test_a_list_without_the_driver_is_noticed(tmp_path: Path, text: str, lacks: bool) -> None:
    assert lacks_driver(repository_of(tmp_path, {"requirements.txt": text}), "requirements.txt") is lacks
