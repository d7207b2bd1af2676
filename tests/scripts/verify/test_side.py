"""What a side's process gets: its copy's place, and nothing that the app or the kit in it would stumble over."""

from __future__ import annotations

from pathlib import Path

from psycopg2.extensions import parse_dsn

from backend.settings import load
from scripts.stack import Stack
from scripts.verify.environment import environment_of, variables_of
from scripts.verify.recipe import Recipe, SideRecipe
from scripts.verify.side import Build, process_environ

PARTS = {"host": "127.0.0.1", "port": "5433", "dbname": "copy", "user": "u", "password": "p@ss"}


def test_a_side_that_has_the_kit_in_it_boots_with_our_variables(stack: Stack, tmp_path: Path) -> None:
    """The settings refuse unknown HARDEN_ names; ours begin otherwise."""
    build = Build("after", tmp_path, "server:app", "python", "", 4, lambda parts: {"HARDEN_APP": "server:app"})
    load(environ=process_environ(stack, build, PARTS, "host=127.0.0.1"))


def test_variables_that_the_code_reads_lead_to_the_copy(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nA = os.environ['SHOP_DB_HOST'], os.environ['DB_NAME'], os.environ['DB_PASS']\n"
        "B = os.environ['PGPORT'], os.getenv('POSTGRES_URL'), os.environ['JWT_SECRET'], os.environ['TITLE']\n"
        "C = os.environ.get('PSQL_USER_NAME'), os.environ.get('PSQL_HOST'), os.environ.get('PSQL_DB_NAME')\n"
    )
    names = variables_of(tmp_path)
    found = environment_of(names, PARTS, Recipe(env={"MORE": "{dbname} {host} {what}"}), SideRecipe())
    assert found["SHOP_DB_HOST"] == "127.0.0.1"
    assert (found["DB_NAME"], found["DB_PASS"], found["PGPORT"]) == ("copy", "p@ss", "5433")
    assert parse_dsn(found["POSTGRES_URL"]) == PARTS
    assert found["MORE"] == "copy 127.0.0.1 {what}"
    assert (found["PSQL_USER_NAME"], found["PSQL_HOST"], found["PSQL_DB_NAME"]) == ("u", "127.0.0.1", "copy")
    assert found["JWT_SECRET"]
    assert "TITLE" not in found


def test_the_recipe_of_one_side_wins(tmp_path: Path) -> None:
    found = environment_of([], PARTS, Recipe(env={"A": "1", "B": "1"}), SideRecipe(env={"A": "2"}))
    assert (found["A"], found["B"]) == ("2", "1")
