"""Scenarios driven by real engines at a real server: what counts, from when, and that it always ends."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from scripts.load import (
    LoadError,
    Measured,
    RemoteTarget,
    Scenario,
    TargetError,
    parse_scenario,
    run_load,
    try_steps,
)

from .server import OK, Exchange, serving

ONE = "think = '{think}'\n[[task]]\nname = 'one'\nget = '/'\n"


def scenario(think: str = "50ms") -> Scenario:
    return parse_scenario(ONE.replace("{think}", think))


def load(
    address: str, given: Scenario | None = None, users: int = 4, seconds: float = 1.0, **more: Any
) -> Measured:
    return run_load(given or scenario(), address, users=users, seconds=seconds, timeout=5.0, **more)


def json_answer(value: object, status: str = "200 OK") -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_persons_ask_think_and_ask_again() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        measured = load(server.address, users=10, seconds=2.0)
    assert measured.errors == {}
    assert measured.answered == len(server.requests)
    # Ten persons, a step every 50 ms and the answer's time; a slow machine does less, never more.
    assert 40 < measured.answered <= 400
    assert server.opened == 10
    assert measured.unfinished == 0
    assert len(measured.timeline) == 2
    assert max(second.users for second in measured.timeline) == 10


def test_ramp_and_warm_up_are_in_the_timeline_and_in_no_figure() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        measured = load(server.address, users=10, seconds=1.0, ramp=1.0, warmup=1.0)
    assert 0 < measured.answered < len(server.requests)
    assert len(measured.timeline) == 3
    assert measured.timeline[0].users <= 10


def stalling(seconds: float, after: int) -> Callable[[Exchange], None]:
    """Return a handler that answers at once, and once lets everybody wait."""
    turn = count(1)
    free_at = [0.0]

    def handler(exchange: Exchange) -> None:
        if next(turn) == after:
            free_at[0] = time.monotonic() + seconds
        left = free_at[0] - time.monotonic()
        asyncio.get_running_loop().call_later(max(left, 0), exchange.reply, OK)

    return handler


def test_an_open_model_counts_the_wait_of_those_who_could_not_even_ask() -> None:
    """One person, 50 arrivals a second, a stall of a second: from sending one is slow, from arrival fifty are."""
    with serving(stalling(1.0, 30)) as server:
        measured = load(server.address, users=1, seconds=3.0, rate=50.0, even=True)
    assert measured.errors == {}
    slow = measured.answered * (1 - (measured.totals.response.share_within(0.3) or 0))
    slow_from_sending = measured.answered * (1 - (measured.totals.service.share_within(0.3) or 0))
    assert slow_from_sending <= 3
    assert slow >= 20
    assert measured.late_starts > 0.1
    assert any("found nobody" in line for line in measured.warnings())


def test_a_schedule_counts_from_the_moment_that_was_meant() -> None:
    with serving(stalling(1.0, 20)) as server:
        measured = load(server.address, scenario("every 50ms"), users=1, seconds=3.0)
    slow = measured.answered * (1 - (measured.totals.response.share_within(0.3) or 0))
    assert slow >= 8
    assert measured.answered * (1 - (measured.totals.service.share_within(0.3) or 0)) <= 2


def test_a_person_logs_in_once_keeps_its_cookie_and_its_token() -> None:
    heads: list[bytes] = []

    def handler(exchange: Exchange) -> None:
        heads.append(exchange.head + b"\r\n")
        if b"/login" in exchange.head:
            exchange.reply(json_answer({"token": f"t-{json.loads(exchange.body)['email']}"}).replace(
                b"\r\n\r\n", b"\r\nSet-Cookie: session=abc; Path=/\r\n\r\n", 1))  # fmt: skip
        else:
            exchange.reply(OK)

    given = parse_scenario(
        """
        think = "50ms"
        headers = {Authorization = "Bearer {token}"}
        [values]
        email = ["a", "b"]
        n = "1 to 9"
        [login]
        post = "/login"
        json = {email = "{email}"}
        save = {token = "json:token"}
        [[task]]
        get = "/page/{n}"
        """
    )
    with serving(handler) as server:
        measured = load(server.address, given, users=3)
    assert measured.errors == {}
    logins = [head for head in heads if b"/login" in head]
    pages = [head for head in heads if b"/page/" in head]
    assert len(logins) == 3
    assert not any(b"authorization" in head.lower() for head in logins)
    assert all(re.search(rb"(?i)authorization: bearer t-[ab]\r\n", head) for head in pages)
    assert all(b"session=abc" in head for head in pages)
    assert len({head.split(b" ")[1] for head in pages}) > 1


def test_what_a_step_saves_reaches_the_next_one_with_its_type() -> None:
    bodies: list[object] = []

    def handler(exchange: Exchange) -> None:
        if exchange.body:
            bodies.append(json.loads(exchange.body))
        exchange.reply(json_answer({"owner": 7, "names": ["x"]}))

    given = parse_scenario(
        """
        think = "20ms"
        [[task]]
          [[task.step]]
          get = "/look"
          save = {owner = "json:owner", name = "json:names.0"}
          [[task.step]]
          name = "book"
          post = "/book"
          json = {customer = "{owner}", name = "{name}!"}
        """
    )
    with serving(handler) as server:
        measured = load(server.address, given, users=2)
    assert measured.errors == {}
    assert bodies
    assert all(body == {"customer": 7, "name": "x!"} for body in bodies)
    assert set(measured.steps) == {"GET /look", "book"}


def test_each_kind_of_wrong_answer_is_named() -> None:
    answers = {
        b"/404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"/text": OK,
        b"/save": json_answer({}),
        b"/made": b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    }

    def handler(exchange: Exchange) -> None:
        path = exchange.head.split(b" ")[1]
        if path == b"/closed":
            exchange.hang_up()
        elif path == b"/garbage":
            exchange.hang_up(b"this is no http\r\n\r\n")
        elif path != b"/silent":
            exchange.reply(answers[path])

    given = parse_scenario(
        "think = '20ms'\n"
        "[[task]]\nget = '/404'\n[[task]]\nget = '/text'\ncontains = 'welcome'\n"
        "[[task]]\nget = '/save'\nsave = {x = 'json:y'}\n[[task]]\nget = '/made'\nexpect = 200\n"
        "[[task]]\nget = '/closed'\n[[task]]\nget = '/garbage'\n[[task]]\nget = '/silent'\n"
    )
    with serving(handler) as server:
        measured = run_load(given, server.address, users=20, seconds=2.0, timeout=0.5)
    assert measured.answered == 0
    wanted = {"GET /404": "http 404", "GET /text": "without the text", "GET /save": "no x in the answer",
              "GET /made": "http 201", "GET /closed": "closed", "GET /garbage": "protocol",
              "GET /silent": "timeout"}  # fmt: skip
    assert {name: set(step.errors) for name, step in measured.steps.items()} == {
        name: {kind} for name, kind in wanted.items()
    }
    assert "nothing was answered: there are no latencies" in measured.warnings()
    assert measured.as_dict()["totals"]["p50_ms"] is None


def test_a_redirect_is_followed_unless_it_is_what_is_expected() -> None:
    def handler(exchange: Exchange) -> None:
        moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        exchange.reply(OK if b"/there" in exchange.head else moved)

    given = parse_scenario(
        "think = '20ms'\n[[task]]\nname='followed'\nget = '/a'\n[[task]]\nname='kept'\nget = '/b'\nexpect = 302\n"
    )
    with serving(handler) as server:
        measured = load(server.address, given)
    assert measured.errors == {}
    assert set(measured.steps) == {"followed", "kept"}


def test_several_engines_share_the_users_and_count_as_one() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        measured = load(server.address, users=5, seconds=2.0, processes=2)
    assert measured.answered == len(server.requests) > 10
    assert max(second.users for second in measured.timeline) == 5
    assert server.opened == 5


def test_a_dead_server_is_errors_and_not_asked_in_a_tight_loop() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        address = server.address
    measured = load(address, scenario("0"), users=2)
    assert measured.answered == 0
    assert set(measured.errors) == {"refused"}
    assert measured.failed <= 2 * 21


def test_steps_are_tried_once_in_their_order_and_a_failed_login_ends_it() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.reply(json_answer({"error": "no such user"}, "401 Unauthorized"))

    given = parse_scenario("[login]\npost = '/login'\n[[task]]\nget = '/'\n")
    with serving(handler) as server:
        found = try_steps(given, server.address)
    assert [(each["step"], each["kind"], each["status"]) for each in found] == [("login", "http 401", 401)]
    assert "no such user" in found[0]["snippet"]
    assert len(server.requests) == 1


def test_another_machine_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(RemoteTarget, match="--allow-remote"):
        load("http://192.0.2.1:80")


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1", "127.0.0.1:80", "http://127.0.0.1/path", "http://", "http://a b"]
)
def test_what_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(TargetError):
        load(target)


@pytest.mark.parametrize("wrong", [{"users": 0}, {"seconds": 0}, {"ramp": -1.0}, {"rate": 0.0}, {"processes": 9}])
def test_arguments_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="is no"):
        load("http://127.0.0.1:1", **wrong)


def test_more_users_than_open_files_is_said() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server, pytest.raises(LoadError, match="open files"):
        load(server.address, users=50_000_000)


def test_the_server_is_looked_at_once_a_second() -> None:
    with serving(lambda exchange: exchange.reply(OK)) as server:
        measured = load(server.address, seconds=2.0, look=lambda t: {"seen_at": t})
    assert [second.as_dict()["seen_at"] for second in measured.timeline] == [1.0, 2.0]


def test_an_error_in_the_caller_ends_the_engine() -> None:
    told = threading.Event()

    def tick(_: object) -> None:
        told.set()
        raise KeyboardInterrupt

    with serving(lambda exchange: exchange.reply(OK)) as server:
        with pytest.raises(KeyboardInterrupt):
            load(server.address, seconds=30.0, on_tick=tick)
        assert told.is_set()
        assert server.deserted.wait(10)
