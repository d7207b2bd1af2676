"""What holds for each rule: its example is found by it and by nothing that stands in for it, its mend is clean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.audit.rule import Rule
from scripts.audit.rules import RULES
from scripts.audit.run import audit

HERE = Path(__file__).parent / "rules"
PROMISED = (
    "connect-per-request", "global-shared-connection", "leaked-connection", "dev-server", "debug-on", "n-plus-one",
    "query-in-loop", "sql-injection", "hardcoded-credentials", "unbounded-select", "missing-rollback",
)  # fmt: skip
each_rule = pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])


def found(rule: Rule, folder: Path, text: str, rules: tuple[Rule, ...] = RULES) -> list[str]:
    """Return the messages of one rule where all of them look."""
    (folder / "app.py").write_text(text)
    return [each.message for each in audit(folder / "app.py", rules).findings if each.rule == rule.id]


def test_ids_are_in_order_and_names_unique() -> None:
    assert [rule.id for rule in RULES] == sorted({rule.id for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert set(PROMISED) <= {rule.name for rule in RULES}


@each_rule
def test_the_example_is_found_and_not_without_the_rule(rule: Rule, tmp_path: Path) -> None:
    assert found(rule, tmp_path, rule.example)
    others = tuple(replace(each, check=lambda _: ()) if each is rule else each for each in RULES)
    assert not found(rule, tmp_path, rule.example, others) or rule.id == "H902"


@each_rule
def test_the_mended_example_is_clean(rule: Rule, tmp_path: Path) -> None:
    assert found(rule, tmp_path, rule.instead) == []


@each_rule
def test_it_says_what_why_and_what_it_leaves_alone(rule: Rule) -> None:
    assert all((rule.finds, rule.why, rule.fix)) and rule.finds.endswith(".")
    assert rule.leaves_alone and all(rule.leaves_alone)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if not rule.id.startswith("H9")], ids=lambda rule: rule.name
)
def test_it_has_tests_of_its_own(rule: Rule) -> None:
    text = (HERE / f"test_{rule.name.replace('-', '_')}.py").read_text()
    assert text.count("\ndef test_") >= 2
