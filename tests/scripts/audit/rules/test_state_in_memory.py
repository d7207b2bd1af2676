"""H408: what requests leave in a worker's memory, and what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.state_in_memory import RULE

from ..looking import findings, places

HEAD = "from flask import Flask, request\napp = Flask(__name__)\n"


@pytest.mark.parametrize("code, place", [
    ("seen = {}\n@app.get('/')\ndef view():\n    seen[request.path] = 1\n    return seen\n", "3:1"),
    ("seen = []\n@app.get('/')\ndef view():\n    seen.append(1)\n    return str(len(seen))\n", "3:1"),
    ("from collections import defaultdict\nseen = defaultdict(list)\n@app.get('/')\ndef view():\n"
     "    seen['a'].append(1)\n"
     "    return seen\n", "4:1"),
    ("count: int = 0\n@app.get('/')\ndef view():\n    global count\n    count += 1\n"
     "    return str(count)\n", "3:1"),
    ("name = None\n@app.get('/')\ndef view():\n    global name\n    name = request.args['n']\n    return ''\n"
     "@app.get('/b')\ndef other():\n    return name\n", "3:1"),
    ("class Store:\n    rows = []\n    def put(self, row):\n        self.rows.append(row)\n"
     "        return len(self.rows)\n"
     "@app.get('/')\ndef view():\n    return str(Store().put(1))\n", "4:5"),
])  # fmt: skip
def test_what_requests_change_and_read_is_found(tmp_path: Path, code: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == [f"app.py:{place}"]


@pytest.mark.parametrize("code", [
    "from state import seen\n@app.get('/')\ndef view():\n    seen['a'] = 1\n    return seen\n",
    "import state\n@app.get('/')\ndef view():\n    state.seen['a'] = 1\n    return state.seen\n",
    "from state import seen as known\n@app.get('/')\ndef view():\n    known.update(a=1)\n    return known\n",
])  # fmt: skip
def test_a_name_of_another_module_is_found_there(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code, "state.py": "seen = {}\n"}) == ["state.py:1:1"]


@pytest.mark.parametrize("code", [
    "NAMES = {'a': 1}\n@app.get('/')\ndef view():\n    return NAMES['a']\n",
    "handlers = {}\ndef register(f):\n    handlers[f.__name__] = f\n    return f\n@register\ndef one():\n"
    "    pass\n"
    "@app.get('/')\ndef view():\n    return str(handlers)\n",
    "seen = []\n@app.get('/')\ndef view():\n    seen = []\n    seen.append(1)\n    return str(seen)\n",
    "seen = []\n@app.get('/')\ndef view():\n    seen.append(1)\n    return ''\n",
    "seen = {}\n@app.get('/')\ndef view(seen):\n    seen['a'] = 1\n    return seen\n",
    "service = None\n@app.get('/')\ndef view():\n    global service\n    if service is None:\n"
    "        service = object()\n"
    "    return str(service)\n",
    "seen = {}\n@app.cli.command()\ndef view():\n    seen['a'] = 1\n    return seen\n",
    "class Row:\n    def __init__(self):\n        self.cells = []\n    def put(self):\n"
    "        self.cells.append(1)\n        return self.cells\n"
    "@app.get('/')\ndef view():\n    return str(Row().put())\n",
    "class Row:\n    cells = []\n    def __init__(self):\n        self.cells = []\n    def put(self):\n"
    "        self.cells.append(1)\n"
    "        return self.cells\n@app.get('/')\ndef view():\n    return str(Row().put())\n",
    "import logging\nlogger = logging.getLogger()\n@app.get('/')\ndef view():\n    logger.info('a')\n"
    "    return ''\n",
])  # fmt: skip
def test_what_no_request_leaves_behind_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []


@pytest.mark.parametrize("name, severity, words", [
    ("oauth_states", Severity.high, "come to a worker that does not know it"),
    ("loginAttempts", Severity.high, "limit is four times as high"),
    ("online_users", Severity.high, "same for all users of a worker"),
    ("jobs", Severity.high, "one worker in four"),
    ("cache", Severity.medium, "copy of its own"),
    ("things", Severity.medium, "3 of 4 requests do not see it"),
])  # fmt: skip
def test_the_name_decides_what_is_said_to_break(tmp_path: Path, name: str, severity: Severity, words: str) -> None:
    code = f"{HEAD}{name} = {{}}\n@app.get('/')\ndef view():\n    {name}[request.path] = 1\n    return {name}\n"
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert finding.severity == severity
    assert words in finding.message
    assert "nothing is ever taken out" in finding.message


def test_what_can_be_made_again_is_low(tmp_path: Path) -> None:
    code = (
        f"{HEAD}pages = {{}}\n@app.get('/')\ndef view():\n    if 'a' not in pages:\n        pages['a'] = 1\n"
        f"    return pages['a']\n"
    )
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert finding.severity == Severity.low
