"""SQLite files to move, and an empty database for each test to move them to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.stack.postgres import Cluster
from tests.conftest import ROLE

_COUNT = iter(range(10_000))


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """A function that makes a SQLite file of a script."""

    def make(script: str, name: str = "app.db") -> Path:
        with closing(sqlite3.connect(tmp_path / name)) as conn:
            conn.executescript(script)
        return tmp_path / name

    return make


class Target:
    """An empty database."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name
        self.dsn = cluster.dsn(name, ROLE)

    def ask(self, text: str) -> list[Any]:
        """Run one statement as superuser."""
        return self._cluster.execute(text, dbname=self._name)

    def move(self, file: Path, *arguments: str) -> int:
        """Run the verb."""
        return cli.main(["sqlite-to-postgres", str(file), "--dsn", self.dsn, *arguments])


@pytest.fixture
def target(cluster: Cluster) -> Iterator[Target]:
    """An empty database of the role `app`."""
    name = f"moved_{next(_COUNT)}"
    cluster.create_database(name, ROLE)
    yield Target(cluster, name)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")
