"""The scorer: what hits a label, what is wrong, what counts for nothing."""

from __future__ import annotations

from scripts.bench.audit.labels import Label, Repository
from scripts.bench.audit.scoring import Row, Score, score


def _label(rule: str = "n-plus-one", path: str = "app.py", line: int = 10, **more: object) -> Label:
    return Label(rule, path, line, **{"first": line, "last": line, **more})  # type: ignore[arg-type]


def _row(line: int, rule: str = "n-plus-one", path: str = "app.py", end: int = 0, repo: str = "a/b") -> Row:
    return Row(repo, path, line, end or line, rule)


def _scored(
    rows: list[Row], *findings: Label, neutral: tuple[Label, ...] = (), traps: tuple[Label, ...] = ()
) -> Score:
    return score([Repository("a/b", "c0ffee", findings, neutral, traps)], rows)


def test_a_report_within_the_labelled_statement_hits() -> None:
    label = _label(line=10, first=8, last=12)
    for line, end, hit in ((8, 8, 1), (12, 12, 1), (5, 8, 1), (12, 20, 1), (7, 7, 0), (13, 13, 0)):
        found = _scored([_row(line, end=end)], label).rules["n-plus-one"]
        assert (found.hit, found.right, found.wrong) == (hit, hit, 1 - hit)


def test_another_rule_path_or_repository_does_not_hit() -> None:
    for row in (_row(10, rule="sql-injection"), _row(10, path="b.py"), _row(10, repo="a/c")):
        assert _scored([row], _label(), _label("sql-injection", line=99)).rules["n-plus-one"].hit == 0


def test_a_place_that_is_equally_right_hits_in_another_file() -> None:
    label = _label(also=(("dao.py", 40), ("app.py", 3)))
    for row in (_row(38, path="dao.py", end=41), _row(3)):
        found = _scored([row], label).rules["n-plus-one"]
        assert (found.hit, found.wrong) == (1, 0)


def test_only_rules_about_a_whole_function_are_hit_anywhere_in_it() -> None:
    for rule, hit in (("leaked-connection", 1), ("missing-rollback", 1), ("n-plus-one", 0)):
        assert _scored([_row(18, rule=rule)], _label(rule, span=(5, 20))).rules[rule].hit == hit


def test_a_report_on_a_neutral_place_counts_for_nothing() -> None:
    found = _scored([_row(30)], _label(), neutral=(_label(line=30),)).rules["n-plus-one"]
    assert (found.right, found.wrong, found.precision) == (0, 0, None)


def test_a_report_that_hits_a_label_and_a_trap_is_right() -> None:
    found = _scored([_row(10)], _label(), traps=(_label(),)).rules["n-plus-one"]
    assert (found.right, found.wrong, found.traps) == (1, 0, 0)


def test_a_report_on_a_trap_is_wrong_and_counted_as_one() -> None:
    found = _scored([_row(30), _row(50)], _label(), traps=(_label(line=30),)).rules["n-plus-one"]
    assert (found.right, found.wrong, found.traps) == (0, 2, 1)


def test_two_reports_of_one_label_are_two_right_reports_and_one_hit() -> None:
    found = _scored([_row(10), _row(10)], _label()).rules["n-plus-one"]
    assert (found.hit, found.right, found.precision) == (1, 2, 1.0)


def test_macro_is_the_mean_of_the_repositories_that_have_the_rule() -> None:
    many = Repository("a/b", "1", tuple(_label(line=line) for line in (1, 2, 3, 4)), (), ())
    one = Repository("a/c", "2", (_label(line=7),), (), ())
    none = Repository("a/d", "3", (), (), ())
    found = score([many, one, none], [_row(line) for line in (1, 2, 3, 4)]).rules["n-plus-one"]
    assert (found.recall, found.macro) == (0.8, 0.5)


def test_rules_that_nobody_labelled_and_loops_over_requests_stay_out_of_the_totals() -> None:
    labels = (_label(), _label("query-in-loop", line=20))
    found = _scored([_row(10), _row(99, rule="query-in-loop"), _row(1, rule="debug-on")], *labels)
    assert (found.total.labels, found.total.hit, found.total.right, found.total.wrong) == (1, 1, 1, 0)
    assert [row.rule for row in found.wrong] == ["query-in-loop"]


def test_what_was_missed_is_named_with_its_repository() -> None:
    label = _label()
    assert _scored([], label).missed == (("a/b", label),)
