"""The chain of sizes: what is planned always fits into PostgreSQL, the rest is refused with the change."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from deploy.description import Description
from deploy.plan import Plan, PlanError, plan
from deploy.plan_sizes import sizes

from .descriptions import DESCRIPTIONS, described, hosts


@given(DESCRIPTIONS)
@settings(max_examples=200, deadline=None)
def test_what_is_planned_cannot_exhaust_postgresql_and_every_client_gets_in(description: Description) -> None:
    """The worst case: both releases alive, each PgBouncer process and the spare full and replacing one."""
    try:
        planned = plan(description)
    except PlanError as error:
        assert error.problems
        return
    database = description.database
    reserved = database.reserved if database.version >= 16 else 0
    processes = planned.bouncers + planned.spares
    opened = processes * (planned.max_db_connections + 1) if planned.bouncers else 2 * planned.clients
    assert opened == planned.server_connections
    assert opened + database.direct + database.superuser_reserved + reserved <= database.max_connections
    _check_clients(description, planned)


def _check_clients(description: Description, planned: Plan) -> None:
    of_host = planned.workers * planned.pool_max
    assert planned.clients == len(description.hosts.app) * of_host
    assert planned.pool_max == planned.threads
    if not planned.bouncers:
        assert planned.max_client_conn == planned.open_files == planned.max_db_connections == 0
        return
    is_local = description.pgbouncer.place == "app"
    coming = of_host if is_local else planned.clients
    assert planned.max_client_conn == 2 * coming + 20
    assert planned.open_files > planned.max_client_conn + planned.max_db_connections
    assert planned.pool_size >= 1
    assert 0 <= planned.min_pool_size <= planned.pool_size
    assert planned.pool_size + planned.reserve_pool_size + planned.session_pool <= planned.max_db_connections
    if description.pgbouncer.mode == "session":
        assert planned.pool_size == 2 * coming
        return
    assert planned.pool_size + planned.reserve_pool_size <= coming
    assert planned.reserve_pool_size <= planned.pool_size / 4


@given(DESCRIPTIONS)
@settings(max_examples=100, deadline=None)
def test_each_change_that_a_refusal_names_is_enough_by_itself(description: Description) -> None:
    try:
        plan(description)
    except PlanError as error:
        for problem in error.problems:
            for changed in _changes(description, problem):
                left = _problems(changed)
                assert not any(line.startswith(problem[:20]) for line in left), (problem, left)


def _changes(description: Description, problem: str) -> list[Description]:
    found = []
    pattern = r"(?:set|lower|raise) (\w+)\.(\w+) (?:=|to) (\S+?)(?=$| or )"
    for section, name, value in re.findall(pattern, problem):
        new: Any = {"true": True, '"database"': "database"}.get(value) or int(value)
        found.append(replace(description, **{section: replace(getattr(description, section), **{name: new})}))
    assert len(found) == problem.count(" or ") + 1 or "no one number" in problem
    return found


def _problems(description: Description) -> list[str]:
    try:
        plan(description)
    except PlanError as error:
        return error.problems
    return []


def test_one_host_with_the_defaults() -> None:
    planned = plan(described())
    assert (planned.workers, planned.threads, planned.pool_max, planned.clients) == (2, 8, 8, 16)
    assert (planned.bouncers, planned.pool_size, planned.min_pool_size, planned.reserve_pool_size) == (1, 8, 4, 1)
    assert (planned.session_pool, planned.max_db_connections, planned.max_client_conn) == (2, 11, 52)
    assert (planned.spares, planned.server_connections, planned.server_limit) == (1, 24, 97)
    assert (planned.pool_timeout, planned.graceful, planned.stop) == (7, 25, 35)


@pytest.mark.parametrize(
    ("sections", "sized"),
    [
        # a core of PostgreSQL keeps four busy; processes share that
        ({"database": {"cores": 8}, "hosts": {"app": hosts(4), "cores": 4}}, {"bouncers": 4, "pool_size": 8}),
        ({"database": {"cores": 8}, "hosts": {"app": hosts(4), "cores": 4}, "pgbouncer": {"place": "database"}},
         {"bouncers": 1, "pool_size": 32, "reserve_pool_size": 6, "max_client_conn": 276}),
        # never more than clients can use
        ({"database": {"cores": 64}, "server": {"threads": 2}}, {"pool_size": 4, "reserve_pool_size": 0}),
        ({"server": {"worker_class": "sync", "threads": 16}}, {"threads": 1, "pool_max": 1, "pool_size": 2}),
        # what max_connections leaves
        ({"database": {"cores": 64, "max_connections": 40}, "hosts": {"cores": 16}},
         {"pool_size": 9, "reserve_pool_size": 1, "server_connections": 26}),
        ({"database": {"version": 16, "reserved": 5}}, {"server_limit": 92}),
        ({"database": {"version": 15, "reserved": 5}}, {"server_limit": 97}),
        ({"pgbouncer": {"auth": "query"}}, {"max_db_connections": 13}),
        ({"pgbouncer": {"enabled": False}},
         {"bouncers": 0, "server_connections": 32, "max_db_connections": 0, "pool_timeout": 6}),
        ({"pgbouncer": {"mode": "session"}}, {"pool_size": 32, "server_connections": 70}),
        # a spare where there is room for one, and where a socket's file says who gets the clients
        ({"database": {"max_connections": 22}}, {"spares": 0, "pool_size": 5, "server_connections": 9}),
        ({"database": {"max_connections": 23}}, {"spares": 1, "pool_size": 2, "server_connections": 10}),
        ({"database": {"host": "192.0.2.9"}, "hosts": {"app": hosts(2)}, "pgbouncer": {"place": "database"}},
         {"bouncers": 1, "spares": 0}),
        ({"hosts": {"app": hosts(3)}, "pgbouncer": {"processes": 2}}, {"bouncers": 6, "spares": 1}),
        ({"server": {"workers": 5}}, {"workers": 5}),
        ({"hosts": {"cores": 1}}, {"workers": 2}),
    ],
)  # fmt: skip
def test_each_rule_of_sizing(sections: dict[str, dict[str, Any]], sized: dict[str, int]) -> None:
    planned = plan(described(**sections))
    assert {name: getattr(planned, name) for name in sized} == sized


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"pgbouncer": {"enabled": False}, "hosts": {"app": hosts(3), "cores": 4}},
         "2 releases x 96 pooled connections (both run during a deploy) and 10 direct ones are 202, but of "
         "max_connections=100 97 are not reserved; set pgbouncer.enabled = true or lower server.threads to 3 or "
         "raise database.max_connections to 205"),
        ({"pgbouncer": {"processes": 20}, "hosts": {"app": hosts(3)}},
         "60 PgBouncer processes x 5 connections, the fewest that work, and 10 direct ones are 310, but of "
         "max_connections=100 97 are not reserved; lower pgbouncer.processes to 5 or raise "
         "database.max_connections to 313"),
        ({"hosts": {"app": hosts(30)}},
         "30 PgBouncer processes x 5 connections, the fewest that work, and 10 direct ones are 160, but of "
         "max_connections=100 97 are not reserved; set pgbouncer.place = \"database\" or raise "
         "database.max_connections to 163"),
        ({"database": {"direct": 5000}},
         "1 PgBouncer process x 5 connections, the fewest that work, and 5000 direct ones are 5005, but of "
         "max_connections=100 97 are not reserved; lower database.direct to 92 or raise database.max_connections "
         "to 5008"),
        ({"pgbouncer": {"place": "database"}, "server": {"workers": 512, "threads": 256},
          "hosts": {"app": hosts(9)}},
         "a PgBouncer process needs 2359527 open files, and Linux gives 1048576 at most; lower server.threads to "
         "113 or lower server.workers to 227"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_does_not_fit_and_what_to_change(
    sections: dict[str, dict[str, Any]], problem: str
) -> None:
    with pytest.raises(PlanError) as caught:
        plan(described(**sections))
    assert caught.value.problems == [problem]


def test_sizes_and_timeouts_are_refused_together() -> None:
    description = described(pgbouncer={"processes": 64}, database={"max_connections": 20}, timeouts={"lock": 9})
    with pytest.raises(PlanError) as caught:
        plan(description)
    assert len(caught.value.problems) == 2
    assert sizes(description).server_connections > sizes(description).server_limit
