"""What a report shows of a line that holds a secret."""

from __future__ import annotations

import pytest

from scripts.audit.report.masking import masked


@pytest.mark.parametrize("line, shown", [
    ('app.secret_key = "hunter2"', 'app.secret_key = "***"'),
    ("app.secret_key = b'hunter2'", "app.secret_key = b'***'"),
    ("  'password': 'hunter2',", "  'password': '***',"),
    ('app.config["SECRET_KEY"] = "hunter2"', 'app.config["SECRET_KEY"] = "***"'),
    ('connect("postgresql://a:hunter2@db/c")', 'connect("***")'),
    ("text = '''dbname=a password=hunter2", "text = '''***"),
    ("password=hunter2 host=db'''", "password=***'''"),
    ("DB_PASSWORD=hunter2", "DB_PASSWORD=***"),
    ("  POSTGRES_PASSWORD: hunter2", "  POSTGRES_PASSWORD: ***"),
    ("DATABASE_URL=postgres://a:hunter2@db/c", "DATABASE_URL=***"),
    ("see postgres://a:hunter2@db/c", "see postgres://a:***@db/c"),
    ("MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSk", "***"),
    ('if password == "hunter2":', 'if password == "***":'),
    ('x = "hunter', 'x = "***'),
])  # fmt: skip
def test_values_are_hidden(line: str, shown: str) -> None:
    assert masked(line) == shown
    assert "hunter2" not in masked(line)


@pytest.mark.parametrize(
    "line", ["import psycopg2", "def connect(host, port):", "    return app", "", 'print("")']
)
def test_a_line_without_values_stays(line: str) -> None:
    assert masked(line) == line
