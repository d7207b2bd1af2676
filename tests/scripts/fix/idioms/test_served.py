"""Apps of every idiom, before and after they are fixed, on a real PostgreSQL: the same answers, from a pool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

import backend
from scripts.stack.postgres import Cluster

from ....conftest import ROLE
from ..fixing import fixed
from .apps import IDIOMS

RULES = (
    "connect-per-request", "no-connect-timeout", "no-statement-timeout", "global-shared-connection",
    "leaked-connection", "missing-rollback",
)  # fmt: skip
DRIVE = Path(__file__).with_name("drive.py")
REQUESTS, THREADS = 24, 4
NOT_SERVED = shutil.ignore_patterns("shop", "__pycache__")


@pytest.fixture(scope="module")
def served(
    cluster: Cluster, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What all apps answer one by one as they were, and in threads as they are mended, by idiom."""
    dsn = cluster.dsn(database, ROLE)
    before, after = (tmp_path_factory.mktemp(name) for name in ("before", "after"))
    shutil.copytree(Path(backend.__file__).parent, after / "hardened", ignore=NOT_SERVED)
    for schema, files in zip(schemas(), IDIOMS.values(), strict=True):
        mended = fixed(files, *RULES)
        assert not mended.left, mended.reasons
        for folder, text in ((before, files["app.py"]), (after, mended.files["app.py"])):
            (folder / schema).mkdir()
            (folder / schema / "app.py").write_text(text)
    try:
        yield driven(before, dsn, 1), driven(after, dsn, THREADS)
    finally:
        with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute("; ".join(f"DROP SCHEMA IF EXISTS {schema} CASCADE" for schema in schemas()))


def schemas() -> list[str]:
    """Return the names of the idioms' schemas, which are those of their folders."""
    return [f"idiom{number:02}" for number in range(len(IDIOMS))]


def driven(folder: Path, dsn: str, threads: int) -> dict[str, Any]:
    """Return what the apps of a folder answer, and how many rows each of them added."""
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        for schema in schemas():
            cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
            cursor.execute(f"CREATE TABLE {schema}.idiom (id int PRIMARY KEY, name text)")
            cursor.execute(f"INSERT INTO {schema}.idiom VALUES (0, 'a'), (1, 'b'), (2, 'c')")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("DB_", "HARDEN_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(DRIVE), str(folder), str(threads)], capture_output=True, text=True,
        timeout=120, env={**environ, "DSN": dsn, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    with closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        for schema in schemas():
            cursor.execute(f"SELECT count(*) FROM {schema}.idiom WHERE id >= 100")
            ((found[schema]["added"],),) = cursor.fetchall()
    return dict(zip(IDIOMS, found.values(), strict=True))


@pytest.mark.parametrize("idiom", IDIOMS)
def test_a_mended_app_answers_the_same_from_one_connection_per_request(
    idiom: str, served: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, after = (each[idiom] for each in served)
    assert after["answers"] == before["answers"]
    assert after["added"] == before["added"] == REQUESTS
    (pool,) = after["pools"]
    assert pool["used"] == 0 and 0 < pool["opened"] <= THREADS, pool
