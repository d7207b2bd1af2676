"""A database of its own for each test, folders of migrations, and the command itself run as a child."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.stack.postgres import Cluster

from ..stack.running import ROOT, clean_environ

DEADLINE = 60.0  # seconds for what takes one on a quiet machine
_numbers = itertools.count()
SHOP = """
    CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL);
    CREATE TABLE orders
        (id bigserial PRIMARY KEY, customer_id bigint NOT NULL, status text NOT NULL DEFAULT 'open');
    INSERT INTO customers SELECT n, 'c' || n || '@example.org' FROM generate_series(1, 100) n;
    INSERT INTO orders (customer_id) SELECT 1 + n %% 100 FROM generate_series(1, {rows}) n;
    ANALYZE
"""
INDEX = "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer_id_idx ON public.orders USING btree (customer_id)"
DROP = "DROP INDEX CONCURRENTLY IF EXISTS public.orders_customer_id_idx"
Harden = Callable[..., "subprocess.CompletedProcess[str]"]


class Shop:
    """A database with customers and orders, and what tests ask of it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.dsn = cluster.dsn(name)

    def execute(self, sql: str, values: Any = None) -> list[Any]:
        """Run a statement as superuser."""
        return self.cluster.execute(sql, values, dbname=self.name)

    def indexes(self) -> dict[str, bool]:
        """Whether each index of `orders` is valid."""
        return dict(self.execute(
            "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = 'public.orders'::regclass AND NOT i.indisprimary"
        ))  # fmt: skip

    def fill(self, rows: int) -> None:
        """Make the tables."""
        for each in SHOP.format(rows=rows).split(";"):
            self.execute(each.replace("%%", "%"))


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[Shop]:
    """A small one: 2,000 orders."""
    name = f"migrate_{next(_numbers)}"
    cluster.create_database(name, cluster.user)
    made = Shop(cluster, name)
    made.fill(2000)
    yield made
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


def until(question: Callable[[], Any]) -> Any:
    """Wait until a question has an answer, and return it."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def change(kind: str = "create index", up: str = INDEX, down: str = DROP, **more: Any) -> dict[str, Any]:
    """A finding as the doctor's report has it."""
    name = "public.orders_customer_id_idx"
    whole = {"kind": kind, "up": [up], "down": [down] if down else [], "table": "public.orders", "name": name,
             "probes": [], **more}  # fmt: skip
    return {"rule": "H501", "name": "missing-foreign-key-index", "path": "public.orders", "severity": "high",
            "message": "orders.customer_id refers to customers and has no index", "change": whole}  # fmt: skip


def report(folder: Path, *findings: dict[str, Any]) -> Path:
    """Write a doctor's report, and return its path."""
    path = folder / "doctor.json"
    path.write_text(json.dumps({"findings": findings}))
    return path


@pytest.fixture
def write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """A function that writes migrations of findings, and returns their folder."""

    def made(*findings: dict[str, Any], more: tuple[str, ...] = ()) -> Path:
        out = tmp_path / "migrations"
        source = report(tmp_path, *(findings or (change(),)))
        arguments = ["migrate", "write", "--from", str(source), "--out", str(out), "--alembic", "no", *more]
        code = cli.main(arguments)
        assert code == 0, capsys.readouterr().err
        capsys.readouterr()
        return out

    return made


class Child:
    """`harden migrate` as a process; `lines` is what it has said on stderr so far."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "launch.py"), "migrate", *arguments], env=clean_environ(),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.lines: list[str] = []
        self.results: list[str] = []
        pairs = ((self.process.stdout, self.results), (self.process.stderr, self.lines))
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pairs]
        for each in self._readers:
            each.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    def saying(self, words: str) -> list[str]:
        """The lines that have these words."""
        return [each for each in self.lines if words in each]

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(60)
        for each in self._readers:
            each.join(60)
        return code


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """A function that starts `harden migrate`; what still runs at the end is killed."""
    started: list[Child] = []

    def start(*arguments: str) -> Child:
        started.append(Child(*arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.end()
