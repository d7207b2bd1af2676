"""What may happen a thousand times a second is logged at once, and then summed up."""

from __future__ import annotations

import logging

import pytest

from backend import summed_log
from backend.summed_log import SummedLog


def test_first_is_logged_at_once_and_the_rest_is_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(summed_log.time, "monotonic", lambda: now[0])
    log = SummedLog(logging.getLogger("repeated"), every=10.0)
    for _ in range(5):
        log.warning("full")
    now[0] += 9.9
    log.warning("full")
    now[0] += 0.1
    log.warning("still full")
    now[0] += 10
    log.warning("again")
    assert [record.getMessage() for record in caplog.records] == [
        "full",
        "still full (5 more like it since the last line)",
        "again",
    ]
