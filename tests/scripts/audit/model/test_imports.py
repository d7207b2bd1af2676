"""Which module an import means, from wherever people run their app."""

from __future__ import annotations

from pathlib import Path

import pytest

from .interpreting import callees, drivers, interpreted, routes

LOAD = "def load():\n    pass\n"


@pytest.mark.parametrize("files", [
    {"app": "from db import load\ndef view():\n    load()\n", "db": LOAD},
    {"app": "import db\ndef view():\n    db.load()\n", "db": LOAD},
    {"app": "import lib.db\ndef view():\n    lib.db.load()\n", "lib/__init__": "", "lib/db": LOAD},
    {"app": "from lib import db\ndef view():\n    db.load()\n", "lib/db": LOAD},
    {"app": "from lib import load\ndef view():\n    load()\n", "lib/__init__": "from .db import"
                                                                               " load\n", "lib/db": LOAD},
    {"app": "from lib import load\ndef view():\n    load()\n", "lib/__init__": "from .db import"
                                                                               " *\n", "lib/db": LOAD},
    {"web/app": "from .db import load\ndef view():\n    load()\n", "web/__init__": "", "web/db": LOAD},
    {"web/app": "from ..db import load\ndef view():\n    load()\n", "web/__init__": "", "db": LOAD},
    {"web/app": "from db import load\ndef view():\n    load()\n", "web/db": LOAD},
    {"app": "from db import load as l\ndef view():\n    l()\n", "db": LOAD},
    {"app": "def view():\n    from db import load\n    load()\n", "db": LOAD},
    {"app": "try:\n    from db import load\nexcept ImportError:\n    load = None\ndef view():\n"
            "    load()\n", "db": LOAD},
])  # fmt: skip
def test_an_import_is_followed(tmp_path: Path, files: dict[str, str]) -> None:
    assert callees(interpreted(tmp_path, **files), "view") == ["load"]


def test_modules_that_import_each_other_come_to_an_end(tmp_path: Path) -> None:
    files = {"a": "import b\ndef one():\n    b.two()\n", "b": "import a\ndef two():\n    a.one()\n"}
    project = interpreted(tmp_path, **files)
    assert callees(project, "one") == ["two"]
    assert callees(project, "two") == ["one"]


def test_a_file_with_a_name_of_the_standard_library_elsewhere_is_not_taken_for_it(tmp_path: Path) -> None:
    files = {"app": "import json\ndef view():\n    json.dumps(1)\n", "old/json": "def dumps(x):\n    pass\n"}
    assert callees(interpreted(tmp_path, **files), "view") == []


COMPUTED = "import os\n__all__ = [name[:-3] for name in os.listdir(os.path.dirname(__file__))]\n"
STARRED = (
    "from flask import Flask\nfrom views import *\napp = Flask(__name__)\n"
    "app.add_url_rule('/books', view_func=books.show)\n"
)


@pytest.mark.parametrize("listing", [COMPUTED, "__all__ = ['books']\n"])
def test_a_star_loads_the_modules_that_a_package_lists(tmp_path: Path, listing: str) -> None:
    files = {"app": STARRED, "views/__init__": listing, "views/books": "def show():\n    pass\n"}
    assert routes(interpreted(tmp_path, **files)) == ["GET /books show"]


@pytest.mark.parametrize("listing", ["", "__all__ = ['users']\n"])
def test_a_star_loads_no_module_that_a_package_does_not_list(tmp_path: Path, listing: str) -> None:
    files = {"app": STARRED, "views/__init__": listing, "views/books": "def show():\n    pass\n"}
    assert routes(interpreted(tmp_path, **files)) == []


def test_a_decorator_of_very_many_functions_gives_each_its_cursor(tmp_path: Path) -> None:
    wrap = (
        "import psycopg2\ndef with_cursor(function):\n    def wrapper(*args):\n"
        "        return function(psycopg2.connect('').cursor(), *args)\n    return wrapper\n"
    )
    queries = "".join(
        f"@with_cursor\ndef find_{count}(cursor, name):\n    cursor.execute('SELECT 1')\n" for count in range(40)
    )
    assert drivers(interpreted(tmp_path, app=wrap + queries)) == ["psycopg2"] * 40


def test_a_helper_that_hangs_very_many_classes_on_the_app_gives_each_its_route(tmp_path: Path) -> None:
    start = (
        "from flask_restful import Api, Resource\napi = Api()\n"
        "def hang(resource, rule):\n    api.add_resource(resource, rule)\n"
    )
    views = "".join(
        f"class View{count}(Resource):\n    def get(self):\n        pass\nhang(View{count}, '/x')\n"
        for count in range(40)
    )
    assert len(routes(interpreted(tmp_path, app=start + views))) == 40
