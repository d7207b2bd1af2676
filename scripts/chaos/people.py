"""Payers and readers: they know what was promised to them, and find out whether it is kept.

A payment is never sent twice, whatever happens to it: a client that repeats would hide what the server did. After
an error the connection is thrown away. Each payment has an amount of its own, by which it is looked for.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ..demo.sides import bearer
from .place import Place

FIRST_CENTS = 1_000_000_000  # above every seeded amount
PATIENCE = 30.0  # seconds that a client waits for an answer
PAUSE = 0.02
ACKED, REJECTED, REFUSED, FAILED, UNKNOWN, READ, STALE, WRONG = (
    "acknowledged", "rejected", "refused", "failed", "unknown", "read", "stale", "wrong",
)  # fmt: skip
NOWHERE = 2_000_000_000  # an appointment that does not exist
BAD_SHARE = 0.05  # of the payments are invalid, and must be refused


@dataclass(frozen=True)
class Event:
    """One request's end; times are of the monotonic clock, in seconds."""

    begun: float
    ended: float
    kind: str
    what: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.begun


@dataclass
class Books:
    """What was paid as far as the clients know.

    Attributes:
        acknowledged: payment's id by its amount in cents, of those that were promised.
        refused, failed, unknown: cents of those answered 4xx, answered 5xx, and never answered.
        told: cents with which something was found to be wrong: of these the next run says nothing again.
        by_customer: acknowledged cents by customer.
        owner: customer by cents, of every payment that was tried.
        wrong: answers that cannot be true, a sentence each.
    """

    acknowledged: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    by_customer: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    owner: dict[int, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)


class People:
    """Payers and readers in threads, for the time of a `with` block.

    Args:
        books: theirs; shared under a lock.
        seed: of what they choose.
    """

    def __init__(self, place: Place, books: Books, seed: int, payers: int = 6, readers: int = 4) -> None:
        self._place = place
        self._books = books
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._next = FIRST_CENTS + len(books.owner)
        self._threads = [
            threading.Thread(target=work, args=(random.Random(f"{seed}-{work.__name__}-{number}"),), daemon=True)
            for work, count in ((self._pay, payers), (self._read, readers))
            for number in range(count)
        ]

    def __enter__(self) -> People:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE + 5)

    def _pay(self, chance: random.Random) -> None:
        appointments = sorted(self._place.appointments)
        with closing(_Client(self._place)) as client:
            while not self._stopped.wait(PAUSE * chance.random()):
                is_bad = chance.random() < BAD_SHARE
                appointment = NOWHERE if is_bad else chance.choice(appointments)
                with self._lock:
                    cents, self._next = self._next, self._next + 1
                    self._books.owner[cents] = self._place.appointments.get(appointment, 0)
                    self._books.unknown.add(cents)  # until there is an answer, whenever that comes
                amount = f"{cents // 100}.{cents % 100:02}"
                begun = time.monotonic()
                status, body = client.ask(
                    "POST", "/api/payments", {"appointment_id": appointment, "amount": amount, "method": "card"}
                )
                self._paid(cents, amount, appointment, begun, status, body)

    def _paid(self, cents: int, amount: str, appointment: int, begun: float, status: int, body: Any) -> None:
        ended, books = time.monotonic(), self._books
        with self._lock:
            books.unknown.discard(cents)
            if appointment == NOWHERE and 400 <= status < 500:
                books.refused.add(cents)
                books.events.append(Event(begun, ended, REJECTED))
            elif status == 201:
                books.events.append(Event(begun, ended, ACKED))
                books.acknowledged[cents] = body.get("id", 0) if isinstance(body, dict) else 0
                books.by_customer[books.owner[cents]].add(cents)
                told = (body.get("appointment_id"), str(body.get("amount"))) if isinstance(body, dict) else None
                if told != (appointment, amount):
                    books.wrong.append(f"the receipt of {amount} for {appointment} says {str(body)[:120]}")
            else:
                kind = UNKNOWN if not status else REFUSED if status < 500 else FAILED
                books.events.append(Event(begun, ended, kind, f"http {status}" if status else str(body)))
                {UNKNOWN: books.unknown, REFUSED: books.refused, FAILED: books.failed}[kind].add(cents)

    def _read(self, chance: random.Random) -> None:
        customers = sorted(set(self._place.appointments.values()))
        with closing(_Client(self._place)) as client:
            while not self._stopped.wait(PAUSE * chance.random()):
                customer = chance.choice(customers)
                with self._lock:
                    promised = set(self._books.by_customer[customer])
                is_own = bool(self._place.key) and chance.random() < 0.5
                path = "/api/me" if is_own else f"/api/admin/customers/{customer}"
                headers = bearer(self._place.key, customer) if is_own else {}
                begun = time.monotonic()
                status, body = client.ask("GET", f"{path}?include=appointmentDetails", None, headers)
                with self._lock:
                    self._books.events.append(self._judged(customer, promised, is_own, begun, status, body))

    def _judged(
        self, customer: int, promised: set[int], is_own: bool, begun: float, status: int, body: Any
    ) -> Event:
        ended = time.monotonic()
        if status != 200:
            return Event(begun, ended, FAILED if status else UNKNOWN, f"http {status}" if status else str(body))
        if not isinstance(body, dict) or body.get("id") != customer:
            self._books.wrong.append(f"customer {customer} was asked for, the answer is {str(body)[:120]}")
            return Event(begun, ended, WRONG)
        try:
            seen = shown(body)
        except (KeyError, TypeError, ArithmeticError):
            self._books.wrong.append(f"the profile of {customer} is no profile: {str(body)[:120]}")
            return Event(begun, ended, WRONG)
        others = [cents for cents in seen if self._books.owner.get(cents, customer) != customer]
        if others:
            owner = self._books.owner[others[0]]
            self._books.wrong.append(f"the profile of {customer} shows a payment of {owner}")
            return Event(begun, ended, WRONG)
        missing = promised - seen
        if missing:
            text = f"{'me' if is_own else 'profile'} of {customer} lacks {len(missing)} acknowledged payment(s)"
            if not is_own:
                self._books.wrong.append(text)
            return Event(begun, ended, STALE if is_own else WRONG, text)
        return Event(begun, ended, READ)


