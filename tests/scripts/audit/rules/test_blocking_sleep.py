"""H404: which sleeps hold a request up, and which only look like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.blocking_sleep import RULE

from ..looking import findings, places

HEAD = "import threading, time\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.mark.parametrize("code, place", [
    ("@app.get('/')\ndef view():\n    time.sleep(1)\n", "6:5"),
    ("def helper():\n    time.sleep(1)\n@app.get('/')\ndef view():\n    helper()\n", "5:5"),
    ("from time import sleep as nap\n@app.get('/')\ndef view():\n    nap(1)\n", "7:5"),
    ("@app.before_request\ndef hook():\n    time.sleep(1)\n", "6:5"),
    ("def slow(view):\n    def wrapper():\n        time.sleep(1)\n        return view()\n    return wrapper\n"
     "@app.get('/')\n@slow\ndef view():\n    return ''\n", "6:9"),
])  # fmt: skip
def test_a_sleep_that_a_request_waits_for_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "def job():\n    time.sleep(1)\n@app.get('/')\ndef view():\n    threading.Thread(target=job).start()\n",
    "def job():\n    time.sleep(1)\n@app.get('/')\ndef view():\n    executor.submit(job)\n",
    "@app.cli.command()\ndef job():\n    time.sleep(1)\n",
    "def main():\n    time.sleep(1)\nif __name__ == '__main__':\n    main()\n",
    "import gevent\n@app.get('/')\ndef view():\n    gevent.sleep(1)\n",
    "time.sleep(1)\n",
    "class Clock:\n    def sleep(self, n):\n        pass\n@app.get('/')\ndef view():\n    Clock().sleep(1)\n",
])  # fmt: skip
def test_a_sleep_that_no_request_waits_for_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


@pytest.mark.parametrize("body, severity", [
    ("time.sleep(2)", Severity.high),
    ("time.sleep(0.5)", Severity.medium),
    ("time.sleep(0.05)", Severity.low),
    ("time.sleep(delay)", Severity.medium),
    ("try:\n        work()\n    except OSError:\n        time.sleep(2)", Severity.medium),
])  # fmt: skip
def test_long_sleeps_are_worse_than_short_ones_and_than_retries(
    tmp_path: Path, body: str, severity: Severity
) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": f"{HEAD}@app.get('/')\ndef view(delay=None):\n    {body}\n"})
    assert finding.severity == severity


def test_the_message_has_the_seconds_the_route_and_the_rate(tmp_path: Path) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": f"{HEAD}@app.get('/slow')\ndef view():\n    time.sleep(2)\n"})
    assert "sleeps 2 s for GET /slow" in finding.message
    assert "at most 0.5 requests/s" in finding.message
    assert finding.routes == ("GET /slow",)
