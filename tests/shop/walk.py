"""Random walks through the shop, taken on both twins at once.

A walk is a list of actions. Each action sends its requests to the legacy shop and to the hardened one and
compares the answers: status, kind of content, and the body down to the spelling of numbers and dates. Actions
know no ids but small ones that any seed has: what they write to, they asked for first, or booked themselves.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol
from urllib.parse import quote

import psycopg2
from hypothesis import strategies as st

JSON = "application/json"
CSV = "text/csv"


class Client(Protocol):
    """A shop to talk to. With an attribute `dsn`, its database too, what a walk wrote can be taken back."""

    def request(self, method: str, path: str, json: Any = None) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and return status, headers and body."""


class Number(str):
    """A JSON number with a fraction, as it was spelt: 12.5 and 12.50 differ, and so does "12.5"."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    body: bytes

    def parsed(self) -> Any:
        """Return the JSON value; floats keep their spelling, and a key that stands twice is an error."""
        return json.loads(self.body, parse_float=Number, object_pairs_hook=_without_repeats)

    def comparable(self) -> str:
        """Return text that is equal for equal answers; white space and the order of keys are free."""
        if self.kind != JSON:
            return f"{self.status} {self.kind} {self.body!r}"
        return f"{self.status} {json.dumps(_tagged(self.parsed()), indent=1, sort_keys=True, ensure_ascii=False)}"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), f"a key stands twice: {[key for key, _ in pairs]}"
    return dict(pairs)


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tagged(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_tagged(child) for child in value]
    return {"number": str(value)} if isinstance(value, Number) else value


def ask(client: Client, method: str, path: str, body: Any = None) -> Answer:
    """Send one request."""
    status, headers, content = client.request(method, path, json=body)
    kind = {key.lower(): value for key, value in dict(headers).items()}.get("content-type", "")
    return Answer(status, kind.partition(";")[0], content)


class Walk:
    """One walk: the two shops, and what it has learnt on the way.

    Attributes:
        cursor: the `next_cursor` of the last page, None at the end of the list.
        booked: the appointment that was booked last, by the id it has in each shop.
    """

    def __init__(self, legacy: Client, hardened: Client) -> None:
        self._shops = (legacy, hardened)
        self.cursor: str | None = None
        self.booked: tuple[int, int] | None = None

    def ask(self, method: str, path: str, body: Any = None) -> tuple[Answer, Answer]:
        """Send the same request to both shops and compare the answers."""
        return self.ask_each((method, path, body), (method, path, body))

    def ask_each(self, *requests: tuple[str, str, Any]) -> tuple[Answer, Answer]:
        """Send a request of its own to each shop and compare the answers."""
        legacy, hardened = (ask(shop, *request) for shop, request in zip(self._shops, requests, strict=True))
        assert hardened.comparable() == legacy.comparable(), requests[0]
        assert legacy.status < 500, requests[0]
        assert legacy.kind in (JSON, CSV), requests[0]
        return legacy, hardened


class Restore:
    """Takes back what was written to a shop since this was made.

    A write that only one shop accepts would make all later walks differ, and the shortest of them would be
    reported instead of the one with the fault. Does nothing for a client without a `dsn`.
    """

    def __init__(self, client: Client) -> None:
        self._dsn: str | None = getattr(client, "dsn", None) or None
        self._state = self._run(
            """SELECT a.last_value, a.is_called, p.last_value, p.is_called,
                      (SELECT max(id) FROM appointments), (SELECT max(id) FROM payments)
               FROM appointments_id_seq a, payments_id_seq p"""
        )

    def __call__(self) -> None:
        """Delete the newer rows and set the sequences back."""
        if self._state is not None:
            *sequences, appointment, payment = self._state
            self._run(
                """DELETE FROM appointment_services WHERE appointment_id > %(appointment)s;
                   DELETE FROM payments WHERE id > %(payment)s;
                   DELETE FROM appointments WHERE id > %(appointment)s;
                   SELECT setval('appointments_id_seq', %(a)s, %(a_called)s),
                          setval('payments_id_seq', %(p)s, %(p_called)s)""",
                {"appointment": appointment, "payment": payment}
                | dict(zip(("a", "a_called", "p", "p_called"), sequences, strict=True)),
            )

    def _run(self, sql: str, parameters: Any = None) -> Any:
        if self._dsn is None:
            return None
        with closing(psycopg2.connect(self._dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchone()


# What clients send by mistake or on purpose, wherever a value is expected.
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1.0, 1.5, 2**31, 2**63 - 1, 2**63, 10**30, float("nan"), float("inf"), 1e300,
    "", "1", "x", "\0", "\ud800", "' OR 1=1 --", [], [1], {}, {"id": 1}, [[]],
]  # fmt: skip
HOSTILE_IDS = [
    "0", "-1", "501", "2147483648", "9223372036854775807", "9223372036854775808", "9" * 60, "007", "1.0",
    "x", "%00", "%D9%A3", "1%20", "1'", "%FF", "1/2",
]  # fmt: skip
HOSTILE_MOMENTS = [
    "2025-05-01T10:00:00", "2025-05-01", "2025-02-30T10:00:00Z", "2025-05-01T24:00:00Z", "2025-05-01T10:00:60Z",
    "1999-12-31T23:59:59Z", "2000-01-01T00:00:00+00:01", "2100-12-31T23:59:59.999999Z", "2101-01-01T00:00:00Z",
    "2100-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "20250501T100000Z",
    "2025-W18-4T10:00:00Z", "2025-05-01t10:00:00z", "2025-05-01T10:00:00+00:00:30", "2025-05-01 10:00+02",
    "2025-05-01T10:00:00+23:59:59.999999", "2025-05-01T10:00:00+24:00", "now", "infinity",
    "\u0662\u0660\u0662\u0665-05-01T10:00:00Z",
    " 2025-05-01T10:00:00Z", "2025-05-01T10:00:00Z\0", "12025-05-01T10:00:00Z", 1746093600,
]  # fmt: skip
HOSTILE_NOTES = [
    "x" * 1000, "x" * 1001, "😀" * 1000, "a\0b", "\ud83d", '\\ " \u2028 \x7f \r\n\t', "%s %(id)s {x}",
]  # fmt: skip
HOSTILE_LISTS = [
    [1, 1], [0], [41], [1, 2, 99], list(range(1, 21)), list(range(1, 22)), [1] * 1000, [1] * 1001, [True], ["1"],
    [1.0], [2**63 - 1], [2**63], [None], [-(2**63) - 1],
]  # fmt: skip
HOSTILE_AMOUNTS = [
    "0", "0.00", 0, 0.001, "-1", -1, "12.345", 12.345, "1e2", 1e2, 1e16, "99999999.99", 99999999.99,
    "100000000", 100000000, "NaN", "Infinity", " 1", "1 ", "1\n", "+1", "1.", ".5", "\uff11\uff12", "1,50", "1_0",
    1e-7, 0.1 + 0.2, "0" * 8, "00000001.10", 10**400, 4.35, 1.10,
]  # fmt: skip
HOSTILE_LIMITS = ["0", "101", "-1", "1.5", "x", "%205", "1_0", "%2B7", "%D9%A3", "", "9" * 400, "%00", "1e1"]
HOSTILE_DATES = [
    "2024-02-30", "2024-1-1", "20240101", "2024-W01-1", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01",
    "infinity", "today", "", "%00", "2024-01-01T00:00:00", "%202024-01-01", "-0001-01-01",
]  # fmt: skip
BAD_CURSORS = ["x", "====", "%00", "%FF", "a" * 500, "MTox%0A"] + [
    quote(urlsafe_b64encode(text.encode()).decode().rstrip("="))
    for text in ("", ":", "1:1 ", "007:1", "1:007", "-1:1", "99999999999:1", "1:9223372036854775808", "1.5:1")
]
GOOD_CURSORS = [
    urlsafe_b64encode(text.encode()).decode().rstrip("=")
    for text in ("0:0", "1:1", "9999999999:9223372036854775807", "1700000000:500")
]
OTHERS = [
    ("GET", "/api/nothing"), ("GET", "/api"), ("DELETE", "/api/vehicles/1"), ("PUT", "/api/payments"),
    ("GET", "/api/payments"), ("GET", "/api/vehicles/verify"), ("POST", "/api/reports/revenue.csv"),
    ("PATCH", "/api/appointments"), ("GET", "/api/appointments/1"), ("GET", "/api/vehicles/1/"),
]  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """A request that stands for itself."""

    method: str
    path: str
    body: Any = None

    def play(self, walk: Walk) -> None:
        """Take this step."""
        walk.ask(self.method, self.path, self.body)


@dataclass(frozen=True)
class NextPage:
    """The next page of appointments, or the first; `tail` is put behind the cursor to spoil it."""

    limit: int = 2
    tail: str = ""

    def play(self, walk: Walk) -> None:
        """Take this step."""
        after = f"&cursor={quote(walk.cursor + self.tail)}" if walk.cursor else ""
        page, _ = walk.ask("GET", f"/api/appointments?limit={self.limit}{after}")
        walk.cursor = page.parsed()["next_cursor"] if page.status == 200 else None


@dataclass(frozen=True)
class Book:
    """A booking for a vehicle and its owner; `changes` spoils fields of the body."""

    vehicle_id: int = 1
    starts_at: Any = "2025-05-01T10:00:00Z"
    service_ids: Any = field(default_factory=lambda: [1])
    changes: dict[str, Any] = field(default_factory=dict)

    def play(self, walk: Walk) -> None:
        """Take this step, then look at what it made of the customer and of the list."""
        owner = walk.ask("GET", f"/api/vehicles/{self.vehicle_id}")[0].parsed()["customer_id"]
        body = {"customer_id": owner, "vehicle_id": self.vehicle_id, "starts_at": self.starts_at}
        answers = walk.ask("POST", "/api/appointments", body | {"service_ids": self.service_ids} | self.changes)
        if answers[0].status == 201:
            legacy, hardened = (answer.parsed()["id"] for answer in answers)
            walk.booked = legacy, hardened
        walk.ask("GET", f"/api/admin/customers/{owner}?include=appointmentDetails")
        walk.ask("GET", "/api/appointments?limit=3")


@dataclass(frozen=True)
class Pay:
    """A payment for the appointment booked last, or for an old one; `changes` spoils fields of the body."""

    amount: Any = "1.00"
    method: Any = "card"
    changes: dict[str, Any] = field(default_factory=dict)

    def play(self, walk: Walk) -> None:
        """Take this step, then look at what it made of the report."""
        body = {"amount": self.amount, "method": self.method}
        walk.ask_each(
            *(
                ("POST", "/api/payments", {"appointment_id": appointment} | body | self.changes)
                for appointment in walk.booked or (1, 1)
            )
        )
        walk.ask("GET", "/api/reports/revenue.csv?from=2025-10-01")


Action = Ask | NextPage | Book | Pay

BOOKING = {"customer_id": 1, "vehicle_id": 1, "starts_at": "2030-05-01T10:00:00Z", "service_ids": [1]}
PAYMENT = {"appointment_id": 1, "amount": "1.00", "method": "card"}
VERIFICATION = {"customer_id": 1, "vehicle_ids": [1, 2]}


def hostile_requests() -> Iterator[Ask]:
    """Yield every hostile value in every place that takes one: what a walk meets by chance, all of it once."""
    own = {"starts_at": HOSTILE_MOMENTS, "notes": HOSTILE_NOTES, "amount": HOSTILE_AMOUNTS}
    lists = {"service_ids": HOSTILE_LISTS, "vehicle_ids": HOSTILE_LISTS}
    for path, good in (
        ("/api/appointments", {**BOOKING, "notes": None}),
        ("/api/payments", PAYMENT),
        ("/api/vehicles/verify", VERIFICATION),
    ):
        yield from (Ask("POST", path, body) for body in HOSTILE)
        for name in good:
            yield Ask("POST", path, {key: value for key, value in good.items() if key != name})
            for bad in HOSTILE + own.get(name, []) + lists.get(name, []):
                yield Ask("POST", path, {**good, name: bad})
    yield from (Ask(*other) for other in OTHERS)
    for template, values in (
        ("/api/vehicles/{}", HOSTILE_IDS),
        ("/api/customers/{}/history", HOSTILE_IDS),
        ("/api/admin/customers/{}", HOSTILE_IDS),
        ("/api/admin/customers/{}?include=appointmentDetails", HOSTILE_IDS),
        ("/api/appointments?limit={}", HOSTILE_LIMITS),
        ("/api/appointments?cursor={}", GOOD_CURSORS + BAD_CURSORS),
        ("/api/reports/revenue.csv?from={}", HOSTILE_DATES),
        ("/api/reports/revenue.csv?to={}", HOSTILE_DATES),
    ):
        yield from (Ask("GET", template.format(value)) for value in values)


def actions() -> st.SearchStrategy[list[Action]]:
    """Return walks; simple steps come first, so that is what a failing walk shrinks to."""
    return st.lists(st.one_of(_reads(), _pages(), _bookings(), _payments(), _checks()), min_size=1, max_size=8)


def _or(good: st.SearchStrategy[Any], bad: list[Any]) -> st.SearchStrategy[Any]:
    # A die, as one_of() drops what it was given twice: most bodies must be good in all fields but one.
    return st.integers(1, 6).flatmap(lambda die: st.sampled_from(bad) if die == 6 else good)


def _spoilt(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    spoilt = st.dictionaries(st.sampled_from(names), st.sampled_from(HOSTILE), min_size=1, max_size=1)
    return st.integers(1, 6).flatmap(lambda die: spoilt if die == 6 else st.just({}))


def _reads() -> st.SearchStrategy[Action]:
    # Customer 51 has 2000 appointments, and 6001 queries for the legacy shop; 52 has 200.
    ids = _or(st.integers(1, 60).filter(lambda number: number not in (51, 52)).map(str), HOSTILE_IDS)
    dates = _or(st.dates().map(str), HOSTILE_DATES)
    customer = "/api/admin/customers/{}"
    return st.one_of(
        st.builds(Ask, st.just("GET"), ids.map("/api/vehicles/{}".format)),
        st.builds(Ask, st.just("GET"), ids.map("/api/customers/{}/history".format)),
        st.builds(Ask, st.just("GET"), ids.map(customer.format)),
        st.builds(Ask, st.just("GET"), ids.map(f"{customer}?include=appointmentDetails".format)),
        st.builds(Ask, st.just("GET"), st.builds("/api/reports/revenue.csv?from={}".format, dates)),
        st.builds(Ask, st.just("GET"), st.builds("/api/reports/revenue.csv?to={}&from={}".format, dates, dates)),
        st.sampled_from(OTHERS).map(lambda other: Ask(*other)),
    )


def _pages() -> st.SearchStrategy[Action]:
    limits = _or(st.integers(1, 100).map(str), HOSTILE_LIMITS)
    cursors = st.sampled_from(GOOD_CURSORS + BAD_CURSORS)
    page = "/api/appointments?limit={}&cursor={}"
    return st.one_of(
        st.builds(NextPage, st.integers(1, 5)),
        st.builds(NextPage, st.integers(1, 5), st.sampled_from(["=", "A", "\n", "é"])),
        st.builds(Ask, st.just("GET"), limits.map("/api/appointments?limit={}".format)),
        st.builds(Ask, st.just("GET"), st.builds(page.format, limits, cursors)),
    )


def _bookings() -> st.SearchStrategy[Action]:
    offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    moments = st.datetimes(datetime(2000, 1, 2), datetime(2100, 12, 30), timezones=offsets).map(datetime.isoformat)
    notes = _or(st.text(max_size=20), HOSTILE_NOTES).map(lambda text: {"notes": text})
    return st.builds(
        Book,
        st.integers(1, 60),
        _or(moments, HOSTILE_MOMENTS),
        _or(st.lists(st.integers(1, 40), min_size=1, max_size=4, unique=True), HOSTILE_LISTS),
        st.one_of(_spoilt("customer_id", "vehicle_id", "starts_at", "service_ids", "notes"), notes),
    )


def _payments() -> st.SearchStrategy[Action]:
    cents = st.integers(1, 10**10 - 1)
    spelt = st.one_of(
        cents.map(lambda number: f"{number // 100}.{number % 100:02}"),
        cents.map(lambda number: number / 100),
        st.integers(1, 10**8),
    )
    return st.builds(
        Pay,
        _or(spelt, HOSTILE_AMOUNTS),
        _or(st.sampled_from(["card", "cash", "transfer"]), ["Card", "card ", "", ["card"], None]),
        _spoilt("appointment_id", "amount", "method"),
    )


def _checks() -> st.SearchStrategy[Action]:
    some = st.one_of(st.integers(1, 80), st.sampled_from([999_999, 2**31, 2**63 - 1]))
    few = st.lists(some, min_size=1, max_size=10)
    body = st.fixed_dictionaries({"customer_id": st.integers(1, 30), "vehicle_ids": _or(few, HOSTILE_LISTS)})
    spoilt = st.builds(lambda good, bad: good | bad, body, _spoilt("customer_id", "vehicle_ids"))
    verify = st.builds(Ask, st.just("POST"), st.just("/api/vehicles/verify"), spoilt)
    writes = st.sampled_from(["/api/vehicles/verify", "/api/appointments", "/api/payments"])
    return st.one_of(verify, st.builds(Ask, st.just("POST"), writes, st.sampled_from(HOSTILE)))
