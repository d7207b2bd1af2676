"""Source for a newer Python than the one that runs the audit."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from scripts.audit.model.build import build
from scripts.audit.model.newer_syntax import newer_needed, requoted

from .interpreting import interpreted, statements

is_new = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python 3.12 and newer parse this themselves")


@is_new
@pytest.mark.parametrize("line, wanted", [
    ("x = f\"{row[\"id\"]}\"", "x = f\"{row['id']}\""),
    ("x = f'{row['id']} {row['a']}' + d['b']", "x = f'{row[\"id\"]} {row[\"a\"]}' + d['b']"),
    ('x = f"{", ".join(f"{y}" for y in z)}"', "x = f\"{', '.join(f'{y}' for y in z)}\""),
    ('x = f"{{"', 'x = f"{{"'),
    ('x = f"{a}" + d["b"]', 'x = f"{a}" + d["b"]'),
    ("x = f\"{row['id']}\"", "x = f\"{row['id']}\""),
    ('x = f"""{row["id"]}"""', 'x = f"""{row["id"]}"""'),
])  # fmt: skip
def test_quotes_in_braces_are_changed_where_an_older_parser_needs_it(line: str, wanted: str) -> None:
    assert requoted(line) == wanted
    ast.parse(wanted)


def test_a_file_with_such_a_line_is_read(tmp_path: Path) -> None:
    code = 'import psycopg2\ncur = psycopg2.connect("").cursor()\ncur.execute(f"SELECT {row["id"]}")\n'
    project = interpreted(tmp_path, app=code)
    assert (project.broken, statements(project)) == ([], ["SELECT ?"])
    [call] = project.calls("execute")
    assert (call.place.line, call.place.col) == (3, 1)


@is_new
def test_a_file_that_stays_unreadable_says_which_python_it_needs(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("type Row = dict[str, int]\n")
    [broken] = build(tmp_path).broken
    assert "this is Python 3.12; the audit runs on 3.1" in broken.reason


@pytest.mark.parametrize("code", ["def f(:\n", "print 'a'\n", "type = 1\ndef f(x\n"])
def test_what_no_python_reads_is_not_called_new(code: str) -> None:
    assert newer_needed(code) == ""
