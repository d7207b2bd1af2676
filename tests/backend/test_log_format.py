"""Log lines: whose they are, and that nobody who is not the app can write one."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import Hardening, monitor, watch
from backend.events import QueryGroup, SlowQuery
from backend.fingerprint import statement_of
from backend.log_format import JsonLines, RequestFilter, TextLines, escaped, event_fields, trace_id
from backend.query_log import QueryLog

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def record(message: Any = "hello", *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("shop").makeRecord(
        "shop.views", logging.WARNING, "views.py", 1, message, args, extra.pop("exc_info", None), extra=extra
    )
    RequestFilter().filter(made)
    return made


@pytest.fixture
def in_request() -> Iterator[QueryLog]:
    """A request that runs in this thread."""
    log = QueryLog("request", "GET", "/users/<id>", "abc-1", {"HTTP_TRACEPARENT": PARENT})
    monitor.begin(log)
    yield log
    monitor.end(log)


def parsed(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonLines().format(made)
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, Any] = json.loads(line)
    return found


def test_json_has_what_a_search_needs(in_request: QueryLog) -> None:
    found = parsed(record("user %s is gone", 5))
    when = datetime.fromisoformat(found.pop("time").replace("Z", "+00:00"))
    assert abs(when.timestamp() - datetime.now().timestamp()) < 100
    assert found == {
        "level": "WARNING", "logger": "shop.views", "message": "user 5 is gone", "request_id": "abc-1",
        "route": "/users/<id>", "trace_id": TRACE,
    }  # fmt: skip


def test_text_has_the_request_s_id(in_request: QueryLog) -> None:
    line = TextLines().format(record("user %s is gone", 5))
    assert line[10] == "T"
    assert line[23:] == "Z WARNING shop.views [abc-1] user 5 is gone"


def test_a_block_inside_belongs_to_the_request(in_request: QueryLog) -> None:
    with monitor.watching("inner"):
        assert record().request_id == "abc-1"  # type: ignore[attr-defined]


def test_outside_of_a_request_there_is_no_id() -> None:
    assert "request_id" not in parsed(record())
    with monitor.watching("job"):
        assert "request_id" not in parsed(record())
    assert TextLines().format(record())[23:] == "Z WARNING shop.views hello"


def test_what_a_record_brings_along_stays(in_request: QueryLog) -> None:
    found = parsed(record(request_id="of another", route="/x", trace_id=""))
    assert (found["request_id"], found["route"], "trace_id" in found) == ("of another", "/x", False)


def test_a_stack_trace_is_indented_so_that_it_can_forge_no_line() -> None:
    try:
        raise ValueError("bad\n2026-01-01T00:00:00.000Z ERROR root forged")
    except ValueError:
        made = record("failed\nagain", exc_info=sys.exc_info())
    head, *rest = TextLines().format(made).split("\n")
    assert head.endswith(r"failed\nagain")
    assert len(rest) > 3
    assert all(line.startswith("    ") for line in rest)
    assert "forged" in parsed(made)["exception"]
    made.stack_info = "Stack (most recent call last):\n  here"
    assert TextLines().format(made).endswith("\n    Stack (most recent call last):\n      here")


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters() | st.sampled_from("\r\n\x00\x1b\x85\u2028\u202e\ud800"), max_size=50))
def test_whatever_is_said_stands_on_one_line(text: str) -> None:
    made = record("%s", text)
    line = TextLines().format(made)
    assert len(line.splitlines()) == 1
    assert not {"\x1b", "\r", "\x85", "\u2028", "\u202e", "\x00"} & set(line)
    line.encode()  # no half characters
    assert parsed(made)["message"] == text


def test_ordinary_text_stays_as_it_is() -> None:
    assert escaped("Zürich, 東京, 🎉 \\n 100 %") == "Zürich, 東京, 🎉 \\n 100 %"
    assert escaped("a\tb\r\nc\x1b[31m") == r"a\tb\r\nc\x1b[31m"


class Broken:
    def __str__(self) -> str:
        raise ValueError("broken")


def test_records_that_are_wrong_are_written_all_the_same() -> None:
    assert parsed(record("%d of %d", "x"))["message"] == "%d of %d (its arguments do not fit: TypeError)"
    assert "Broken" in parsed(record("x", event={"value": Broken()}))["event"]["value"]
    assert parsed(record({"a": 1}))["message"] == "{'a': 1}"
    assert parsed(record("%(a)s", {"a": 1}))["message"] == "1"


@pytest.mark.parametrize("event", [float("nan"), {"share": float("inf")}, {(1, 2): 3}, {1, 2}, object()])
def test_an_event_that_json_has_no_words_for_is_shown_as_text(event: Any) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    line = json.loads(JsonLines().format(record("hello", event=event)), parse_constant=refuse)
    assert (line["message"], line["event"]) == ("hello", str(event))


def test_an_event_that_holds_itself_is_written() -> None:
    event: dict[str, Any] = {}
    event["self"] = event
    assert parsed(record("hello", event=event))["message"] == "hello"


def test_a_record_that_no_filter_has_seen_is_written() -> None:
    made = logging.getLogger("shop").makeRecord("shop", logging.INFO, "", 1, "hello", (), None)
    assert parsed(made)["message"] == "hello"
    assert TextLines().format(made).endswith("INFO shop hello")


def test_an_event_is_plain_data_with_its_kind() -> None:
    found = SlowQuery(
        statement_of("SELECT a FROM t"), "app.py:1 in view", 1.5, 3, route="/x", explain=lambda: "a plan"
    )
    line = parsed(record("slow", event=found))
    assert line["route"] == "/x"
    assert line["event"]["kind"] == "slow_query"
    assert line["event"]["statement"]["text"] == "select a from t"
    assert (line["event"]["seconds"], line["event"]["is_timeout"]) == (1.5, False)
    assert "explain" not in line["event"]
    assert event_fields({"kind": "plan"}) == {"kind": "plan"}
    assert event_fields("text") == "text"
    group = QueryGroup(statement_of("SELECT 1"), "x", 1, 0.5, 0.5, (0.5,) * 1000, 1)
    assert len(event_fields(group)["durations"]) == 50


@pytest.mark.parametrize(("header", "found"), [
    (PARENT, TRACE), (f"cc-{TRACE}-00f067aa0ba902b7-01-more", TRACE), ("", ""),
    (f"ff-{TRACE}-00f067aa0ba902b7-01", ""),
    (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""), (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", ""),
    (f"{PARENT}\nforged", ""), (f"cc-{TRACE}-00f067aa0ba902b7-01-{'x' * 10_000}", ""), ("ünicode", ""),
])  # fmt: skip
def test_the_trace_is_read_from_a_header_that_is_right(header: str, found: str) -> None:
    assert trace_id(header) == found


@pytest.mark.parametrize("sent", ["", "a b", "x" * 10_240, "ü", "a\r\nX-Evil: 1", "a\x00", '"}', "a\u2028b"])
def test_an_id_that_could_forge_something_is_replaced(
    sent: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a server hands it over that checks nothing: the answer's header and the log have an id of our own."""
    app = Flask(__name__)
    Hardening(app, DATABASE_URL=url, HARDEN_LOG_FORMAT="json")
    try:

        @app.get("/")
        def view() -> tuple[str, int]:
            logging.getLogger("shop").warning("hello")
            return "", 400

        environ = {"HTTP_X_REQUEST_ID": sent, "HTTP_TRACEPARENT": sent}
        answer = app.test_client().get("/", environ_overrides=environ)
        line = json.loads(capsys.readouterr().err)
        assert answer.headers.getlist("X-Request-ID") == [line["request_id"]]
        assert "X-Evil" not in answer.headers
        assert len(line["request_id"]) == 16
        assert line["route"] == "/"
        assert "trace_id" not in line
    finally:
        watch.stop()
