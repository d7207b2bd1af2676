"""H406."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit.finding import Severity
from scripts.audit.rules.random_secret_key import RULE

from ..looking import findings, places

HEAD = "import os, secrets, uuid\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.mark.parametrize("line, place", [
    ("app.secret_key = os.urandom(24)", "4:18"),
    ("app.secret_key = secrets.token_hex(16)", "4:18"),
    ("app.config['SECRET_KEY'] = os.urandom(24).hex()", "4:28"),
    ("app.config['SECRET_KEY'] = str(uuid.uuid4())", "4:32"),
    ("app.config.update(SECRET_KEY=secrets.token_bytes())", "4:30"),
    ("app.config.update({'SECRET_KEY': os.urandom(8)})", "4:34"),
    ("app.config['JWT_SECRET_KEY'] = os.urandom(24)", "4:32"),
    ("class Config:\n    SECRET_KEY = os.urandom(24)", "5:18"),
    ("key = os.urandom(24)\napp.secret_key = key", "5:18"),
    ("from os import urandom\napp.secret_key = urandom(24)", "5:18"),
])  # fmt: skip
def test_a_key_of_each_process_is_found(tmp_path: Path, line: str, place: str) -> None:
    assert places(RULE, tmp_path, {"app.py": f"{HEAD}{line}\n"}) == [f"app.py:{place}"]


@pytest.mark.parametrize("line", [
    "app.secret_key = os.environ.get('SECRET_KEY', os.urandom(24))",
    "app.secret_key = os.environ.get('SECRET_KEY') or secrets.token_hex()",
])  # fmt: skip
def test_one_that_only_stands_in_is_less_bad(tmp_path: Path, line: str) -> None:
    [finding] = findings(RULE, tmp_path, {"app.py": f"{HEAD}{line}\n"})
    assert finding.severity == Severity.low
    assert "where the environment says nothing" in finding.message


@pytest.mark.parametrize("line", [
    "app.secret_key = os.environ['SECRET_KEY']",
    "app.secret_key = open('/etc/shop/key', 'rb').read()",
    "app.secret_key = 'a literal'",
    "token = secrets.token_hex(16)",
    "def reset():\n    return os.urandom(8)",
    "name = str(uuid.uuid4()) + '.png'",
    "write({'SECRET_KEY': os.urandom(24)})",
])  # fmt: skip
def test_other_keys_and_other_random_values_are_left_alone(tmp_path: Path, line: str) -> None:
    assert places(RULE, tmp_path, {"app.py": f"{HEAD}{line}\n"}) == []
