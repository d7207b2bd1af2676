"""One handler on stderr, the app's own left alone, and Gunicorn's in the same format."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.logging import default_handler
from gunicorn.config import Config
from gunicorn.glogging import Logger

from backend import Hardening, watch
from backend.log_setup import StderrHandler, configure


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    before = logging.getLogger().handlers[:]
    yield
    watch.stop()
    assert logging.getLogger().handlers == before


def ours() -> list[Any]:
    return [each for each in logging.getLogger().handlers if isinstance(each, StderrHandler)]


def test_there_is_one_handler_however_often_it_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    configure("json")
    configure("json")
    assert len(ours()) == 1
    logging.getLogger("shop").warning("hello")
    assert json.loads(capsys.readouterr().err)["message"] == "hello"
    configure("text")
    logging.getLogger("shop").warning("hello")
    assert capsys.readouterr().err.endswith("WARNING shop hello\n")
    configure(None)
    assert ours() == []


def test_the_app_s_own_handlers_and_level_stay(capsys: pytest.CaptureFixture[str]) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    theirs = logging.StreamHandler(stream)
    root.addHandler(theirs)
    level = root.level
    try:
        configure("json")
        assert theirs in root.handlers
        assert theirs.formatter is None
        assert not theirs.filters
        logging.getLogger("shop").warning("hello")
        assert stream.getvalue() == "hello\n"
        assert root.level == level
    finally:
        root.removeHandler(theirs)


def test_without_the_setting_logging_is_the_app_s(url: str) -> None:
    before = logging.getLogger().handlers[:]
    Hardening(Flask(__name__), DATABASE_URL=url)
    assert logging.getLogger().handlers == before


def test_a_broken_pipe_costs_a_line_and_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    configure("json")
    monkeypatch.setattr(sys, "stderr", Full())
    logging.getLogger("shop").warning("lost")
    monkeypatch.setattr(sys, "stderr", None)
    logging.getLogger("shop").warning("lost")


def test_flask_s_own_handler_does_not_write_each_line_twice(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = Flask("early")
    app.logger.addHandler(default_handler)  # as Flask does when the app logs while it is imported
    Hardening(app, DATABASE_URL=url, HARDEN_LOG_FORMAT="json")
    capsys.readouterr()
    app.logger.warning("after")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "early"


def test_gunicorn_s_errors_come_in_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    error_log, access_log = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
    before = error_log.handlers[:], error_log.propagate, error_log.level
    config = Config()
    config.set("errorlog", "-")
    logger = Logger(config)
    theirs = [each for each in error_log.handlers if each not in before[0]]
    own = theirs[0].formatter
    try:
        configure("json")
        logger.error("worker %s\nis gone", 7)
        lines = capsys.readouterr().err.splitlines()
        assert [json.loads(line)["message"] for line in lines] == ["worker 7\nis gone"]
        configure(None)
        assert theirs[0].formatter is own
        assert not theirs[0].filters
    finally:
        error_log.handlers[:], error_log.propagate, error_log.level = before[0], before[1], before[2]
        access_log.handlers.clear()
        access_log.propagate = True
        access_log.setLevel(logging.NOTSET)
