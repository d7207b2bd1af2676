"""Slow queries, their plans and the app's own lines in the log of real Gunicorn workers, one JSON object each."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scripts.stack import Stack
from tests.support.client import HttpClient
from tests.support.threads import until

APP = Path(__file__).resolve().parents[2] / "support" / "apps" / "slowness.py"
GEVENT = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed (pip install gevent)")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def _lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("worker", ["gthread", pytest.param("gevent", marks=GEVENT)])
def test_one_request_can_be_followed_through_the_log(worker: str, url: str) -> None:
    settings = {
        "DATABASE_URL": url, "HARDEN_APP": f"{APP}:app", "HARDEN_LOG_FORMAT": "json", "DB_SLOW_QUERY_MS": "0.1",
        "DB_SQL_COMMENTS": "1", "WORKERS": "1", "THREADS": "4",
    }  # fmt: skip
    with Stack() as stack:
        web = stack.gunicorn(settings, options=["--worker-class", worker])
        web.wait_until_ready()
        client = HttpClient(web.url)
        sent = {"X-Request-ID": "from-the-front-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        status, _, _ = client.request("GET", "/numbers/918273", headers=sent)
        client.close()
        assert status == 200
        log = web.child.log
        until(lambda: any(line.get("event", {}).get("kind") == "plan" for line in _lines(log)), "a plan is there")
        web.stop()
        lines = _lines(log)
    mine = [line for line in lines if line.get("request_id") == "from-the-front-1"]
    slow = [line for line in mine if line.get("event", {}).get("kind") == "slow_query"]
    own = [line for line in mine if line["logger"] == "shop"]
    assert {(line["route"], line["trace_id"]) for line in [*slow, *own]} == {("/numbers/<int:number>", TRACE)}
    assert own[0]["message"] == "counted 0\nfor 918273"
    event = next(line["event"] for line in slow if "generate_series" in line["event"]["statement"]["text"])
    assert event["site"].endswith("slowness.py:15 in numbers")
    assert "918273" not in json.dumps([line for line in lines if "event" in line])
    assert [line for line in lines if line["logger"] == "gunicorn.error"], "Gunicorn's own lines are JSON as well"
