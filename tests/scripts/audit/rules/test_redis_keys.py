"""H410: which commands walk all of Redis for a request, and which `.keys()` are a dict's."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.redis_keys import RULE

from ..looking import findings, places

HEAD = "import redis\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.mark.parametrize("client, call, place", [
    ("redis.Redis()", "client.keys('a:*')", "7:5"),
    ("redis.StrictRedis(host='x')", "client.keys()", "7:5"),
    ("redis.from_url('redis://')", "client.keys(pattern='a:*')", "7:5"),
    ("redis.Redis.from_url('redis://')", "client.flushdb()", "7:5"),
    ("redis.Redis(connection_pool=redis.ConnectionPool())", "client.flushall()", "7:5"),
])  # fmt: skip
def test_a_command_over_all_keys_in_a_request_is_found(tmp_path: Path, client: str, call: str, place: str) -> None:
    code = f"{HEAD}client = {client}\n@app.get('/')\ndef view():\n    {call}\n"
    assert places(RULE, tmp_path, {"app.py": code}) == [f"app.py:{place}"]


def test_a_client_of_flask_redis_in_another_file_is_found(tmp_path: Path) -> None:
    files = {
        "store.py": "from flask_redis import FlaskRedis\nstore = FlaskRedis()\ndef count():\n"
        "    return len(store.keys('u:*'))\n",
        "app.py": f"{HEAD}from store import count\n@app.get('/')\ndef view():\n    return count()\n",
    }
    assert places(RULE, tmp_path, files) == ["store.py:4:16"]


def test_throwing_everything_away_is_worse(tmp_path: Path) -> None:
    code = f"{HEAD}client = redis.Redis()\n@app.get('/')\ndef view():\n    client.flushall()\n"
    [finding] = findings(RULE, tmp_path, {"app.py": code})
    assert finding.severity == Severity.high
    assert "FLUSHALL" in finding.message


@pytest.mark.parametrize("code", [
    "@app.get('/')\ndef view():\n    return list({'a': 1}.keys())\n",
    "redis_names = {'a': 1}\n@app.get('/')\ndef view():\n    return list(redis_names.keys())\n",
    "client = redis.Redis()\n@app.get('/')\ndef view():\n    return list(client.scan_iter('a:*'))\n",
    "client = redis.Redis()\n@app.get('/')\ndef view():\n    return client.hkeys('a')\n",
    "client = redis.Redis()\n@app.cli.command()\ndef clean():\n    client.flushdb()\n",
    "client = redis.Redis()\ndef clean():\n    client.keys('*')\nif __name__ == '__main__':\n    clean()\n",
    "@app.get('/')\ndef view(row):\n    return row.keys()\n",
])  # fmt: skip
def test_what_is_no_walk_in_a_request_is_left_alone(tmp_path: Path, code: str) -> None:
    assert places(RULE, tmp_path, {"app.py": HEAD + code}) == []
