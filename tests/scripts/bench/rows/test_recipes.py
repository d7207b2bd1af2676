"""docs/row-patterns.md: both sides of each recipe return the same, and the second one fetches less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import RealDictCursor

from scripts.bench.rows.command import fill
from scripts.bench.rows.recipes import PAGE, Pair, pairs
from scripts.errors import CommandError
from scripts.stack import Stack

TEXT = PAGE.read_text(encoding="utf-8")
PAIRS = pairs(TEXT)


class Counting(RealDictCursor):
    """Counts the values that come to the client."""

    values = 0

    def fetchall(self) -> Any:
        Counting.values += self.rowcount * len(self.description)
        return super().fetchall()

    def fetchone(self) -> Any:
        Counting.values += len(self.description)
        return super().fetchone()


@pytest.fixture(scope="module")
def orders() -> Iterator[Any]:
    with Stack() as stack:
        cluster = stack.postgres()
        cluster.create_role("shop")
        cluster.create_database("shop", "shop")
        fill(cluster.dsn("shop", "shop"), TEXT, 2000)
        conn = psycopg2.connect(cluster.dsn("shop", "shop"), cursor_factory=Counting)
        yield conn
        conn.close()


def _values(pair_side: Any, conn: Any) -> tuple[Any, int]:
    before = Counting.values
    return pair_side(conn), Counting.values - before


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.title for pair in PAIRS])
def test_both_sides_return_the_same_and_the_second_one_fetches_less(orders: Any, pair: Pair) -> None:
    answer, many = _values(pair.before, orders)
    again, few = _values(pair.after, orders)
    assert again == answer and answer
    assert few < many


def test_every_section_with_code_is_a_recipe() -> None:
    assert len(PAIRS) == TEXT.count("```python\n# before\n") == TEXT.count("```python\n# after\n") >= 8


def test_a_recipe_with_one_side_only_is_an_error() -> None:
    with pytest.raises(CommandError, match="'Half' has no after"):
        pairs("## Half\n\n```python\n# before\ndef before(conn): ...\n```\n")
