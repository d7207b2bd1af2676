"""The key is the same in every worker."""

from __future__ import annotations

import pytest

from ..fixing import fixed

HEAD = "import os, uuid, secrets\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.mark.parametrize(
    "value, name",
    [
        ("os.urandom(24)", "SECRET_KEY"),
        ("os.urandom(24).hex()", "SECRET_KEY"),
        ("str(uuid.uuid4())", "SECRET_KEY"),
        ('os.environ.get("KEY", secrets.token_hex())', "KEY"),
        ('os.environ.get("KEY") or secrets.token_hex(16)', "KEY"),
    ],
)
def test_the_whole_value_is_read_from_the_environment(value: str, name: str) -> None:
    source = f"{HEAD}app.secret_key = {value}  # why\n"
    outcome = fixed({"app.py": source}, "random-secret-key", unsafe=True)
    assert outcome.files["app.py"] == f'{HEAD}app.secret_key = os.environ["{name}"]  # why\n'
    assert outcome.files[".env.example"] == f"{name}=\n"


def test_a_setting_of_another_name_keeps_it() -> None:
    outcome = fixed(
        {"app.py": f'{HEAD}app.config["JWT_SECRET_KEY"] = os.urandom(9)\n'}, "random-secret-key", unsafe=True
    )
    assert 'os.environ["JWT_SECRET_KEY"]' in outcome.files["app.py"]


def test_it_is_unsafe() -> None:
    outcome = fixed({"app.py": f"{HEAD}app.secret_key = os.urandom(24)\n"}, "random-secret-key")
    assert not outcome.changes
    assert "secrets.token_hex" in outcome.unsafe[0].note


def test_a_key_that_goes_through_code_of_the_project_is_left_alone() -> None:
    source = f"{HEAD}app.secret_key = stored(os.urandom(24))\n"
    outcome = fixed({"app.py": source}, "random-secret-key", unsafe=True)
    assert outcome.files["app.py"] == source
    assert "stored()" in outcome.reasons[0]
