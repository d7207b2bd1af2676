"""Secrets are read from the environment, and shown nowhere."""

from __future__ import annotations

import pytest

from scripts.fix.report import Report, document, text

from ..fixing import fixed

VALUE = "Sup3r-x9"


def _fixed(source: str) -> tuple[str, str]:
    """Return the code and the example of an environment."""
    outcome = fixed({"app.py": "import os\n" + source}, "hardcoded-credentials", unsafe=True)
    return outcome.files["app.py"].removeprefix("import os\n"), outcome.files.get(".env.example", "")


@pytest.mark.parametrize(
    "before, after, name",
    [
        pytest.param(
            f'c = psycopg2.connect(host="h", user="u", password="{VALUE}")\n',
            'c = psycopg2.connect(host="h", user="u", password=os.environ["DB_PASSWORD"])\n',
            "DB_PASSWORD",
            id="connect",
        ),
        pytest.param(
            f'c = psycopg2.connect("host=h password={VALUE}")\n',
            'c = psycopg2.connect(os.environ["DATABASE_URL"])\n',
            "DATABASE_URL",
            id="keywords",
        ),
        pytest.param(
            f'URL = "postgresql://u:{VALUE}@h/d"\n', 'URL = os.environ["DATABASE_URL"]\n', "DATABASE_URL", id="URL"
        ),
        pytest.param(
            f'URL = "redis://u:{VALUE}@h/0"\n', 'URL = os.environ["REDIS_URL"]\n', "REDIS_URL", id="Redis"
        ),
        pytest.param(f'DB_PASS = "{VALUE}"\n', 'DB_PASS = os.environ["DB_PASS"]\n', "DB_PASS", id="variable"),
        pytest.param(
            f'host = "h"\nuser = "u"\npassword = "{VALUE}"\n',
            'host = "h"\nuser = "u"\npassword = os.environ["DB_PASSWORD"]\n',
            "DB_PASSWORD",
            id="beside a host",
        ),
        pytest.param(
            f'DB = {{"host": "h", "dbname": "d", "password": "{VALUE}"}}\n',
            'DB = {"host": "h", "dbname": "d", "password": os.environ["DB_PASSWORD"]}\n',
            "DB_PASSWORD",
            id="dict",
        ),
        pytest.param(
            f'app.config["MAIL_PASSWORD"] = "{VALUE}"\n',
            'app.config["MAIL_PASSWORD"] = os.environ["MAIL_PASSWORD"]\n',
            "MAIL_PASSWORD",
            id="configuration",
        ),
        pytest.param(
            f'app.secret_key = b"{VALUE}"\n',
            'app.secret_key = os.environ["SECRET_KEY"].encode()\n',
            "SECRET_KEY",
            id="bytes",
        ),
        pytest.param(
            f'app.secret_key = "{VALUE}".encode()\n',
            'app.secret_key = os.environ["SECRET_KEY"].encode()\n',
            "SECRET_KEY",
            id="encoded",
        ),
        pytest.param(
            f'class Config:\n    SECRET_KEY = ("a"\n        "{VALUE}")\n',
            'class Config:\n    SECRET_KEY = (os.environ["SECRET_KEY"])\n',
            "SECRET_KEY",
            id="two lines",
        ),
        pytest.param(
            f'a = jwt.encode(x, "{VALUE}")\nb = jwt.decode(x, "{VALUE}")\n',
            'a = jwt.encode(x, os.environ["JWT_SECRET_KEY"])\nb = jwt.decode(x, os.environ["JWT_SECRET_KEY"])\n',
            "JWT_SECRET_KEY",
            id="the same key twice",
        ),
    ],
)
def test_a_literal_is_read_from_the_environment(before: str, after: str, name: str) -> None:
    before, after = (f"import jwt\nimport psycopg2\n{each}" for each in (before, after))
    assert _fixed(before) == (after, f"{name}=\n")


@pytest.mark.parametrize(
    "source, words",
    [
        pytest.param(
            f'c = psycopg2.connect(f"host={{h}} dbname=d password={VALUE}")\n', "several pieces", id="f-string"
        ),
        pytest.param(f'if password == "{VALUE}":\n    x()\n', "hashed passwords", id="log-in"),
        pytest.param(
            f'a = psycopg2.connect(host="h", user="u", password="{VALUE}")\n'
            'b = psycopg2.connect(host="h", user="u", password="0ther-y8")\n',
            "different values",
            id="two databases",
        ),
        pytest.param(
            f'app.secret_key = "{VALUE}"\nsend(key="{VALUE}")\n', "app.py:4 as well", id="a key used elsewhere"
        ),
        pytest.param(
            f'os.environ["DB_PASSWORD"] = "{VALUE}"\n', "writes it into the environment", id="written there"
        ),
    ],
)
def test_what_is_unclear_is_left_alone_and_the_value_is_not_told(source: str, words: str) -> None:
    source = "import os\nimport psycopg2\n" + source
    outcome = fixed({"app.py": source}, "hardcoded-credentials", unsafe=True)
    assert outcome.files == {"app.py": source}
    assert outcome.reasons and all(words in each for each in outcome.reasons)
    told = Report(outcome.result, is_whole=True)
    assert VALUE not in text(told) + document(told)


def test_one_value_for_two_settings_goes_by_flasks_own_name() -> None:
    source = 'app.config["WTF_CSRF_SECRET_KEY"] = "abc"\napp.config["SECRET_KEY"] = "abc"\n'
    code, example = _fixed(source)
    assert code.count('os.environ["SECRET_KEY"]') == 2
    assert example == "SECRET_KEY=\n"


def test_it_is_unsafe_and_says_what_to_set_without_the_value() -> None:
    source = f'import psycopg2\nc = psycopg2.connect(host="h", password="{VALUE}")\n'
    outcome = fixed({"app.py": source}, "hardcoded-credentials")
    assert outcome.files == {"app.py": source} and not outcome.left
    assert "set DB_PASSWORD" in outcome.unsafe[0].note
    told = Report(outcome.result, is_whole=True)
    assert VALUE not in text(told) + document(told)


def test_an_example_that_is_there_gets_the_name_once() -> None:
    files: dict[str, str | bytes] = {
        "a.py": f'import psycopg2\nc = psycopg2.connect(host="h", password="{VALUE}")\n',
        "b.py": f'import psycopg2\nc = psycopg2.connect(host="h", password="{VALUE}")\n',
        ".env.example": b"DATABASE_HOST=x\r\nFOO=1",
    }
    outcome = fixed(files, "hardcoded-credentials", unsafe=True)
    assert outcome.bytes[".env.example"] == b"DATABASE_HOST=x\r\nFOO=1\r\nDB_PASSWORD=\r\n"
    again = fixed({**files, ".env.example": b"DB_PASSWORD=change-me\n"}, "hardcoded-credentials", unsafe=True)
    assert again.bytes[".env.example"] == b"DB_PASSWORD=change-me\n"


def test_a_committed_environment_is_left_alone() -> None:
    files = {"app.py": "import flask\n", ".env": f"DB_PASSWORD={VALUE}\n"}
    outcome = fixed(files, "hardcoded-credentials", unsafe=True)
    assert outcome.files == files
    assert "git rm --cached" in outcome.reasons[0]
