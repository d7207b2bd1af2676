"""The pool under gevent: greenlets wait in turn, may be killed anywhere, and no slot is lost.

Each mode is one process (tests/support/apps/greenlets.py), run once; the tests look at what it found.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scripts.stack.postgres import Cluster

SCRIPT = Path(__file__).resolve().parents[2] / "support" / "apps" / "greenlets.py"
MODES = ["green", "blocking"]
Found = Callable[[str, str], dict[str, Any]]
pytestmark = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed (pip install gevent)")


@pytest.fixture(scope="module")
def found(cluster: Cluster, database: str) -> Found:
    """What a case of a mode found: `found(mode, case)`."""
    dsn, modes = cluster.dsn(database, "app"), {}

    def look(mode: str, case: str) -> dict[str, Any]:
        if mode not in modes:
            done = subprocess.run(
                [sys.executable, str(SCRIPT), dsn, mode], capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            modes[mode] = json.loads(done.stdout)
        seen: dict[str, Any] = modes[mode][case]
        assert "error" not in seen, seen["error"]
        return seen

    return look


@pytest.mark.parametrize("mode", MODES)
class TestGreenlets:
    def test_sixty_greenlets_on_two_connections_are_served_in_the_order_they_came(
        self, found: Found, mode: str
    ) -> None:
        seen = found(mode, "first_come_first_served")
        assert (seen["waiting"], seen["in_order"], seen["wrong"]) == (60, True, 0)
        assert seen["backends"] == seen["opened"] == 2
        assert seen["figures"] == [2, 2, 0, 0]

    def test_forty_greenlets_get_the_answers_to_their_own_1600_questions(self, found: Found, mode: str) -> None:
        seen = found(mode, "under_load_every_answer_is_right")
        assert (seen["wrong"], seen["opened"], seen["figures"]) == (0, 3, [3, 3, 0, 0])

    def test_greenlets_that_wait_time_out_and_the_others_go_on_meanwhile(self, found: Found, mode: str) -> None:
        seen = found(mode, "those_who_wait_time_out_while_others_go_on")
        assert seen["timed_out"] == 5 and seen["ticked"]
        assert 0.19 <= seen["shortest"] <= seen["longest"] < 2
        assert seen["figures"] == [1, 1, 0, 0]

    def test_a_gevent_timeout_between_queries_rolls_back_and_keeps_the_connection(
        self, found: Found, mode: str
    ) -> None:
        seen = found(mode, "timed_out_between_queries")
        assert (seen["caught"], seen["rows"], seen["same"]) == (True, 1, True)
        assert seen["figures"] == [1, 1, 0, 0]

    def test_a_greenlet_killed_while_it_waits_passes_on_what_it_was_handed(self, found: Found, mode: str) -> None:
        assert found(mode, "killed_while_it_waits") == {"served": True, "figures": [1, 1, 0, 0]}

    def test_the_look_at_the_socket_switches_to_no_other_greenlet(self, found: Found, mode: str) -> None:
        """gevent's poll would: 1000 checkouts let others in 0 times."""
        assert found(mode, "a_checkout_does_not_switch") == {"switched": 0, "is_original": True}

    def test_a_backend_that_was_terminated_is_replaced(self, found: Found, mode: str) -> None:
        assert found(mode, "a_terminated_backend_is_replaced") == {"replaced": True, "figures": [1, 1, 0, 0]}

    def test_a_second_close_leaves_another_greenlets_lease_alone(self, found: Found, mode: str) -> None:
        seen = found(mode, "a_second_close_leaves_the_next_holder_alone")
        assert seen == {"seen": [True, "mine is closed", 42], "failed": "None", "figures": [1, 1, 0, 0]}

    def test_the_drop_in_takes_each_greenlet_for_a_caller_of_its_own(self, found: Found, mode: str) -> None:
        assert found(mode, "the_drop_in_serves_greenlets") == {"wrong": 0, "backends": 2, "nested": 0}

    def test_a_forked_child_has_backends_and_a_housekeeper_of_its_own(self, found: Found, mode: str) -> None:
        seen = found(mode, "a_fork_leaves_the_parents_greenlets_behind")
        assert seen["child"] == {"own": True, "housekeepers": 1, "idle": 2}
        assert seen["same"]

    def test_the_parents_housekeeper_does_nothing_in_a_forked_child(self, found: Found, mode: str) -> None:
        assert found(mode, "a_fork_leaves_the_parents_greenlets_behind")["errors"] == []


class TestKilledGreenlets:
    """With a wait callback a greenlet can die inside any call of psycopg2, which then closes the connection."""

    def test_one_killed_in_mid_query_loses_the_connection_and_not_the_slot(self, found: Found) -> None:
        seen = found("green", "killed_in_mid_query")
        assert seen == {"served": 1, "soon": True, "opened": 2, "closed": 1, "figures": [1, 1, 0, 0]}

    def test_a_gevent_timeout_in_mid_query_frees_the_slot(self, found: Found) -> None:
        seen = found("green", "timed_out_in_mid_query")
        assert seen == {"caught": True, "after": [0, 0, 0, 0], "again": True, "figures": [1, 1, 0, 0]}

    def test_one_killed_at_any_step_of_connecting_frees_the_slot(self, found: Found) -> None:
        seen = found("green", "killed_while_it_connects")
        assert seen == {"died": 3, "used": 0, "again": True, "figures": [1, 1, 0, 0]}

    def test_one_killed_in_the_reset_of_its_return_frees_the_slot(self, found: Found) -> None:
        assert found("green", "killed_while_it_gives_back") == {"died": 3, "again": True, "figures": [1, 1, 0, 0]}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("first_come_first_served", {"in_order": True, "wrong": 0}),
        ("a_second_close_leaves_the_next_holder_alone", {"seen": [True, "mine is closed", 42]}),
        ("the_drop_in_serves_greenlets", {"wrong": 0, "backends": 2, "nested": 0}),
    ],
)
def test_monkey_patching_after_the_import_of_the_runtime_changes_nothing(
    found: Found, case: str, expected: dict[str, Any]
) -> None:
    """What `gunicorn --preload -k gevent` does to an app that is not served with our gunicorn.conf.py."""
    seen = found("late", case)
    assert {name: seen[name] for name in expected} == expected
