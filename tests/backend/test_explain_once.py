"""One EXPLAIN on a real server: no value in its plan, nothing left behind, no connection taken from anybody."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from backend.explain_once import ask_plan, idle_connection
from backend.plan_text import plan_text

from .conftest import MakePool


@pytest.mark.usefixtures("explained")
@pytest.mark.parametrize("autocommit", [False, True])
def test_the_connection_comes_back_as_it_was(make_pool: MakePool, autocommit: bool) -> None:
    with make_pool(1, 1).connection() as conn:
        conn.autocommit = autocommit
        pid = conn.info.backend_pid
        ask_plan(conn, b"SELECT * FROM explained WHERE number = 1")
        with pytest.raises(psycopg2.errors.UndefinedTable):
            ask_plan(conn, b"SELECT * FROM no_such")
        assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE
        with conn.cursor() as cursor:
            cursor.execute("""
                SELECT pg_backend_pid(), current_setting('transaction_read_only'), current_setting('lock_timeout'),
                       current_setting('statement_timeout')""")
            assert cursor.fetchone() == (pid, "off", "0", "0")
        assert conn.notices == []


@pytest.mark.usefixtures("explained")
def test_sessions_that_are_serializable_and_deferrable_do_not_wait_for_others(dsn: str) -> None:
    options = "-c default_transaction_isolation=serializable -c default_transaction_deferrable=on"
    with closing(psycopg2.connect(dsn, options=options)) as writer, closing(
        psycopg2.connect(dsn, options=options)
    ) as conn:
        writer.cursor().execute("INSERT INTO written VALUES (1)")
        plan, _ = ask_plan(conn, b"SELECT * FROM written")
        assert plan["Node Type"] == "Seq Scan"
        writer.rollback()


def test_no_connection_is_opened_and_the_last_free_one_is_left_alone(make_pool: MakePool) -> None:
    pool = make_pool(0, 3)
    assert idle_connection(pool, 0.0) is None
    first, second = pool.getconn(), pool.getconn()
    assert idle_connection(pool, 0.0) is None
    pool.putconn(first)
    got = idle_connection(pool, 0.0)
    assert got is first
    pool.putconn(got)
    pool.resize(0, 2)
    assert idle_connection(pool, 0.0) is None  # one is left of two: it is the app's
    pool.putconn(second)
    assert idle_connection(pool, 0.0) is not None
    pool.closeall()
    assert idle_connection(pool, 10.0) is None


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12)


@pytest.mark.usefixtures("explained")
def test_no_literal_survives_in_a_plan(dsn: str) -> None:
    """Whatever a value is made of, and wherever it stands, its marker is not in the text of the plan."""
    places = (
        "SELECT * FROM explained WHERE note = {t}",
        "SELECT * FROM explained WHERE note LIKE {t} ORDER BY note || {t}",
        "SELECT * FROM explained WHERE number = {n} OR ref IN ({n}, 5)", "SELECT * FROM explained LIMIT {n}",
        "SELECT * FROM generate_series(1, {n}) WHERE {t} = {t}", "SELECT note || {t} FROM explained GROUP BY 1",
        'WITH "it\'s" AS MATERIALIZED (SELECT {t} AS x) SELECT * FROM "it\'s" WHERE x = {t}',
        "SELECT * FROM (VALUES ({t}, {n}), ('a', 1)) v (\"it's\", b) WHERE \"it's\" > {t}",
        "SELECT * FROM explained a JOIN explained b ON a.note = b.note || {t} AND a.number = b.ref + {n}",
        "SELECT sum(number) FILTER (WHERE note <> {t}) FROM explained HAVING max(note) > {t}",
        "SELECT * FROM explained TABLESAMPLE bernoulli (0.9182736) WHERE note ~ {t}",
        "SELECT row_number() OVER (PARTITION BY note || {t} ORDER BY number + {n}) FROM explained",
        "SELECT (SELECT max(note) FROM explained b WHERE b.note > {t} AND b.ref = a.ref) FROM explained a",
        "SELECT * FROM explained WHERE ref BETWEEN {n} AND {n} AND number = {n}",
    )  # fmt: skip

    with closing(psycopg2.connect(dsn)) as conn:

        @settings(max_examples=150, deadline=None)
        @given(st.sampled_from(places), TEXTS, TEXTS, st.booleans())
        def survives(place: str, before: str, after: str, is_modern: bool) -> None:
            cursor = conn.cursor()
            cursor.execute("SET standard_conforming_strings = %s", (is_modern,))
            conn.commit()
            text = sql.Literal(f"{before}Xmarker7{after}").as_string(conn)
            bound = place.format(t=text, n=918273645)
            try:
                plan, sentence = ask_plan(conn, bound.encode())
            except psycopg2.Error as error:
                assert error.pgcode in ("2201B", "22025"), error  # a pattern that is none
                return
            shown = plan_text(plan) + sentence
            assert "Xmarker7" not in shown
            assert "9182736" not in shown

        survives()
