"""A recommendation in harden.toml: numbers change, comments stay, and nothing that would be refused is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.load_description import load
from scripts.capacity import System
from scripts.errors import CommandError
from scripts.plan.measure_write import set_number, write

FILE = """\
# the shop
[app]
name = "shop"
target = "shop:app"

[hosts]
app = ["web1", "web2"]
cores = 2          # as rented

[database]
name = "shop"
role = "shop"
host = "db1"
sslmode = "require"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "harden.toml"
    found.write_text(FILE)
    return found


def _system(**values: int) -> System:
    return System(**{"hosts": 2, "cores": 4, "workers": 4, "threads": 4, "database_cores": 8, **values})  # type: ignore[arg-type]


def test_only_the_numbers_change(file: Path) -> None:
    said = write(file, _system())
    text = file.read_text()
    assert "cores = 4          # as rented\n" in text
    assert text.startswith("# the shop\n[app]\n")
    description = load(file)
    assert (description.hosts.cores, description.database.cores) == (4, 8)
    assert (description.server.workers, description.server.threads) == (4, 4)
    assert "server.threads = 4" in said


def test_writing_twice_gives_the_same_bytes(file: Path) -> None:
    write(file, _system())
    once = file.read_bytes()
    write(file, _system())
    assert file.read_bytes() == once


def test_hosts_without_names_are_not_invented(file: Path) -> None:
    with pytest.raises(CommandError, match=r"takes 3 hosts and .* names 2; nothing was written"):
        write(file, _system(hosts=3))
    assert file.read_text() == FILE


def test_what_the_plan_refuses_is_not_written(file: Path) -> None:
    file.write_text(FILE + "max_connections = 12\n")
    before = file.read_text()
    with pytest.raises(CommandError, match="nothing was written"):
        write(file, _system(workers=64, threads=64))
    assert file.read_text() == before


def test_a_file_that_is_missing_or_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read"):
        write(tmp_path / "none.toml", _system())
    wrong = tmp_path / "harden.toml"
    wrong.write_text("[app]\nname = 3\n")
    with pytest.raises(CommandError):
        write(wrong, _system())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[hosts]\ncores = 2\n", "[hosts]\ncores = 8\n"),
        ("[hosts] # all\n  cores=2# c\n", "[hosts] # all\n  cores=8# c\n"),
        ("[other]\ncores = 2\n", "[other]\ncores = 2\n\n[hosts]\ncores = 8\n"),
        ("[hosts]\napp = []\n[b]\ncores = 1\n", "[hosts]\ncores = 8\napp = []\n[b]\ncores = 1\n"),
        ("[hosts]", "[hosts]\ncores = 8\n"),
        ("", "\n[hosts]\ncores = 8\n"),
    ],
)
def test_a_number_is_set_where_it_belongs(text: str, expected: str) -> None:
    assert set_number(text, "hosts", "cores", 8) == expected
