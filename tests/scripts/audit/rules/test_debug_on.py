"""H402."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Confidence, Severity
from scripts.audit.rules.debug_on import RULE

from ..looking import findings, places

HEAD = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.mark.parametrize("code, place", [
    ("app.run(debug=True)", "4:15"),
    ("app.run(debug=1)", "4:15"),
    ('app.run("0.0.0.0", 80, True)', "4:24"),
    ("app.run(use_debugger=True)", "4:22"),
    ("app.debug = True", "4:13"),
    ('app.config["DEBUG"] = True', "4:23"),
    ("app.config.update(DEBUG=True)", "4:25"),
    ('app.config.update({"DEBUG": True})', "4:29"),
    ("app.config.update(dict(DEBUG=True))", "4:30"),
    ("app.config.from_mapping(DEBUG=True)", "4:31"),
    ('os.environ["FLASK_ENV"] = "development"', "4:1"),
    ("DEBUG = True\napp.run(debug=DEBUG)", "4:9"),
    ('app.run(debug=os.getenv("DEBUG", "1") == "1")', "4:15"),
    ('app.run(debug=os.environ.get("DEBUG", True))', "4:15"),
    ("app.run(\n    host='0.0.0.0',\n    debug=True,\n)", "6:11"),
    ("from werkzeug.serving import run_simple\nrun_simple('0.0.0.0', 80, app, use_debugger=True)", "5:45"),
    ("from werkzeug.debug import DebuggedApplication\napp.wsgi_app = DebuggedApplication(app.wsgi_app)", "5:16"),
    ("app.config.from_object(__name__)\nDEBUG = True", "5:9"),
    ("options = {'debug': True}\napp.run(**options)", "5:1"),
    ("from flask_script import Server\nServer(use_debugger=True)", "5:1"),
])  # fmt: skip
def test_a_literal_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code + "\n"}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "app.run(debug=False)",
    "app.run(debug=0)",
    "app.run()",
    "app.run(use_reloader=True)",
    "app.debug = False",
    'app.config["TESTING"] = True',
    'app.run(debug=os.getenv("DEBUG"))',
    'app.run(debug=os.getenv("DEBUG", "0") == "1")',
    'app.run(debug=bool(os.environ.get("DEBUG", False)))',
    'app.run(debug=app.config["DEBUG"])',
    'if os.getenv("FLASK_ENV") == "development":\n    app.run(debug=True)',
    'import asyncio\nasyncio.run(main(), debug=True)',
    'import logging\nlogging.basicConfig(level=logging.DEBUG)',
    "DEBUG = True",
    "class Job:\n    DEBUG = True",
])  # fmt: skip
def test_what_is_off_or_asks_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code + "\n"}) == []


@pytest.mark.parametrize(
    "load", ['from_object("settings")', 'from_pyfile("settings.py")', "from_object(settings)"]
)
def test_a_settings_module_that_is_loaded_is_read(tmp_path: Path, load: str) -> None:
    files = {"settings.py": "PORT = 80\nDEBUG = True\n", "app.py": HEAD + f"import settings\napp.config.{load}\n"}
    assert places(RULE, tmp_path, files) == ["settings.py:2:9"]


def test_a_configuration_class_is_read_with_what_it_inherits(tmp_path: Path) -> None:
    config = "class Base:\n    DEBUG = True\n\nclass Production(Base):\n    PORT = 80\n"
    files = {"config.py": config, "app.py": HEAD + 'app.config.from_object("config.Production")\n'}
    assert places(RULE, tmp_path, files) == ["config.py:2:13"]


def test_a_file_that_is_no_python_is_read(tmp_path: Path) -> None:
    files = {"shop.cfg": "PORT = 80\nDEBUG = True\n", "app.py": HEAD + 'app.config.from_pyfile("shop.cfg")\n'}
    assert places(RULE, tmp_path, files) == ["shop.cfg:2:1"]


def test_a_development_class_that_is_one_of_several_is_left_alone(tmp_path: Path) -> None:
    config = """
        class Config:
            DEBUG = False

        class DevelopmentConfig(Config):
            DEBUG = True

        configs = {"development": DevelopmentConfig, "production": Config}
    """
    app = HEAD + 'from config import configs\napp.config.from_object(configs[os.environ["STAGE"]])\n'
    assert places(RULE, tmp_path, {"config.py": config, "app.py": app}) == []


def test_a_base_that_only_development_classes_inherit_is_left_alone(tmp_path: Path) -> None:
    config = """
        class Config:
            DEBUG = True

        class DevelopmentConfig(Config):
            PORT = 80

        class Production(Config):
            DEBUG = False

        configs = {"development": DevelopmentConfig, "production": Production}
    """
    app = HEAD + 'from config import configs\napp.config.from_object(configs[os.environ["STAGE"]])\n'
    assert places(RULE, tmp_path, {"config.py": config, "app.py": app}) == []
    broken = config.replace("DEBUG = False", "PORT = 90")
    assert places(RULE, tmp_path, {"config.py": broken, "app.py": app}) == ["config.py:2:13"]


def test_a_name_known_at_run_time_may_be_any_class_but_a_base(tmp_path: Path) -> None:
    app = HEAD + 'app.config.from_object(os.environ["SETTINGS"])\n'
    config = "class Config:\n    DEBUG = True\n\nclass Production(Config):\n    DEBUG = False\n"
    assert places(RULE, tmp_path, {"config.py": config, "app.py": app}) == []
    assert places(RULE, tmp_path, {"config.py": config.replace("False", "True")}) == ["config.py:5:13"]


def test_a_settings_module_that_nobody_loads_is_left_alone(tmp_path: Path) -> None:
    assert places(RULE, tmp_path, {"settings.py": "DEBUG = True\n", "app.py": HEAD}) == []


def test_the_app_of_another_module_is_known(tmp_path: Path) -> None:
    files = {"shop/__init__.py": HEAD, "run.py": "from shop import app\n\napp.run(debug=True)\n"}
    assert places(RULE, tmp_path, files) == ["run.py:3:15"]


def test_the_app_of_a_factory_is_known(tmp_path: Path) -> None:
    factory = "from flask import Flask\n\ndef make():\n    return Flask(__name__)\n"
    files = {"shop.py": factory, "run.py": "from shop import make\n\nmake().run(debug=True)\n"}
    assert places(RULE, tmp_path, files) == ["run.py:3:18"]


@pytest.mark.parametrize("files, place", [
    ({"Dockerfile": "FROM python\nENV FLASK_DEBUG=1\n"}, "Dockerfile:2:1"),
    ({"Dockerfile": "FROM python\nENV FLASK_ENV development\n"}, "Dockerfile:2:1"),
    ({"compose.yml": "services:\n  web:\n    environment:\n      FLASK_ENV: development\n"}, "compose.yml:4:1"),
    ({"compose.yml": "services:\n  web:\n    environment:\n      - FLASK_DEBUG=1\n"}, "compose.yml:4:1"),
    ({".flaskenv": "FLASK_APP=app\nFLASK_DEBUG=1\n"}, ".flaskenv:2:13"),
    ({"Procfile": "web: flask run --debug\n"}, "Procfile:1:6"),
])  # fmt: skip
def test_deployment_files_are_read(tmp_path: Path, files: dict[str, str], place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD, **files}) == [place]


@pytest.mark.parametrize("files", [
    {"Dockerfile": "FROM python\nENV FLASK_DEBUG=0\n"},
    {"Dockerfile": "FROM python\nENV FLASK_ENV=production\n"},
    {"docker-compose.dev.yml": "services:\n  web:\n    environment:\n      FLASK_DEBUG: 1\n"},
    {".flaskenv": "FLASK_DEBUG=1\n", "Procfile": "web: gunicorn app:app\n"},
    {".env.example": "FLASK_DEBUG=1\n"},
    {"Makefile": "run:\n\tFLASK_DEBUG=1 flask run\n"},
])  # fmt: skip
def test_files_of_developers_are_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD, **files}) == []


def test_it_is_worst_where_nothing_else_starts_the_app(tmp_path: Path) -> None:
    files = {"app.py": HEAD + 'if __name__ == "__main__":\n    app.run(debug=True)\n'}
    assert [each.severity for each in findings(RULE, tmp_path, files)] == [Severity.critical]
    files["requirements.txt"] = "gunicorn\n"
    assert [each.severity for each in findings(RULE, tmp_path, files)] == [Severity.high]


def test_a_default_that_is_on_is_less_sure(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": HEAD + 'app.run(debug=os.getenv("DEBUG", "true"))\n'})
    assert finding.confidence == Confidence.medium
