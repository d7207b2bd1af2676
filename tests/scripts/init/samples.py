"""Small repositories as they are found: a dictionary of files, written to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.init.repository import Repository

APP = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
CONNECTS = """\
import psycopg2
from flask import Flask
app = Flask(__name__)

@app.route("/")
def index():
    return psycopg2.connect(host="localhost", dbname="orders", user="clerk", password="hunter2")
"""


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files; returns the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def repository_of(folder: Path, files: Mapping[str, str]) -> Repository:
    """Return a repository with these files."""
    return Repository(written(folder, files).resolve())
