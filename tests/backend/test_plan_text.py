"""Plans as text, made of plans as the server returns them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.plan_text import LONGEST, MOST_NODES, plan_text, with_values, without_values

SCAN: dict[str, Any] = {
    "Node Type": "Seq Scan", "Relation Name": "visits", "Alias": "v", "Total Cost": 1234.5, "Plan Rows": 98765,
    "Filter": "(v.name = 'x'::text)", "Output": ["'secret'"],
}  # fmt: skip


@pytest.mark.parametrize(("expression", "shown"), [
    ("((email)::text = 'x'::text)", "((email)::text = ?::text)"),
    ("(customer_id = 5)", "(customer_id = ?)"),
    ("(a.x2 = ANY ('{1,2}'::integer[]))", "(a.x2 = ANY (?::integer[]))"),
    ("(n > 1.5e+10) OR (n < .5) OR (n = 1_000)", "(n > ?) OR (n < ?) OR (n = ?)"),
    ("(b = B'101')", "(b = ?)"),
    ('("it\'s 5" = \'it\'\'s \\\')', '("it\'s 5" = ?)'),
    ("(x = '\n  -> Seq Scan on \"secret\"')", "(x = ?)"),
    ('(t."5" = $1)', '(t."5" = $1)'),
    ("(x = 'never ends", "(x = ?"),
    ("substr(t2.c3, 1, 2)", "substr(t2.c3, ?, ?)"),
])  # fmt: skip
def test_literals_become_question_marks_and_names_stay(expression: str, shown: str) -> None:
    assert without_values(expression) == shown


def test_a_plan_has_a_line_for_each_node_and_condition() -> None:
    plan = {
        "Node Type": "Aggregate", "Strategy": "Hashed", "Partial Mode": "Finalize",
        "Total Cost": 2000, "Plan Rows": 1, "Group Key": ["v.a", "(v.b + 1)"],
        "Plans": [
            {"Node Type": "Hash Join", "Join Type": "Left", "Hash Cond": "(v.id = w.id)", "Plans": [
                {**SCAN, "Parallel Aware": True},
                {"Node Type": "Index Scan", "Index Name": "w_pkey", "Relation Name": "w", "Alias": "w",
                 "Subplan Name": "InitPlan 1"},
            ]},
        ],
    }  # fmt: skip
    assert plan_text(plan).splitlines() == [
        "Finalize HashAggregate (cost=2000 rows=1)",
        "     Group Key: v.a, (v.b + ?)",
        "  -> Hash Left Join (cost=0 rows=0)",
        "       Hash Cond: (v.id = w.id)",
        "    -> Parallel Seq Scan on visits v (cost=1200 rows=99000)",
        "         Filter: (v.name = ?::text)",
        "    -> Index Scan using w_pkey on w of InitPlan 1 (cost=0 rows=0)",
    ]


def test_values_stay_when_asked_for_on_one_line() -> None:
    assert "Filter: (v.name = 'x'::text)" in plan_text(SCAN, with_values)
    assert with_values("(a = 'x\n\x1by')") == "(a = 'x y')"


def test_a_huge_plan_is_cut() -> None:
    deep: dict[str, Any] = SCAN
    for _ in range(5000):
        deep = {"Node Type": "Append", "Plans": [deep]}
    assert len(plan_text(deep)) <= LONGEST
    wide = {"Node Type": "Append", "Plans": [{"Node Type": "Result"}] * 5000}
    assert plan_text(wide).count("\n") == MOST_NODES
    assert len(plan_text({**SCAN, "Filter": "x" * 100_000})) == LONGEST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=10), JSON))
def test_keys_that_nobody_knows_are_left_out(plan: dict[str, Any]) -> None:
    assert plan_text({"Node Type": "Result", **{f"New {key}": value for key, value in plan.items()}}) == (
        "Result (cost=0 rows=0)"
    )
