"""The table's rows: each number has a reason and a source, and the sums are the plan's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from deploy.description import SECTIONS, Description
from deploy.plan_rows import COMPUTED, rows
from deploy.plan_sizes import sizes

from .descriptions import DESCRIPTIONS, described


@given(DESCRIPTIONS)
@settings(max_examples=100, deadline=None)
def test_every_number_has_a_reason_and_comes_from_a_key_or_is_computed(description: Description) -> None:
    keys = {f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.__dataclass_fields__}
    shown = rows(description)
    assert len({(row.section, row.name) for row in shown}) == len(shown)
    for row in shown:
        assert row.reason
        assert row.source == COMPUTED or row.source in keys
    plan = sizes(description)
    found = {row.name: row.value for row in shown}
    assert found["worst case"] == plan.server_connections + description.database.direct
    assert found["not reserved"] == plan.server_limit
    assert ("PgBouncer processes" in found) == bool(plan.bouncers)


@pytest.mark.parametrize(
    ("sections", "name", "reason"),
    [
        ({}, "pool_size of each",
         "4 x 2 cores of PostgreSQL, past which queries only wait inside it; "
         "8 in all serve 400 transactions of 20 ms a second"),
        ({"database": {"cores": 64}}, "pool_size of each",
         "no more than there are clients; 16 in all serve 800 transactions of 20 ms a second"),
        ({"database": {"cores": 64, "max_connections": 39}}, "pool_size of each",
         "what max_connections leaves; 4 x 64 cores could be used; "
         "9 in all serve 450 transactions of 20 ms a second"),
        ({"pgbouncer": {"mode": "session"}}, "pool_size of each",
         "a client keeps its connection for as long as it lives, so that there is one for each"),
        ({"pgbouncer": {"auth": "query"}}, "connections of each",
         "8 + 1 + 2 + 2 to ask for verifiers; max_db_connections holds it whatever logs in"),
        ({"pgbouncer": {"enabled": False}}, "server connections",
         "2 x 16: without PgBouncer each pooled connection is one of the server's"),
        ({"server": {"worker_class": "sync"}}, "threads of each",
         "a sync worker has one, whatever server.threads says"),
        ({"server": {"workers": 3}}, "workers of each", "as given"),
        ({}, "spare processes",
         "stands in while another restarts, so that none is cut off; one host after the other"),
        ({"database": {"max_connections": 22}}, "spare processes",
         "none: max_connections has no room for it, and a restart closes its clients' connections"),
        ({}, "server connections",
         "(1 + 1 spare) x (11 + 1 that ends while the next one opens), however many clients there are"),
    ],
)  # fmt: skip
def test_the_reason_says_what_bounds_the_number(
    sections: dict[str, dict[str, Any]], name: str, reason: str
) -> None:
    [row] = [row for row in rows(described(**sections)) if row.name == name]
    assert row.reason == reason


def test_reserved_connections_stand_there_where_the_version_has_them() -> None:
    names = [[row.name for row in rows(described(database={"version": version}))] for version in (15, 16)]
    assert [list_of.count("reserved") for list_of in names] == [0, 1]
