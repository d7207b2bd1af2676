"""Where the app's database is, however it says so; a password is never kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.init.database import find_connection

from .samples import repository_of

WHOLE = {"name": "orders", "role": "clerk", "host": "db.example.com", "port": "5433"}
IMPORT = "import os, psycopg2\n"
CALL = "psycopg2.connect(host=HOST, port=PORT, dbname=NAME, user=USER, password=PASSWORD)\n"


def parts(folder: Path, files: dict[str, str]) -> dict[str, str]:
    found = find_connection(repository_of(folder, files))
    assert "hunter2" not in repr(found)
    return {part: value for part, (value, _) in found.parts.items()}


@pytest.mark.parametrize("code", [
    "psycopg2.connect(host='db.example.com', port=5433, database='orders', user='clerk', password='hunter2')",
    "psycopg2.connect('host=db.example.com port=5433 dbname=orders user=clerk password=hunter2')",
    "psycopg2.connect(dsn='postgresql://clerk:hunter2@db.example.com:5433/orders')",
    "psycopg2.pool.ThreadedConnectionPool(1, 5, 'postgresql://clerk:hunter2@db.example.com:5433/orders')",
    "URL = 'postgres://clerk:hunter2@db.example.com:5433/orders'\nwith psycopg2.connect(URL) as c:\n    pass",
    "app.config['URI'] = 'postgresql+psycopg2://clerk:hunter2@db.example.com:5433/orders'",
    "psycopg2.connect(os.environ.get('URL', 'postgres://clerk:hunter2@db.example.com:5433/orders'))",
    "psycopg2.connect(os.getenv('URL') or 'postgres://clerk:hunter2@db.example.com:5433/orders')",
    "D = dict(host='db.example.com', port=5433, dbname='orders', user='clerk', password='hunter2')\n"
    "psycopg2.connect(**D)",
    "D = {'host': 'db.example.com', 'port': 5433, 'dbname': 'orders', 'user': 'clerk', 'password': 'hunter2'}\n"
    "psycopg2.connect('host=%s port=%s dbname=%s user=%s password=%s' %\n"
    "  (D['host'], D['port'], D['dbname'], D['user'], D['password']))",
    "N, P = 'x', 'y'\nNAME = 'orders'\n"
    "psycopg2.connect(f'host=db.example.com port=5433 dbname={NAME} user=clerk password=hunter2')",
    "psycopg2.connect('host={} port={} dbname={} user=clerk'.format('db.example.com', 5433, 'orders'))",
    "psycopg2.connect('host={h} port=5433 dbname={n} user=clerk'.format(h='db.example.com', n='orders'))",
    "psycopg2.connect('host=db.example.com port=5433 ' + 'dbname=orders user=clerk')",
])  # fmt: skip
def test_connections_in_code(tmp_path: Path, code: str) -> None:
    assert parts(tmp_path, {"app.py": f"{IMPORT}{code}\n"}) == WHOLE


def test_names_are_followed_to_another_file_and_to_its_variables(tmp_path: Path) -> None:
    config = """\
import os
HOST = os.environ["DB_HOST"]
PORT = int(os.getenv("DB_PORT", "5433"))
class Config:
    NAME = os.environ.get("DB_NAME", "wrong")
    USER = "clerk"
PASSWORD = os.environ["DB_PASSWORD"]
"""
    files = {"config.py": config, "app.py": f"from config import *\n{IMPORT}{CALL}",
             ".env": "DB_HOST=db.example.com\nDB_NAME=\"orders\" # the shop's\nDB_PASSWORD=hunter2\n"}  # fmt: skip
    assert parts(tmp_path, files) == WHOLE


@pytest.mark.parametrize(("name", "text"), [
    (".env", "DATABASE_URL=postgres://clerk:hunter2@db.example.com:5433/orders\n"),
    (".env.example", "export DB_NAME='orders'\nDB_USER=clerk\nDB_HOST=db.example.com\nDB_PORT=5433\n"),
    ("docker-compose.yml", "services:\n  db:\n    environment:\n      POSTGRES_DB: orders\n"
                           "      POSTGRES_USER: clerk\n      POSTGRES_PASSWORD: hunter2\n"
                           "      DB_HOST: db.example.com\n      DB_PORT: 5433\n"),
    ("compose.yaml", "    environment:\n      - POSTGRES_DB=orders\n      - POSTGRES_USER=${USER:-clerk}\n"
                     "      - SHOP_DB_HOST=db.example.com\n      - DB_PORT=5433\n"),
    ("database.ini", "[postgresql]\nhost=db.example.com\nport=5433\ndatabase=orders\nuser=clerk\n"
                     "password=hunter2\n"),
])  # fmt: skip
def test_connections_in_other_files(tmp_path: Path, name: str, text: str) -> None:
    assert parts(tmp_path, {name: text, "app.py": IMPORT}) == WHOLE


@pytest.mark.parametrize("code", [
    "psycopg2.connect()", "psycopg2.connect(unknown)", "psycopg2.connect('this is = no dsn =')",
    "psycopg2.connect(**options())", "psycopg2.connect('postgresql://{user}:{password}@{host}/{name}'.format(**x))",
    "URL = 'postgresql://<user>:<password>@<host>/<name>'", "A = A\npsycopg2.connect(A)",
    "psycopg2.connect(dbname=1.5)",
    "psycopg2.connect(dbname=x[0]['a'].b())", "x['a'] = 'b'\npsycopg2.connect(dbname=f(x)['a'])",
    "psycopg2.connect('postgresql://h:notaport/x')", "a = b\nb = a\npsycopg2.connect(f'dbname={a}')",
])  # fmt: skip
def test_what_cannot_be_told_is_left_out(tmp_path: Path, code: str) -> None:
    found = parts(tmp_path, {"app.py": f"{IMPORT}{code}\n"})
    assert not {"name", "role", "host"} & set(found)


def test_other_libraries_connect_to_something_else(tmp_path: Path) -> None:
    assert parts(tmp_path, {"mail.py": "import smtp\nsmtp.connect(host='mail', user='x', database='y')\n"}) == {}


def test_the_place_of_a_password_in_the_code_is_told(tmp_path: Path) -> None:
    code = f"{IMPORT}psycopg2.connect(dbname='x',\n    password='hunter2')\n"
    found = find_connection(repository_of(tmp_path, {"app.py": code, ".env": "DB_PASSWORD=hunter2\n"}))
    assert found.passwords == ["app.py:3"]


def test_a_password_that_comes_from_a_variable_is_no_password_in_the_code(tmp_path: Path) -> None:
    code = f"{IMPORT}psycopg2.connect(dbname='x', password=os.environ['DB_PASSWORD'])\n"
    assert find_connection(repository_of(tmp_path, {"app.py": code, ".env": "DB_PASSWORD=a\n"})).passwords == []


def test_only_the_folder_of_the_service_is_looked_at(tmp_path: Path) -> None:
    files = {"a/app.py": f"{IMPORT}psycopg2.connect(dbname='orders')\n",
             "b/app.py": f"{IMPORT}psycopg2.connect(dbname='other')\n"}  # fmt: skip
    assert find_connection(repository_of(tmp_path, files), "b").parts == {"name": ("other", "b/app.py:2")}
