"""Every rule: its example is found once, what stands in its place is not, and its texts are complete."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from scripts.audit.report.rule_pages import explained
from scripts.audit.rules import RULES as AUDIT_RULES
from scripts.doctor.advice import Advice, LiveRule
from scripts.doctor.rules import RULES
from scripts.doctor.rules.itself import RULES as ITSELF

Look = Callable[..., list[Advice]]
PLANTED = [rule for rule in RULES if rule.example and rule not in ITSELF]
REPLACED = [rule for rule in RULES if rule.instead and rule not in ITSELF]


@pytest.mark.parametrize("rule", PLANTED, ids=lambda rule: rule.name)
def test_the_example_is_found_once(rule: LiveRule, look: Look) -> None:
    (found,) = look(rule, rule.example)
    assert (found.rule, found.name, found.place.line) == (rule.id, rule.name, 0)
    assert found.message
    assert found.fix
    assert found.gain
    assert found.risk


@pytest.mark.parametrize("rule", REPLACED, ids=lambda rule: rule.name)
def test_what_stands_in_its_place_is_left_alone(rule: LiveRule, look: Look) -> None:
    assert look(rule, rule.instead) == []


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ITSELF], ids=lambda rule: rule.name)
def test_an_empty_database_is_left_alone_by_rules_of_the_schema(rule: LiveRule, look: Look) -> None:
    if rule.id < "H600":
        assert look(rule) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_texts_are_sentences(rule: LiveRule) -> None:
    for text in (rule.finds, rule.why, rule.fix, *rule.leaves_alone):
        assert re.fullmatch(r"\S.*[.!?]", text, re.DOTALL), text
    assert rule.leaves_alone
    assert f"harden: ignore[{rule.id}]" in explained(rule)


def test_ids_and_names_are_there_once_and_in_order() -> None:
    assert [rule.id for rule in RULES] == sorted({rule.id for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)
    ours = {rule.id for rule in RULES} - {rule.id for rule in ITSELF}
    assert not ours & {rule.id for rule in AUDIT_RULES}
