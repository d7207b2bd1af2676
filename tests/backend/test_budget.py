"""Whether workers x maxconn fit into what a server allows."""

from __future__ import annotations

import pytest

from backend.budget import Limits, over


def test_what_fits_exactly_is_not_told() -> None:
    assert over(4, 24, Limits(100, 3)) == ""
    assert over(97, 1, Limits(100, 3)) == ""


def test_one_more_is_told_with_the_numbers_and_the_next_step() -> None:
    assert over(4, 25, Limits(100, 3)) == (
        "4 workers x 25 connections = 100, and 97 are allowed (max_connections=100 less 3 reserved); set "
        "DB_POOL_MAX=24, or put PgBouncer before the server; scripts/harden plan sizes the whole chain"
    )


@pytest.mark.parametrize(
    ("limits", "said"),
    [(Limits(100, 3, of_role=7), "7 are allowed (the role's CONNECTION LIMIT); set DB_POOL_MAX=3"),
     (Limits(100, 3, of_database=0), "0 are allowed (the database's CONNECTION LIMIT); run fewer workers"),
     (Limits(5, is_bouncer=True), "5 are allowed (PgBouncer's max_client_conn); set DB_POOL_MAX=2, or raise "
                                  "max_client_conn")],
)  # fmt: skip
def test_the_narrowest_limit_is_named(limits: Limits, said: str) -> None:
    assert said in over(2, 8, limits)
