"""The corpus: it is read whole, amendments change what they name, and the kit's own labels hold together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.bench.audit.bars import MACRO
from scripts.bench.audit.labels import AMENDMENTS, KINDS, LABELS, amended, read_amendments, read_labels
from scripts.errors import CommandError

ENTRY: dict[str, Any] = {
    "repo": "a/b", "commit": "c0ffee",
    "findings": [{"path": "app.py", "line": 9, "rule": "n-plus-one", "stmt": [8, 12], "span": [1, 20],
                  "also": ["dao.py:40"], "note": "n"}],
    "neutral": [], "traps": [],
}  # fmt: skip


def _corpus(folder: Path, content: object) -> Path:
    file = folder / "labels.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def _amendment(**fields: object) -> dict[str, Any]:
    return {"repo": "a/b", "path": "app.py", "line": 9, "rule": "n-plus-one", "reason": "one row", **fields}


def test_a_label_has_its_statement_function_and_other_places(tmp_path: Path) -> None:
    (repository,) = read_labels(_corpus(tmp_path, [ENTRY]))
    (label,) = repository.findings
    assert (label.line, label.first, label.last, label.span) == (9, 8, 12, (1, 20))
    assert label.also == (("dao.py", 40),)
    assert repository.folder == "a+b"


def test_an_amendment_moves_a_label_with_its_statement(tmp_path: Path) -> None:
    (repository,) = amended(read_labels(_corpus(tmp_path, [ENTRY])), [_amendment(**{"is": "traps"})])
    assert not repository.findings
    assert (repository.traps[0].first, repository.traps[0].note) == (8, "one row")


def test_an_amendment_takes_a_label_away_or_adds_one(tmp_path: Path) -> None:
    repositories = read_labels(_corpus(tmp_path, [ENTRY]))
    (without,) = amended(repositories, [_amendment(**{"is": "nothing"})])
    assert not any(getattr(without, kind) for kind in KINDS)
    (more,) = amended(repositories, [_amendment(**{"is": "findings", "line": 30})])
    assert [label.line for label in more.findings] == [9, 30]


def test_amendments_of_another_repository_change_nothing(tmp_path: Path) -> None:
    repositories = read_labels(_corpus(tmp_path, [ENTRY]))
    assert amended(repositories, [_amendment(repo="a/c", **{"is": "nothing"})]) == repositories


@pytest.mark.parametrize("content", [{"a": 1}, [{"repo": "a/b"}], [3], [{**ENTRY, "findings": [{"line": "x"}]}]])
def test_what_is_no_corpus_is_one_line(tmp_path: Path, content: object) -> None:
    with pytest.raises(CommandError, match=r"labels\.json is no"):
        read_labels(_corpus(tmp_path, content))


def test_an_amendment_without_a_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="reason"):
        read_amendments(_corpus(tmp_path, [_amendment(reason="", **{"is": "nothing"})]))


def test_the_kits_own_labels_are_whole() -> None:
    repositories = read_labels(LABELS)
    assert len(repositories) == 14
    assert all(len(each.commit) == 40 for each in repositories)
    labels = [label for each in repositories for kind in KINDS for label in getattr(each, kind)]
    assert all(label.first <= label.line <= label.last for label in labels)
    assert set(MACRO) <= {label.rule for label in labels}


def test_the_kits_own_amendments_name_repositories_that_there_are() -> None:
    names = {each.name for each in read_labels(LABELS)}
    assert {each["repo"] for each in read_amendments(AMENDMENTS)} <= names
