"""`harden release` and `rollback`: what their arguments mean, and that a host's own python is enough for them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.host.release import Order
from scripts.release import command

ROOT = Path(__file__).resolve().parents[3]


def ordered(monkeypatch: pytest.MonkeyPatch, *words: str) -> Order:
    orders: list[Order] = []
    monkeypatch.setattr(command, "release", lambda order, *_: orders.append(order) or "ID")
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(list(words))) == 0
    return orders[0]


def test_without_arguments_it_is_this_folders_head_with_its_own_migration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ordered(monkeypatch) == Order(Path())
    assert capsys.readouterr().out == "ID serves\n"


def test_a_migration_is_replaced_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ordered(monkeypatch, "--migrate", "flask db upgrade").migrate == "flask db upgrade"
    assert ordered(monkeypatch, "--no-migrate").migrate == ""
    assert ordered(monkeypatch).migrate is None


def test_a_dry_run_does_not_claim_that_anything_serves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ordered(monkeypatch, "app", "--rev", "v1", "--dry-run")
    assert capsys.readouterr().out == "ID would serve\n"


def test_a_hosts_own_python_is_enough() -> None:
    """It has jinja2, and nothing else of what the kit's tools use."""
    missing = ("flask", "psycopg2", "rich", "gunicorn", "prometheus_client", "httptools", "uvloop")
    code = (
        f"import sys\nfor name in {missing}: sys.modules[name] = None\n"
        "from scripts.cli import main\n"
        "from scripts.release import command; from scripts.rollback import command\n"
        "from scripts.status import command; from scripts.logs import command\n"
        "from deploy.load_description import parse\n"
        "text = open('deploy/harden.example.toml').read()\n"
        "print(parse(text).app.name)\nmain(['release', '--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "scripts/harden release --wheels" in done.stdout
