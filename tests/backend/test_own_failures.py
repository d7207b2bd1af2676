"""A failure of the kit's own is logged, and a hundred like it are not."""

from __future__ import annotations

import logging

import pytest

from backend import own_failures


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_failures, "_said", set())


def fail(kind: type[Exception]) -> None:
    try:
        raise kind("on purpose")
    except Exception as failure:
        own_failures.say(failure)


def test_each_kind_of_failure_is_logged_once_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    for kind in (KeyError, OSError, KeyError, OSError, KeyError):
        fail(kind)
    said = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert said == [KeyError, OSError]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert "in fail" in caplog.text


def test_what_is_logged_is_kept_by_name_so_that_nothing_hangs_on_it() -> None:
    fail(KeyError)
    assert own_failures._said == {"KeyError"}
