"""Expressions: rewritten only where the meaning is sure, else refused by name."""

from __future__ import annotations

import pytest

from scripts.sqlite_to_postgres.expressions import Named, Untranslatable, default, translated
from scripts.sqlite_to_postgres.tokens import tokenize

COLUMNS = {"active": Named("active", "boolean"), "name": Named("name", "text"), "user": Named("user", "text")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("active IN (0,1)", "active IN (false, true)"),
        ("Active == 1 AND name <> ''", "active = true AND name <> ''"),
        ('name IN ("a", \'b\')', "name IN ('a', 'b')"),
        ("ifnull([name], 'x') IS \"user\"", "coalesce (name, 'x') IS NOT DISTINCT FROM \"user\""),
        ("name LIKE 'a%' -- why", "name ILIKE 'a%'"),
        ("name NOTNULL", "name IS NOT NULL"),
        ("length(name) > 3 /* three */", "length (name) > 3"),
    ],
)
def test_what_is_known_is_rewritten(text: str, expected: str) -> None:
    assert translated(tokenize(text), COLUMNS) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [("name GLOB 'x'", "GLOB"), ("typeof(name) = 'text'", "typeof"), ("name = other", "other"),
     ("json_extract(name, '$.a')", "json_extract"), ("name COLLATE nocase = 'a'", "COLLATE"), ("name = ?", "?")],
)  # fmt: skip
def test_what_is_not_known_is_named(text: str, part: str) -> None:
    with pytest.raises(Untranslatable, match=f"^{part.replace('?', '.')}$"):
        translated(tokenize(text), COLUMNS)


@pytest.mark.parametrize(
    ("text", "type_name", "expected"),
    [
        ("0", "boolean", "false"),
        ("'1'", "boolean", "true"),
        ("TRUE", "bigint", "1"),
        ("NULL", "text", None),
        ("-1", "bigint", "- 1"),
        ("(datetime('now'))", "timestamp", "(now() AT TIME ZONE 'UTC')"),
        ("CURRENT_TIMESTAMP", "timestamptz", "now()"),
        ("current_date", "date", "(now() AT TIME ZONE 'UTC')::date"),
        ("CURRENT_TIMESTAMP", "text", "to_char((now() AT TIME ZONE 'UTC'), 'YYYY-MM-DD HH24:MI:SS')"),
        ("(strftime('%Y-%m-%d %H:%M:%f','now'))", "timestamp", "(now() AT TIME ZONE 'UTC')"),
        ("(strftime('%s', 'now'))", "bigint", "floor(extract(epoch FROM now()))::bigint"),
        ("'it''s'", "text", "'it''s'"),
        ('"new"', "text", "'new'"),
    ],
)
def test_a_default_is_written_for_its_type(text: str, type_name: str, expected: str | None) -> None:
    assert default(text, type_name) == expected


def test_a_default_in_local_time_is_refused() -> None:
    with pytest.raises(Untranslatable):
        default("(datetime('now','localtime'))", "timestamp")
