"""H409."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.rules.sqlite_in_production import RULE

from ..looking import findings, places

HEAD = "import os, sqlite3\nfrom flask import Flask\napp = Flask(__name__)\n"
VIEW = "@app.route('/')\ndef index():\n    return str(get())\n"


def test_a_connect_that_a_request_gets_to_is_found_with_its_route(tmp_path: Path) -> None:
    [finding] = findings(
        RULE, tmp_path, {"app.py": f"{HEAD}def get():\n    return sqlite3.connect('a.db')\n{VIEW}"}
    )
    assert (finding.place.line, finding.place.col) == (5, 12)
    assert finding.routes == ("GET /",)


@pytest.mark.parametrize("line, place", [
    ("db = sqlite3.connect('a.db', check_same_thread=False)\ndef get():\n    return db\n", "4:6"),
    ("app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///a.db'\ndef get():\n    pass\n", "4:41"),
    ("app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///' + os.path.join(A)\ndef get():\n    pass\n", "4:41"),
    ("from sqlalchemy import create_engine\ndb = create_engine('sqlite:///a.db')\ndef get():\n    pass\n", "5:6"),
])  # fmt: skip
def test_a_file_for_all_requests_is_found(tmp_path: Path, line: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + line + VIEW}) == [f"app.py:{place}"]


@pytest.mark.parametrize("files", [
    {"app.py": HEAD + "def get():\n    return sqlite3.connect(':memory:')\n" + VIEW},
    {"app.py": HEAD + "def get():\n    pass\n" + VIEW, "load.py": "import sqlite3\nsqlite3.connect('a.db')\n"},
    {"app.py": HEAD + "app.config['SQLALCHEMY_DATABASE_URI'] = os.environ.get('DATABASE_URL', 'sqlite:///a.db')\n"},
    {"app.py": HEAD + "app.config['SQLALCHEMY_DATABASE_URI'] = 'postgresql:///shop'\n"},
    {"app.py": HEAD + "app.config.from_object('config.DevConfig')\n",
     "config.py": "class DevConfig:\n    SQLALCHEMY_DATABASE_URI = 'sqlite:///a.db'\n"},
    {"app.py": HEAD + "if __name__ == '__main__':\n    sqlite3.connect('a.db')\n"},
])  # fmt: skip
def test_scripts_memory_and_development_are_left_alone(tmp_path: Path, files: dict[str, str]) -> None:
    assert places(RULE, tmp_path, files) == []
