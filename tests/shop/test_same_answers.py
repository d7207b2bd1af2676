"""The hardened shop answers as the legacy one does; and both answer what they should."""

from __future__ import annotations

import csv
import faulthandler
import io
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from .walk import (
    BOOKING,
    CSV,
    JSON,
    PAYMENT,
    Action,
    Ask,
    Client,
    Restore,
    Walk,
    actions,
    ask,
    hostile_requests,
)

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
MONEY = re.compile(r"\d+\.\d\d")
PROFILE = "/api/admin/customers/{}?include=appointmentDetails"


@pytest.fixture
def restores(legacy_client: Client, hardened_client: Client) -> Iterator[list[Restore]]:
    both = [Restore(legacy_client), Restore(hardened_client)]
    yield both
    for restore in both:
        restore()


@pytest.fixture(params=["legacy_client", "hardened_client"])
def shop(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Each of the two: equal answers alone would let both be wrong."""
    client = request.getfixturevalue(request.param)
    restore = Restore(client)
    yield client
    restore()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(walk=actions())
def test_random_walks_get_the_same_answers_from_both(
    legacy_client: Client, hardened_client: Client, restores: list[Restore], walk: list[Action]
) -> None:
    faulthandler.cancel_dump_traceback_later()  # to find the shortest walk may take minutes; requests time out
    for restore in restores:
        restore()
    state = Walk(legacy_client, hardened_client)
    for action in walk:
        action.play(state)


def test_every_hostile_value_gets_the_same_answer_from_both(
    legacy_client: Client, hardened_client: Client, restores: list[Restore]
) -> None:
    walk = Walk(legacy_client, hardened_client)
    for request in hostile_requests():
        request.play(walk)
    walk.ask("GET", "/api/appointments?limit=100")
    walk.ask("GET", "/api/reports/revenue.csv")


def test_a_customer_with_2000_appointments_is_the_same_from_both(
    legacy_client: Client, hardened_client: Client
) -> None:
    answers = Walk(legacy_client, hardened_client).ask("GET", PROFILE.format(51))
    assert len(answers[0].parsed()["appointments"]) == 2000


def test_all_pages_together_are_all_appointments_in_order(legacy_client: Client, hardened_client: Client) -> None:
    walk, cursor, seen = Walk(legacy_client, hardened_client), "", []
    while cursor is not None:
        page = walk.ask("GET", f"/api/appointments?limit=100&cursor={cursor}")[1].parsed()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) > 4000
    assert seen[0] == max(seen)  # the seed numbers them by time


def test_profile_without_details_is_the_customer_alone(shop: Client) -> None:
    customer = _ok(shop, "GET", "/api/admin/customers/1")
    assert customer.keys() == {"id", "name", "email", "phone", "created_at"}
    assert customer["id"] == 1
    assert customer["email"] == "customer1@example.com"
    assert MOMENT.fullmatch(customer["created_at"])


def test_profile_has_appointments_with_services_payments_and_messages(shop: Client) -> None:
    customer = _ok(shop, "GET", PROFILE.format(1))
    appointments = customer["appointments"]
    assert customer.keys() == {"id", "name", "email", "phone", "created_at", "appointments"}
    assert len(appointments) == 20
    for appointment in appointments:
        assert appointment.keys() == {
            "id", "vehicle_id", "starts_at", "status", "notes", "services", "payments", "messages"
        }  # fmt: skip
        assert MOMENT.fullmatch(appointment["starts_at"])
        assert 1 <= len(appointment["services"]) <= 4
    newest_first = [(datetime.fromisoformat(a["starts_at"]), a["id"]) for a in appointments]
    assert newest_first == sorted(newest_first, reverse=True)


def test_profile_writes_money_and_dates_as_strings(shop: Client) -> None:
    appointments = _ok(shop, "GET", PROFILE.format(1))["appointments"]
    services = [service for a in appointments for service in a["services"]]
    payments = [payment for a in appointments for payment in a["payments"]]
    messages = [message for a in appointments for message in a["messages"]]
    assert {tuple(sorted(x)) for x in services} == {("name", "price", "service_id")}
    assert {tuple(sorted(x)) for x in payments} == {("amount", "id", "method", "paid_on")}
    assert {tuple(sorted(x)) for x in messages} == {("body", "id", "sender", "sent_at")}
    assert all(MONEY.fullmatch(x["price"]) for x in services)
    assert all(MONEY.fullmatch(x["amount"]) and DAY.fullmatch(x["paid_on"]) for x in payments)
    assert all(MOMENT.fullmatch(x["sent_at"]) for x in messages)


def test_a_customer_without_appointments_has_an_empty_list(shop: Client) -> None:
    assert _ok(shop, "GET", PROFILE.format(53))["appointments"] == []
    assert _ok(shop, "GET", "/api/customers/53/history") == {"customer_id": 53, "appointments": []}


def test_history_has_totals(shop: Client) -> None:
    history = _ok(shop, "GET", "/api/customers/1/history")["appointments"]
    details = _ok(shop, "GET", PROFILE.format(1))["appointments"]
    assert [row["id"] for row in history] == [row["id"] for row in details]
    for row, appointment in zip(history, details, strict=True):
        assert row.keys() == {"id", "starts_at", "status", "plate", "total", "paid"}
        assert row["total"] == _sum(service["price"] for service in appointment["services"])
        assert row["paid"] == _sum(payment["amount"] for payment in appointment["payments"])


def test_verify_keeps_order_and_duplicates(shop: Client) -> None:
    owner = _ok(shop, "GET", "/api/vehicles/1")["customer_id"]
    body = {"customer_id": owner, "vehicle_ids": [999999, 1, 900, 1]}
    assert _ok(shop, "POST", "/api/vehicles/verify", body) == {
        "customer_id": owner,
        "vehicles": [
            {"vehicle_id": 999999, "exists": False, "belongs_to_customer": False},
            {"vehicle_id": 1, "exists": True, "belongs_to_customer": True},
            {"vehicle_id": 900, "exists": True, "belongs_to_customer": False},
            {"vehicle_id": 1, "exists": True, "belongs_to_customer": True},
        ],
    }


def test_vehicle_is_flat(shop: Client) -> None:
    vehicle = _ok(shop, "GET", "/api/vehicles/7")
    assert vehicle.keys() == {"id", "customer_id", "plate", "make", "model", "year"}
    assert vehicle["id"] == 7
    assert isinstance(vehicle["year"], int)


def test_page_has_items_and_a_cursor_that_continues(shop: Client) -> None:
    first = _ok(shop, "GET", "/api/appointments?limit=3")
    second = _ok(shop, "GET", f"/api/appointments?limit=3&cursor={first['next_cursor']}")
    both = _ok(shop, "GET", "/api/appointments?limit=6")
    assert first.keys() == {"items", "next_cursor"}
    assert first["items"] + second["items"] == both["items"]
    assert first["items"][0].keys() == {"id", "vehicle_id", "starts_at", "status", "customer"}
    assert first["items"][0]["customer"].keys() == {"id", "name", "phone"}


def test_page_size_is_20_by_default_and_the_last_page_has_no_cursor(shop: Client) -> None:
    page = _ok(shop, "GET", "/api/appointments")
    assert len(page["items"]) == 20
    assert re.fullmatch(r"[A-Za-z0-9_-]+", page["next_cursor"])
    seconds, _ = urlsafe_b64decode(page["next_cursor"] + "==").decode().split(":")
    assert int(seconds) > 0
    assert _ok(shop, "GET", "/api/appointments?cursor=MDow") == {"items": [], "next_cursor": None}


def test_booking_copies_the_prices(shop: Client) -> None:
    owner = _ok(shop, "GET", "/api/vehicles/1")["customer_id"]
    body = {
        "customer_id": owner, "vehicle_id": 1, "starts_at": "2030-05-01T10:00:00.900+02:00",
        "service_ids": [3, 1], "notes": "ring \"twice\" 🔔",
    }  # fmt: skip
    booked = _ok(shop, "POST", "/api/appointments", body, status=201)
    assert booked.keys() == {"id", "customer_id", "vehicle_id", "starts_at", "status", "notes", "services"}
    assert booked["notes"] == body["notes"]
    assert booked["status"] == "booked"
    assert [(s["service_id"], s["name"], s["price"]) for s in booked["services"]] == [
        (1, "Oil change, small car", "56.25"),
        (3, "Tyres, small car", "130.75"),
    ]
    stored = _ok(shop, "GET", PROFILE.format(owner))["appointments"][0]
    assert stored == {"payments": [], "messages": []} | {k: v for k, v in booked.items() if k != "customer_id"}


def test_payment_is_a_receipt_and_arrives_in_the_report(shop: Client) -> None:
    before = _revenue(shop)
    receipt = _ok(shop, "POST", "/api/payments", {"appointment_id": 1, "amount": 12.5, "method": "cash"}, 201)
    assert receipt.keys() == {"id", "appointment_id", "amount", "method", "paid_on"}
    assert receipt["amount"] == "12.50"
    after = _revenue(shop)
    payments, revenue = before.get(receipt["paid_on"], (0, 0))
    assert after[receipt["paid_on"]] == (payments + 1, revenue + 1250)


def test_report_is_one_line_per_day_with_crlf(shop: Client) -> None:
    answer = ask(shop, "GET", "/api/reports/revenue.csv?from=2024-01-01&to=2024-01-31")
    header, *lines = answer.body.decode().split("\r\n")
    assert (answer.status, answer.kind, header) == (200, CSV, "day,payments,revenue")
    assert lines.pop() == ""
    assert all(re.fullmatch(r"2024-01-\d\d,[1-9]\d*,\d+\.\d\d", line) for line in lines)
    assert lines == sorted(lines)
    assert len(lines) > 20


@pytest.mark.parametrize(
    ("step", "status", "message"),
    [
        (Ask("GET", "/api/admin/customers/999999"), 404, "not found"),
        (Ask("GET", PROFILE.format(999999)), 404, "not found"),
        (Ask("GET", "/api/customers/999999/history"), 404, "not found"),
        (Ask("GET", "/api/vehicles/99999999999999999999"), 404, "not found"),
        (Ask("GET", "/api/nothing"), 404, "not found"),
        (Ask("DELETE", "/api/vehicles/1"), 405, "method not allowed"),
        (Ask("GET", "/api/appointments?limit=101"), 400, "limit must be"),
        (Ask("GET", "/api/appointments?cursor=x"), 400, "cursor must be"),
        (Ask("GET", "/api/reports/revenue.csv?from=2024-02-30"), 400, "from must be"),
        (Ask("GET", "/api/reports/revenue.csv?to=today"), 400, "to must be"),
        (Ask("POST", "/api/payments"), 400, "the body must be a JSON object"),
        (Ask("POST", "/api/payments", [PAYMENT]), 400, "the body must be a JSON object"),
        (Ask("POST", "/api/payments", {**PAYMENT, "amount": "0.001"}), 400, "amount must be"),
        (Ask("POST", "/api/payments", {**PAYMENT, "amount": "0.00"}), 400, "amount must be"),
        (Ask("POST", "/api/payments", {**PAYMENT, "amount": True}), 400, "amount must be"),
        (Ask("POST", "/api/payments", {**PAYMENT, "method": "gold"}), 400, "method must be"),
        (Ask("POST", "/api/payments", {**PAYMENT, "appointment_id": 999999}), 422, "appointment_id is not"),
        (Ask("POST", "/api/vehicles/verify", {"customer_id": 1, "vehicle_ids": []}), 400, "vehicle_ids must be"),
        (
            Ask("POST", "/api/vehicles/verify", {"customer_id": 1, "vehicle_ids": [1] * 1001}),
            400,
            "vehicle_ids must be",
        ),
        (
            Ask("POST", "/api/vehicles/verify", {"customer_id": True, "vehicle_ids": [1]}),
            400,
            "customer_id must be",
        ),
        (Ask("POST", "/api/appointments", {**BOOKING, "customer_id": 2**63}), 400, "customer_id must be"),
        (Ask("POST", "/api/appointments", {**BOOKING, "vehicle_id": 900}), 422, "vehicle_id is not"),
        (Ask("POST", "/api/appointments", {**BOOKING, "starts_at": "2030-05-01"}), 400, "starts_at must be"),
        (Ask("POST", "/api/appointments", {**BOOKING, "service_ids": [1, 1]}), 400, "service_ids must not"),
        (Ask("POST", "/api/appointments", {**BOOKING, "service_ids": [99]}), 422, "service_ids has an unknown"),
        (Ask("POST", "/api/appointments", {**BOOKING, "notes": "a\0"}), 400, "notes must be"),
    ],
    ids=lambda value: value.path if isinstance(value, Ask) else None,
)
def test_refusals_name_the_field(shop: Client, step: Ask, status: int, message: str) -> None:
    answer = ask(shop, step.method, step.path, step.body)
    assert (answer.status, answer.kind) == (status, JSON)
    assert answer.parsed().keys() == {"error"}
    assert answer.parsed()["error"].startswith(message)


def _ok(shop: Client, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = ask(shop, method, path, body)
    assert (answer.status, answer.kind) == (status, JSON), answer
    return answer.parsed()


def _revenue(shop: Client) -> dict[str, tuple[int, int]]:
    report = ask(shop, "GET", "/api/reports/revenue.csv?from=2024-01-01").body.decode()
    rows = list(csv.reader(io.StringIO(report)))[1:]
    return {day: (int(payments), int(revenue.replace(".", ""))) for day, payments, revenue in rows}


def _sum(amounts: Any) -> str:
    cents = sum(int(amount.replace(".", "")) for amount in amounts)
    return f"{cents // 100}.{cents % 100:02}"
