"""What an index brings: asked of the planner with HypoPG, of a generated copy, or estimated; and when it pays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from scripts.database import open_database
from scripts.doctor.proof.gain import Gain, gains
from scripts.doctor.session import Session
from scripts.doctor.target import Options, Target
from scripts.doctor.workload.proposals import proposals
from scripts.stack.binaries import hypopg_of
from scripts.stack.postgres import Cluster

SCHEMA = """
    CREATE TABLE items (id bigint PRIMARY KEY, email text, code int, tags text[], info jsonb);
    INSERT INTO items SELECT g, 'm' || g, g % 500, ARRAY['t' || g % 90], jsonb_build_object('k', g % 7)
        FROM generate_series(1, 20000) g;
    ANALYZE;
"""


@pytest.fixture(scope="module")
def asked(cluster: Cluster) -> Iterator[str]:
    """A database that was asked for a row by e-mail 500 times."""
    name = "doctor_gain"
    cluster.create_database(name, cluster.user)
    cluster.execute(SCHEMA, dbname=name)
    with closing(cluster.connect(name)) as conn, conn.cursor() as cursor:
        for number in range(500):
            cursor.execute("SELECT id FROM items WHERE email = %s", (f"m{number}",))
    yield name
    cluster.drop_database(name)


def _gain(cluster: Cluster, name: str, prove: str) -> Gain:
    with closing(Session(open_database(cluster.dsn(name), "harden doctor"), 30.0)) as session:
        target = Target(session, Options(prove=prove))
        made = proposals(target)
        assert [each.keys for each in made] == [("email",)]
        return gains(target, made)[0]


def test_an_estimate_says_that_it_is_one(cluster: Cluster, asked: str) -> None:
    found = _gain(cluster, asked, "off")
    assert (found.by, found.calls, found.writes) == ("estimate", 500, 20_000)
    assert found.times > 20
    assert found.pays


def test_the_planner_is_asked_with_hypopg_and_nothing_is_made(cluster: Cluster, asked: str) -> None:
    if hypopg_of(cluster._bin) is None:
        pytest.skip("HypoPG is not installed (apt-get install postgresql-15-hypopg)")
    cluster.execute("CREATE EXTENSION IF NOT EXISTS hypopg", dbname=asked)
    found = _gain(cluster, asked, "hypopg")
    assert found.by == "HypoPG"
    assert found.times > 20
    assert cluster.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'items'", dbname=asked) == [(1,)]
    assert cluster.execute("SELECT count(*) FROM pg_prepared_statements", dbname=asked) == [(0,)]
    cluster.execute("DROP EXTENSION hypopg", dbname=asked)


def test_a_copy_with_generated_rows_gives_the_same_order_of_gain(cluster: Cluster, asked: str) -> None:
    found = _gain(cluster, asked, "copy")
    assert found.by == "a copy with generated rows"
    assert 10 < found.times < 1000


@pytest.mark.parametrize(
    ("calls", "writes", "after", "pays"),
    [(100, 0, 1.0, True), (100, 9_000, 1.0, True), (100, 11_000, 1.0, False), (-1, 10**9, 1.0, True),
     (10**6, 0, 60.0, False)],
)  # fmt: skip
def test_reads_have_to_pay_for_writes(calls: int, writes: int, after: float, pays: bool) -> None:
    assert Gain(100.0, after, 0, "estimate", writes, calls).pays is pays
