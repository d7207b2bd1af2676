"""The room that an index takes: foreseen, and refused where the disk is too full."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.migrate import space
from scripts.migrate.statements import read

from .conftest import INDEX, Shop


def test_the_estimate_is_near_and_not_below_what_is_taken(shop: Shop) -> None:
    (statement,) = read(INDEX.replace("(customer_id)", "(id)").replace("customer_id", "id"), "x")
    shop.execute("INSERT INTO orders (customer_id) SELECT 1 FROM generate_series(1, 50000)")
    shop.execute("ANALYZE orders")
    shop.execute("CREATE INDEX by_id ON orders (id)")
    ((size,),) = shop.execute("SELECT pg_relation_size('by_id')")
    with closing(shop.cluster.connect(shop.name)) as conn:
        estimate = space.estimate(conn, statement)
    assert estimate is not None
    assert 0.8 * size < estimate < 1.5 * size


def test_a_table_that_was_never_counted_has_no_estimate(shop: Shop) -> None:
    shop.execute("CREATE TABLE fresh (a int)")
    (statement,) = read("CREATE INDEX CONCURRENTLY a ON public.fresh (a)", "x")
    with closing(shop.cluster.connect(shop.name)) as conn:
        assert space.estimate(conn, statement) in (None, 0)  # -1 since PostgreSQL 14


def test_a_disk_without_twice_the_room_is_refused(shop: Shop) -> None:
    (statement,) = read(INDEX, "x")
    with closing(shop.cluster.connect(shop.name)) as conn:
        ((folder,),) = shop.execute("SHOW data_directory")
        try:
            Path(folder, "base").stat()
        except PermissionError:
            pytest.skip("the server's folder is not to be seen by this user (root sees it)")
        space.refuse_full(conn, statement, 1)
        with pytest.raises(CommandError, match=r"will take about .* TB, and .* are free"):
            space.refuse_full(conn, statement, 2**60)


@pytest.mark.parametrize("size, text", [(0, "0 B"), (2048, "2 kB"), (11 * 1024**2, "11 MB"), (2**41, "2.0 TB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert space.shown(size) == text
