"""Warnings of a plan: what works and may not be meant, and nothing about what is usual."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from deploy.description import Description
from deploy.plan_sizes import sizes
from deploy.plan_warnings import warnings

from .descriptions import DESCRIPTIONS, described, hosts


def _warnings(**sections: dict[str, Any]) -> list[str]:
    description = described(**sections)
    return warnings(description, sizes(description))


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"hosts": {"app": hosts(3), "cores": 4}},
        {"pgbouncer": {"enabled": False}},
        {"database": {"version": 16, "reserved": 5}},
        {"hosts": {"memory_mb": 496}},
    ],
)
def test_the_usual_is_left_alone(sections: dict[str, dict[str, Any]]) -> None:
    assert _warnings(**sections) == []


@pytest.mark.parametrize(
    ("sections", "warning"),
    [
        ({"hosts": {"memory_mb": 495}},
         "2 releases x 2 workers x 60 MB and 256 MB for the system are 496 MB, but hosts.memory_mb=495; "
         "lower server.workers (threads cost hardly any memory)"),
        ({"database": {"direct": 0}},
         "database.direct=0 leaves no connection for migrations, backup, monitoring and people; 10 are usual"),
        ({"database": {"version": 15, "reserved": 5}},
         "database.reserved=5 counts for nothing: PostgreSQL 15 lacks it"),
        ({"pgbouncer": {"mode": "session"}},
         "pgbouncer.mode=session lends a connection for a client's life and so saves none; transaction does"),
        ({"timeouts": {"query_wait": 16}},
         "a query may wait 16 s (timeouts.query_wait) and run 20 s (timeouts.statement), together past "
         "timeouts.proxy=35"),
        ({"database": {"max_connections": 22}},
         "there is no room for a spare PgBouncer process, so that its restarts cut off requests; "
         "raise database.max_connections to 23, now 22"),
        ({"database": {"cores": 16, "max_connections": 39}, "hosts": {"cores": 8}},
         "the pools have 9 connections, below 32, which PostgreSQL's 16 cores can use; "
         "raise database.max_connections, now 39, or lower pgbouncer.session_pool"),
    ],
)  # fmt: skip
def test_what_may_not_be_meant_is_one_line_with_its_numbers(
    sections: dict[str, dict[str, Any]], warning: str
) -> None:
    assert _warnings(**sections) == [warning]


@given(DESCRIPTIONS)
@settings(max_examples=50, deadline=None)
def test_a_warning_is_always_one_line(description: Description) -> None:
    assert not any("\n" in line for line in warnings(description, sizes(description)))
