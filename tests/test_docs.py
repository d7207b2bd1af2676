"""Documentation that drifts fails the build."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from backend import PoolOptions, ThreadedConnectionPool
from scripts import doctables

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = [path for path in ROOT.rglob("*.md") if not {".venv", ".git"} & set(path.parts)]


@pytest.mark.parametrize("page", doctables.PAGES, ids=lambda page: page.name)
def test_tables_say_what_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert doctables.filled(text) == text, "run: .venv/bin/python -m scripts.doctables"


def test_every_table_stands_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in doctables.PAGES)
    assert all(f"<!-- table: {name} -->" in pages for name in doctables.TABLES)


def test_every_pool_option_has_its_trade_and_every_figure_its_meaning() -> None:
    page = (ROOT / "docs" / "pool.md").read_text(encoding="utf-8")
    weighed = " ".join(re.findall(r"^- ((?:`\w+`(?:, )?)+):", page, re.MULTILINE))
    explained = " ".join(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE))
    options = {field.name for field in dataclasses.fields(PoolOptions)}
    assert options <= set(re.findall(r"\w+", weighed))
    assert set(ThreadedConnectionPool(0, 1, "host=nowhere").stats()) <= set(re.findall(r"\w+", explained))


def test_a_changed_default_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctables, "settings_table", lambda: "| something else |")
    monkeypatch.setitem(doctables.TABLES, "settings", doctables.settings_table)
    assert doctables.filled(README) != README


def test_first_command_stands_within_the_first_fifteen_lines() -> None:
    assert any("scripts/harden" in line for line in README.splitlines()[:15])


def test_every_command_in_readme_exists() -> None:
    # a command stands at the start of a line of code or within backticks; prose only mentions the launcher
    verbs = set(re.findall(r"(?:^|`)scripts/harden ([a-z][a-z-]*)", README, re.MULTILINE))
    assert verbs
    for verb in verbs:
        done = subprocess.run([ROOT / "scripts" / "harden", verb, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, f"README names `scripts/harden {verb}`: {done.stderr}"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:backend|deploy|pgbouncer|scripts|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), f"{page.name} names {name}"
