"""The one line of an app's requirements that must change."""

from __future__ import annotations

import pytest

from scripts.up.requirements import DRIVER, prepared


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flask==1.0\npsycopg2==2.7.5\ngunicorn\n", f"flask==1.0\n{DRIVER}\ngunicorn\n"),
        ("psycopg2-binary==2.7.3 # old\nflask", f"{DRIVER}\nflask"),
        ("Psycopg2\n", f"{DRIVER}\n"),
        ("flask\n", f"flask\n{DRIVER}\n"),
        ("psycopg2-pool\n", f"psycopg2-pool\n{DRIVER}\n"),
        ("psycopg\n", f"psycopg\n{DRIVER}\n"),
    ],
)
def test_driver_s_line_is_replaced_or_added_and_all_else_stays(text: str, expected: str) -> None:
    changed = prepared(text.encode())
    assert changed is not None
    assert changed[0] == expected
    assert DRIVER in changed[1]


@pytest.mark.parametrize(
    "text", [f"{DRIVER}\n", "-r base.txt\npsycopg2\n", "-e .\npsycopg2\n", "./wheels/x.whl\n"]
)
def test_file_that_is_fine_or_leads_elsewhere_is_installed_as_it_is(text: str) -> None:
    assert prepared(text.encode()) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_file_that_windows_wrote_is_read(encoding: str) -> None:
    changed = prepared("flask\r\npsycopg2==2.7\r\n".encode(encoding))
    assert changed is not None and "2.7" not in changed[0] and "flask" in changed[0]


def test_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        prepared(b"\xff\xff\x00")