def shown(profile: dict[str, Any]) -> set[int]:
    """Return the amounts, in cents, that a profile shows."""
    payments = (payment for appointment in profile["appointments"] for payment in appointment["payments"])
    return {int(Decimal(str(payment["amount"])) * 100) for payment in payments}


class _Client:
    """A kept connection to the shop that is thrown away after an error."""

    def __init__(self, place: Place) -> None:
        self._where = place.address
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer; status 0 and the error's name when none came."""
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        # http.client opens a closed connection anew by itself, but never sends a request twice.
        connection = self._connection or http.client.HTTPConnection(*self._where, timeout=PATIENCE)
        self._connection = None
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, sent)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return 0, type(error).__name__
        self._connection = connection
        try:
            return answer.status, json.loads(data)
        except ValueError:
            return answer.status, None


def old_profiles(place: Place, books: Books, patience: float = 15.0) -> list[int]:
    """Return the customers whose /api/me lacks an acknowledged payment, also after a while.

    Args:
        patience: seconds; what was not sent to Redis while it was away is sent within ten.
    """
    deadline = time.monotonic() + patience
    left = sorted(customer for customer, paid in books.by_customer.items() if paid)
    with closing(_Client(place)) as client:
        while left and time.monotonic() < deadline:
            left = [customer for customer in left if not _is_current(client, place, books, customer)]
    return left


def _is_current(client: _Client, place: Place, books: Books, customer: int) -> bool:
    path, headers = "/api/me?include=appointmentDetails", bearer(place.key, customer)
    status, body = client.ask("GET", path, None, headers)
    if status != 200 or not isinstance(body, dict):
        time.sleep(PAUSE)
        return False
    return books.by_customer[customer] - books.told <= shown(body)


def late(events: Sequence[Event], seconds: float) -> int:
    """Return how many requests took longer."""
    return sum(event.seconds > seconds for event in events)
