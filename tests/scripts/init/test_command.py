"""`harden init` as a person runs it: what is written, what is not, and what it says."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.description import NAME
from deploy.description_rules import TAKEN
from deploy.load_description import load, parse
from scripts.errors import CommandError
from scripts.init import command
from scripts.init.document import document
from scripts.init.draft import Draft, draft_of, find_name
from scripts.init.found import Found
from scripts.init.variables import Read

from .samples import APP, CONNECTS, written

ROOT = Path(__file__).resolve().parents[3]


class Done(NamedTuple):
    """How a run ended."""

    returncode: int
    stdout: str
    stderr: str


def init(*arguments: object) -> Done:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            done = Done(command.run(parser.parse_args(list(map(str, arguments)))), printed.getvalue(), "")
        except CommandError as error:
            done = Done(2, printed.getvalue(), error.line())
    assert "hunter2" not in done.stdout + done.stderr
    return done


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    files = {"app.py": CONNECTS, "requirements.txt": "flask\npsycopg2-binary\n", "static/x.css": "",
             ".env": "SECRET_KEY=hunter2\n", "config.py": "import os\nKEY = os.environ['SECRET_KEY']\n"
             "PLACE = os.environ['UPLOADS']\nMAIL = os.getenv('MAIL_HOST', 'mail.example')\n"}  # fmt: skip
    return written(tmp_path / "My Shop", files)


def test_a_usual_repository_gets_a_description_that_loads(shop: Path) -> None:
    done = init(shop)
    assert (done.returncode, done.stderr) == (0, "")
    description = load(shop / "harden.toml")
    app = description.app
    assert (app.name, app.target, app.static) == ("my-shop", "app:app", "static")
    assert (description.database.name, description.database.role) == ("orders", "clerk")
    assert description.database.host == "/run/postgresql"
    assert "my-shop serves app:app" in done.stdout
    assert "note: a password stands in the code (app.py:7)" in done.stdout


def test_the_verb_is_there_and_runs_from_any_folder(shop: Path) -> None:
    launch = [sys.executable, str(ROOT / "scripts" / "launch.py"), "init"]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=60, cwd=shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote harden.toml: my-shop serves app:app" in done.stdout


def test_every_value_says_where_it_comes_from(shop: Path) -> None:
    text = init(shop, "--dry-run").stdout
    lines = [line for line in text.splitlines() if re.match(r"\w+ = ", line)]
    assert len(lines) >= 10
    assert all(re.search(r"  # (found in |default|the folder's name|no |this machine's)", line) for line in lines)
    assert 'target = "app:app"  # found in app.py:3' in lines
    assert 'name = "orders"  # found in app.py:7' in lines
    assert 'host = "/run/postgresql"  # default: app.py:7 has localhost, for development' in lines


def test_variables_of_the_app_stand_there_as_comments_and_secrets_without_a_value(shop: Path) -> None:
    text = init(shop, "--dry-run").stdout
    assert '# UPLOADS = ""  # read in config.py:3, must be set' in text
    assert '# MAIL_HOST = "mail.example"  # read in config.py:4' in text
    assert "# Secrets that the app reads, for the secrets file:\n# SECRET_KEY (config.py:2)" in text


def test_dry_run_writes_nothing(shop: Path) -> None:
    before = sorted(shop.rglob("*"))
    assert parse(init(shop, "--dry-run").stdout).app.name == "my-shop"
    assert sorted(shop.rglob("*")) == before


def test_a_file_that_is_there_is_kept_unless_forced(shop: Path) -> None:
    (shop / "harden.toml").write_text("mine")
    done = init(shop)
    assert done.returncode == 2
    assert "is there already; --force replaces it" in done.stderr
    assert (shop / "harden.toml").read_text() == "mine"
    assert init(shop, "--dry-run").returncode == 0
    assert init(shop, "--force").returncode == 0
    assert load(shop / "harden.toml").app.name == "my-shop"


def test_output_goes_where_it_is_told_to(shop: Path, tmp_path: Path) -> None:
    assert init(shop, "--output", tmp_path / "here.toml").returncode == 0
    assert load(tmp_path / "here.toml").app.name == "my-shop"
    assert not (shop / "harden.toml").exists()
    done = init(shop, "--output", tmp_path / "none" / "here.toml")
    assert done.returncode == 2
    assert "cannot write" in done.stderr


def test_the_same_repository_gives_the_same_bytes(shop: Path) -> None:
    assert init(shop, "--dry-run").stdout == init(shop, "--dry-run").stdout


def test_what_must_be_filled_in_is_listed_and_is_exit_code_one(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert done.returncode == 1
    for key in ("app.target", "app.requirements", "database.name"):
        assert f"CHANGE ME: {key}: " in done.stdout
    assert (tmp_path / "harden.toml").read_text().count("CHANGE ME") == 3
    load(tmp_path / "harden.toml")  # placeholders that load: the next command may say more


def test_a_folder_that_is_none_is_said_so(tmp_path: Path) -> None:
    done = init(tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no folder; give the repository's" in done.stderr


def test_the_code_is_read_and_never_run(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n{APP}"
    written(tmp_path, {"app.py": code, "setup.py": "raise SystemExit(3)\n"})
    init(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_pipes_links_and_large_files_do_not_hold_it_up(tmp_path: Path) -> None:
    written(tmp_path, {"app.py": APP, "big.py": "x = 1\n" * 300_000})
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    assert "serves app:app" in init(tmp_path).stdout


def test_here_takes_the_machines_figures(shop: Path) -> None:
    text = init(shop, "--dry-run", "--here").stdout
    assert f"cores = {len(os.sched_getaffinity(0))}  # this machine's" in text


def test_a_superusers_name_is_not_taken_over(tmp_path: Path) -> None:
    written(tmp_path, {"app.py": CONNECTS.replace("clerk", "postgres")})
    description = parse(document(draft_of(written(tmp_path / "shop", {"app.py": CONNECTS}), False)))
    assert description.database.role == "clerk"
    text = document(draft_of(tmp_path, False))
    assert "has postgres, a superuser; make the app a role of its own" in text
    assert 'role = "postgres"' not in text


def test_a_server_elsewhere_is_taken_with_its_port_and_encryption(tmp_path: Path) -> None:
    code = CONNECTS.replace('host="localhost"', 'host="db.example.com", port=5433')
    description = parse(document(draft_of(written(tmp_path, {"app.py": code}), False)))
    assert (description.database.host, description.database.port) == ("db.example.com", 5433)
    assert description.database.sslmode == "require"


def test_values_of_an_example_file_are_said_to_be_of_one(tmp_path: Path) -> None:
    text = document(draft_of(written(tmp_path, {"app.py": APP, ".env.example": "DB_NAME=orders\n"}), False))
    assert 'name = "orders"  # found in .env.example:1, an example' in text


def test_what_a_description_cannot_hold_is_to_be_filled_in(tmp_path: Path) -> None:
    code = CONNECTS.replace('"orders"', '"or ders; DROP"').replace("localhost", "db.example.com/x y")
    draft = draft_of(written(tmp_path, {"app.py": code}), False)
    assert set(draft.changes()) >= {("database", "name"), ("database", "host")}
    parse(document(draft))


@pytest.mark.parametrize(("folder", "name"), [
    ("shop", "shop"), ("My Shop_2", "my-shop-2"), ("2shop", "shop"), ("--", "app"), ("nginx", "web-nginx"),
    ("Überladen", "berladen"), ("our-very-own-online-shop", "our-very-own-online"),
 ("shop-pgbouncer", "web"), ("shop-", "shop"),
])  # fmt: skip
def test_names_are_made_of_folders(folder: str, name: str) -> None:
    assert find_name(folder).value == name


@given(folder=st.text(max_size=60) | st.from_regex(r"[a-z -]{1,60}", fullmatch=True))
def test_a_name_of_any_folder_can_be_used(folder: str) -> None:
    found = find_name(folder)
    assert NAME.fullmatch(found.value)
    assert found.value not in TAKEN


@given(text=st.text(max_size=40))
def test_nothing_that_was_found_can_end_a_comment_or_a_value(text: str) -> None:
    """File names and texts of the repository are somebody else's: the file still has our keys alone."""
    found = {
        ("app", "name"): Found("shop", f"found in {text}"),
        ("app", "target"): Found("app:app", change=text, others=(("b:app", text),)),
        ("database", "name"): Found("shop", text),
        ("database", "role"): Found("shop", text),
    }
    draft = Draft(found, [Read("A", text, text)], [Read("B_KEY", text, None)], [])
    description = parse(document(draft))
    assert (description.app.target, description.environ) == ("app:app", {})
