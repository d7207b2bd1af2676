"""Databases of their own for the doctor's tests, and a `Target` on one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from scripts.database import open_database
from scripts.doctor.advice import Advice, LiveRule
from scripts.doctor.session import Session
from scripts.doctor.target import Options, Target
from scripts.stack.postgres import Cluster

_numbers = itertools.count()
Make = Callable[..., str]


@pytest.fixture
def make_database(cluster: Cluster) -> Iterator[Make]:
    """A function that makes a database, runs SQL in it, and returns its name."""
    made: list[str] = []

    def make(sql: str = "", on: Cluster = cluster) -> str:
        name = f"doctor_{next(_numbers)}"
        on.create_database(name, on.user)
        made.append(name)
        stops.callback(on.drop_database, name)
        if sql:
            on.execute(sql, dbname=name)
        return name

    with ExitStack() as stops:
        yield make


@pytest.fixture
def look(cluster: Cluster, make_database: Make) -> Iterator[Callable[..., list[Advice]]]:
    """A function that lets a rule look at a database: `look(RULE, sql, rows=..., **options)`."""
    with ExitStack() as stops:

        def look_at(rule: LiveRule, sql: str = "", *, name: str = "", on: Cluster = cluster,
                    **options: Any) -> list[Advice]:  # fmt: skip
            name = name or make_database(sql, on=on)
            session = Session(open_database(on.dsn(name), "harden doctor"), 30.0)
            stops.callback(session.close)
            return list(rule.check(Target(session, Options(**options))))

        yield look_at
