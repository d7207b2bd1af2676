"""`# harden: ignore[...]`: where it counts, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.audit.finding import Finding, Place
from scripts.audit.rules import RULES, unused_ignore
from scripts.audit.run import audit

from .made import FOUND, rule


def _left(folder: Path, source: str, *findings: Finding, name: str = "app.py") -> list[tuple[str, int, str]]:
    (folder / name).write_text(source, encoding="utf-8")
    (folder / "a.py").write_text("")
    found = audit(folder, [rule(*findings), unused_ignore.RULE], known=RULES).findings
    return [(each.rule, each.place.line, each.message) for each in found]


def _at(line: int, name: str = "app.py") -> Finding:
    return replace(FOUND, place=Place(name, line), evidence=(), more=())


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("run(x)  # harden: ignore[H201] one row\n", 1),
        ("run(x)  # harden: ignore[n-plus-one] one row\n", 1),
        ("run(x)  # type: ignore  # harden: ignore[H2] one row\n", 1),
        ("run(x)  # harden: ignore[H301, H201] one row\n", 1),
        ("# harden: ignore[H201] one row\nrun(x)\n", 2),
        ("# harden: ignore[H201] one row\n# and more words\nrun(x)\n", 3),
        ('run("""\nSELECT 1\n""")  # harden: ignore[H201] one row\n', 1),
        ('# harden: ignore[H201] one row\nrun("""\nSELECT 1\n""")\n', 3),
        ("run(\n    x,  # harden: ignore[H201] one row\n)\n", 1),
        ("for x in (\n    y  # harden: ignore[H201] one row\n):\n    run(x)\n", 1),
    ],
)
def test_a_comment_on_the_statement_or_above_it_ignores(tmp_path: Path, source: str, line: int) -> None:
    assert not [each for each in _left(tmp_path, source, _at(line)) if each[0] == "H201"]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("for x in y:  # harden: ignore[H201] one row\n    run(x)\n", 2),
        ("a()  # harden: ignore[H201] one row\nrun(x)\n", 2),
        ('run("# harden: ignore[H201] one row")\n', 1),
        ("run(x)  # noqa\n", 1),
        ("run(x)  # nosec\n", 1),
        ("run(x)  # harden: ignore[H301] one row\n", 1),
    ],
)
def test_other_comments_ignore_nothing(tmp_path: Path, source: str, line: int) -> None:
    assert ("H201", line, FOUND.message) in _left(tmp_path, source, _at(line))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("schema.sql", "SELECT 1; -- harden: ignore[H201] known\n"),
        ("Dockerfile", "# harden: ignore[H201] known\nCMD flask run\n"),
        ("x.html", "<p> <!-- harden: ignore[H201] known -->\n"),
        ("app.toml", "x = 1 # harden: ignore[H201] known\n"),
    ],
)
def test_any_comment_sign_will_do_in_other_files(tmp_path: Path, name: str, source: str) -> None:
    line = len(source.splitlines())
    assert _left(tmp_path, source, _at(line, name), name=name) == []


def test_a_comment_that_hits_nothing_is_a_finding(tmp_path: Path) -> None:
    source = "run(x)  # harden: ignore[H201] one row\n"
    assert _left(tmp_path, source) == [("H902", 1, "H201 has nothing to ignore here")]


def test_a_comment_for_a_rule_that_did_not_run_is_left_alone(tmp_path: Path) -> None:
    assert _left(tmp_path, "run(x)  # harden: ignore[H101] pooled elsewhere\n") == []


def test_a_comment_without_a_reason_ignores_and_is_a_finding(tmp_path: Path) -> None:
    found = _left(tmp_path, "run(x)  # harden: ignore[H201]\n", _at(1))
    assert found == [("H902", 1, "H201 is ignored without a reason")]


def test_an_unknown_rule_is_a_finding_with_the_closest_name(tmp_path: Path) -> None:
    found = _left(tmp_path, "run(x)  # harden: ignore[n-plus-two] why not\n")
    assert found == [("H902", 1, "there is no rule 'n-plus-two' to ignore (did you mean n-plus-one?)")]


def test_a_comment_that_names_no_rule_is_a_finding(tmp_path: Path) -> None:
    assert [each[0] for each in _left(tmp_path, "run(x)  # harden: ignore[] all\n")] == ["H902"]
