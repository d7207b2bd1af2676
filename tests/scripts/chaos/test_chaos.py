"""Chaos: the checks find a sabotaged shop, the real one keeps its promises, and the figures add up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.chaos import running
from scripts.chaos.faults import FAULTS
from scripts.chaos.figures import by_fault, totals
from scripts.chaos.invariants import _books, broken
from scripts.chaos.page import render_page
from scripts.chaos.people import (
    ACKED,
    FAILED,
    NOWHERE,
    READ,
    REJECTED,
    STALE,
    UNKNOWN,
    WRONG,
    Books,
    Event,
    People,
    shown,
)
from scripts.chaos.running import Run, Span
from scripts.chaos.table import lines
from scripts.chaos.world import World, build
from scripts.errors import CommandError
from scripts.stack import Stack

ROOT = Path(__file__).resolve().parents[3]
SABOTAGED = ROOT / "tests" / "support" / "apps" / "sabotaged_shop.py"
EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("sabotage", "said"),
    [
        ("double", "in the database more than once"),
        ("early", "acknowledged payment(s) are not in the database"),
        ("refused", "refused payment(s) are in the database"),
        ("leak", "idle in a transaction"),
        ("other", "was asked for, the answer is"),
    ],
)
def test_a_sabotaged_shop_is_found_out(sabotage: str, said: str) -> None:
    with Stack() as stack:
        try:
            world = build(stack, lambda _: None, {"HARDEN_APP": f"{SABOTAGED}:app", "SABOTAGE": sabotage})
        except CommandError as error:
            if "is not installed" in str(error):
                pytest.skip(str(error))
            raise
        books = Books()
        with People(world, books, 1):
            deadline = time.monotonic() + 20
            while len(books.events) < 150 and time.monotonic() < deadline:
                time.sleep(0.02)
        found = broken(world, books)
    assert any(said in sentence for sentence in found), found


def test_a_short_run_keeps_every_promise(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "launch.py"), "chaos", "--runs", "1", "--seconds", "4",
         "--seed", "3", "--faults", "kill-worker,kill-pgbouncer,crash-postgres",
         "--json", str(tmp_path / "c.json"), "--html", str(tmp_path / "c.html")],
        capture_output=True, text=True, timeout=200, env=os.environ,
    )  # fmt: skip
    if "is not installed" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 runs kept every promise" in done.stdout
    told = json.loads((tmp_path / "c.json").read_text())
    assert told["totals"]["acknowledged"] > 20
    assert told["runs"][0]["spans"]
    assert "kept every promise" in (tmp_path / "c.html").read_text()


def test_an_unknown_fault_is_named_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "launch.py"), "chaos", "--faults", "earthquake"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no fault 'earthquake'; there are kill-worker" in done.stderr


def test_every_fault_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "chaos.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"`{name}`" not in page] == []


def a_run(**changes: object) -> Run:
    run = Run(7, 100.0, 110.0)
    run.spans = [Span("kill-worker", 101.0, 101.5), Span("kill-redis", 105.0, 106.0)]
    run.events = [
        Event(100.0, 100.1, ACKED), Event(101.1, 101.6, UNKNOWN, "RemoteDisconnected"), Event(101.2, 102.3, READ),
        Event(101.3, 102.1, FAILED, "http 500"), Event(105.1, 105.2, STALE), Event(105.3, 107.0, READ),
    ]  # fmt: skip
    for name, value in changes.items():
        setattr(run, name, value)
    return run


def test_each_fault_is_charged_with_what_happened_near_it() -> None:
    redis, worker = by_fault([a_run()])
    assert (worker.fault, worker.times, worker.requests) == ("kill-worker", 1, 3)
    assert (worker.failed, worker.unknown) == (1, 1)
    assert worker.longest == pytest.approx(1.1)
    assert worker.gap == pytest.approx(2.7)  # from the last right answer until the next fault
    assert worker.recovery == pytest.approx(0.6)
    assert (redis.recovery, redis.requests) == (0.0, 2)


def test_faults_that_overlap_are_charged_to_nobody_alone() -> None:
    spans = [Span("kill-worker", 101.0, 103.0), Span("kill-redis", 102.0, 102.5)]
    assert by_fault([a_run(spans=spans)]) == []


def test_totals_count_each_kind_and_the_late() -> None:
    found = totals([a_run()])
    kinds = ("acknowledged", "read", "failed", "unknown", "stale_me", "late_1s", "late_5s")
    assert [found[name] for name in kinds] == [1, 2, 1, 1, 1, 2, 0]


def test_a_broken_promise_is_told_with_the_command_that_repeats_it() -> None:
    text = "\n".join(lines([a_run(broken=["1 payment is lost"])], 8.0))
    assert "BROKEN in the run of seed 7: 1 payment is lost" in text
    assert "scripts/harden chaos --runs 1 --seed 7 --seconds 8" in text
    assert "0 of 1 runs kept every promise" in text


def test_the_command_that_repeats_a_run_has_its_faults() -> None:
    text = "\n".join(lines([a_run(broken=["1 payment is lost"])], 8.0, "kill-worker,storm"))
    assert "--seed 7 --seconds 8 --faults kill-worker,storm" in text


def test_what_hung_since_the_fault_before_is_not_charged_to_the_next_one() -> None:
    run = a_run()
    run.events.append(Event(101.4, 105.5, UNKNOWN, "TimeoutError"))
    redis, worker = by_fault([run])
    assert (worker.unknown, redis.unknown) == (2, 0)


def test_a_payment_for_nothing_must_be_refused() -> None:
    books = Books(owner={1250: 0, 1251: 0})
    people(books)._paid(1250, "12.50", NOWHERE, 0.0, 422, {"error": "no"})
    assert (books.events[-1].kind, books.refused, books.wrong) == (REJECTED, {1250}, [])
    people(books)._paid(1251, "12.51", NOWHERE, 0.0, 201, {"id": 3, "appointment_id": 5, "amount": "12.51"})
    assert len(books.wrong) == 1


def test_what_was_told_of_one_run_is_not_told_of_the_next() -> None:
    books = Books(acknowledged={1250: 1, 1251: 2})
    assert _books(books, [(1251, 2)]) == ["1 acknowledged payment(s) are not in the database, such as 12.50"]
    assert _books(books, [(1251, 2)]) == []


def test_a_service_that_does_not_come_back_is_a_broken_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BACK_SECONDS", 0.0)
    run = a_run()
    running._wait_until_back(run, Books(), time.monotonic())
    assert not run.is_back
    assert run.broken == ["the service was not back 0 s after the last fault was healed: no answers"]


def test_a_page_escapes_what_servers_said() -> None:
    page = render_page([a_run(broken=[EVIL])], "2026-11-23", EVIL, EVIL)
    assert EVIL not in page


def test_amounts_are_read_from_a_profile_as_cents() -> None:
    profile = {"appointments": [{"payments": [{"amount": "10000000.07"}, {"amount": 12.5}]}, {"payments": []}]}
    assert shown(profile) == {1_000_000_007, 1250}


def people(books: Books) -> People:
    world = World(*[None] * 4, appointments={5: 1}, key="", ops_token="")  # type: ignore[arg-type]
    return People(world, books, 1, payers=0, readers=0)


@pytest.mark.parametrize(
    "receipt",
    [None, [], {"id": 3, "appointment_id": 5}, {"id": 3, "appointment_id": 5, "amount": None},
     {"id": 3, "appointment_id": 6, "amount": "12.50"}, {"id": 3, "appointment_id": 5, "amount": "12.51"}],
)  # fmt: skip
def test_a_receipt_that_is_not_of_this_payment_is_wrong(receipt: object) -> None:
    books = Books(owner={1250: 1})
    people(books)._paid(1250, "12.50", 5, 0.0, 201, receipt)
    assert len(books.wrong) == 1


def test_a_receipt_of_this_payment_is_right() -> None:
    books = Books(owner={1250: 1})
    people(books)._paid(1250, "12.50", 5, 0.0, 201, {"id": 3, "appointment_id": 5, "amount": "12.50"})
    assert (books.wrong, books.acknowledged) == ([], {1250: 3})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"id": 1, "appointments": [{"payments": [{"amount": "12.50"}]}]}, READ),
        ({"id": 1, "appointments": [{"payments": []}]}, WRONG),
        ({"id": 1, "appointments": [{"payments": [{"amount": "12.50"}, {"amount": "99.00"}]}]}, WRONG),
        ({"id": 1}, WRONG),
        ({"id": 1, "appointments": [{"payments": [{"amount": "x"}]}]}, WRONG),
        ({"id": 2, "appointments": []}, WRONG),
        (None, WRONG),
    ],
)
def test_a_profile_has_all_of_the_customers_payments_and_none_of_others(body: object, kind: str) -> None:
    books = Books(owner={1250: 1, 9900: 2})
    assert people(books)._judged(1, {1250}, False, 0.0, 200, body).kind == kind
    assert len(books.wrong) == (kind == WRONG)
