"""Every method on real servers: the same value, whoever asks and however many children there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import psycopg2
import pytest

from scripts.bench.queries.compare import difference
from scripts.bench.queries.methods import METHODS, Method, Route, function_ddl
from scripts.bench.queries.shop import SETTINGS, Shop
from scripts.stack import Stack

NUMBERS = (0, 1, 7, 20, 200)
MODULES = {"sqlalchemy": "sqlalchemy", "psycopg[binary]": "psycopg"}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """The small shop on a cluster of its own."""
    with Stack() as stack, closing(Shop(stack.postgres(SETTINGS), "small")) as running:
        yield running


@pytest.fixture(scope="module")
def customers(shop: Shop) -> dict[int, int]:
    """A customer for each number of children; seven are nobody's in the seed."""
    return {number: shop.customer(number) for number in NUMBERS}


@pytest.fixture(scope="module")
def expected(shop: Shop, customers: dict[int, int]) -> dict[int, Any]:
    """What our own method answers."""
    with psycopg2.connect(shop.dsn) as conn, conn.cursor() as cursor:
        cursor.execute(function_ddl())
    conn.close()
    handle = METHODS[0].open(Route(shop.dsn))
    found = {number: json.loads(handle.profile(customer_id)) for number, customer_id in customers.items()}
    handle.close()
    return found


def test_the_customers_have_the_children_that_were_asked_for(expected: dict[int, Any]) -> None:
    assert {number: len(value["appointments"]) for number, value in expected.items()} == {
        number: number for number in NUMBERS
    }
    seven = expected[7]["appointments"]
    assert any(each["services"] for each in seven) and any(each["messages"] for each in seven)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.key)
def test_every_method_gives_the_same_value(
    method: Method, shop: Shop, customers: dict[int, int], expected: dict[int, Any]
) -> None:
    missing = [name for name in method.packages if find_spec(MODULES[name]) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed here")
    handle = method.open(Route(shop.dsn))
    try:
        for number, customer_id in customers.items():
            assert difference(expected[number], json.loads(handle.profile(customer_id))) is None, number
    finally:
        handle.close()


def test_a_leased_connection_keeps_the_plan(shop: Shop, customers: dict[int, int]) -> None:
    (leased,) = [method for method in METHODS if method.key == "ours-kept"]
    handle = leased.open(Route(shop.dsn))
    try:
        for _ in range(5):
            handle.profile(customers[7])
        assert handle.plans() == 1
    finally:
        handle.close()


def test_the_server_counts_statements(shop: Shop, customers: dict[int, int], expected: dict[int, Any]) -> None:
    counts = {}
    for method in METHODS:
        if method.key in ("ours", "ours-function", "n-plus-1", "batched", "join", "cte"):
            handle = method.open(Route(shop.dsn))
            counts[method.key] = shop.counted(lambda profile=handle.profile: profile(customers[20]))
            handle.close()
    assert counts == {"ours": 1, "ours-function": 1, "n-plus-1": 61, "batched": 5, "join": 1, "cte": 1}
