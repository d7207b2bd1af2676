"""An application of ours in the manner of the labelled repositories, with every fault marked where it stands.

The labelled repositories are not here, so this is what keeps recall and precision from drifting unnoticed: a
marked line must be reported under that rule, and nothing else may be. Such a line ends in `# fault: RULE, RULE`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.audit.rules import RULES
from scripts.audit.run import Result, audit
from scripts.bench.audit.bars import MACRO
from scripts.bench.audit.corpus import EACH_PLACE

SHELF = Path(__file__).with_name("shelf")
MARK = re.compile(r"# fault: (.+)$")
MAIN = sorted({*MACRO, "query-in-loop"})


@pytest.fixture(scope="module")
def found() -> Result:
    """What the audit says of the sample."""
    return audit(SHELF, RULES)


def _marked(rule: str) -> set[tuple[str, int]]:
    places = set()
    for file in SHELF.rglob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            mark = MARK.search(line)
            if mark and rule in mark[1].split(", "):
                places.add((file.relative_to(SHELF).as_posix(), number))
    return places


def _reported(found: Result, rule: str) -> set[tuple[str, int]]:
    places = [place for each in found.findings if each.name == rule
              for place in (each.place, *(each.more if rule in EACH_PLACE else ()))]  # fmt: skip
    return {(place.path, place.line) for place in places}


@pytest.mark.parametrize("rule", MAIN)
def test_each_marked_fault_is_reported_and_nothing_else_is(found: Result, rule: str) -> None:
    assert _marked(rule), "the sample has no such fault"
    assert _reported(found, rule) == _marked(rule)


def test_every_mark_names_a_main_rule() -> None:
    lines = [line for file in SHELF.rglob("*.py") for line in file.read_text(encoding="utf-8").splitlines()]
    named = {rule for line in lines if (mark := MARK.search(line)) for rule in mark[1].split(", ")}
    assert named == set(MAIN)


def test_the_sample_is_read_whole(found: Result) -> None:
    assert not found.broken
    assert found.routes == 10
