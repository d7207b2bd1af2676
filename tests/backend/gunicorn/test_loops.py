"""Loops of queries on a live server: said in the log and a header, or refused."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.stack import Stack
from tests.support.client import HttpClient

APP = Path(__file__).resolve().parents[2] / "support" / "apps" / "loops.py"


def test_a_loop_is_seen_in_the_header_and_in_strict_mode_it_is_a_500_and_the_worker_goes_on(url: str) -> None:
    with Stack() as stack:
        settings = {
            "DATABASE_URL": url, "HARDEN_APP": f"{APP}:app", "WORKERS": "1", "THREADS": "2",
            "HARDEN_ENV": "development", "DB_REPEATS": "raise",
        }  # fmt: skip
        web = stack.gunicorn(settings)
        web.wait_until_ready()
        client = HttpClient(web.url)
        for _ in range(2):
            status, headers, body = client.request("GET", "/rows/5")
            sent = {name.lower(): value for name, value in dict(headers).items()}
            assert (status, body.strip(), sent["x-query-count"]) == (200, b"[0,1,2,3,4]", "5")
            assert re.fullmatch(r'db;dur=[\d.]+;desc="5 queries", total;dur=[\d.]+', sent["server-timing"])
            client.close()
            client = HttpClient(web.url)
            status, _, body = client.request("GET", "/rows/6")
            client.close()
            client = HttpClient(web.url)
            assert status == 500
            assert b"SELECT" not in body
        client.close()
        log = web.child.log.read_text()
        assert "RepeatsError: 6 repeated queries in /rows/<int:count>" in log
        assert "loops.py:18 in rows: 6 x select ?" in log
