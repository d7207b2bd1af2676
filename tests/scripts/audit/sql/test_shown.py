"""Statements in messages."""

from __future__ import annotations

from scripts.audit.model.values import Hole, Site, Text
from scripts.audit.sql.shown import shown

HOLE = Hole(Site("app.py", 1, 1), ("request",))


def test_a_statement_is_one_line_with_dots_for_holes() -> None:
    assert (
        shown(Text(("SELECT *\n  FROM a -- all\n WHERE id = ", HOLE, ";\n"))) == "SELECT * FROM a WHERE id = ..."
    )


def test_strings_are_left_out_since_they_may_be_secrets() -> None:
    assert shown(Text(("INSERT INTO users VALUES ('root', 'hunter''2')",))) == "INSERT INTO users VALUES ('', '')"


def test_a_long_one_is_cut_to_the_width() -> None:
    found = shown(Text(("SELECT " + "column_name, " * 40 + "id FROM t",)), 60)
    assert len(found) <= 60 and found.endswith("...")
