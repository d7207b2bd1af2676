"""docs/fix.md shows what really comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import cli

from ..stack.running import ROOT

PAGE = (ROOT / "docs" / "fix.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```\n", PAGE, re.DOTALL)
    assert found
    return found[1]


def test_the_examples_output_is_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.py").write_text(_block("python"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    rules = re.search(r"`scripts/harden fix \. --select (\S+)` says", PAGE)
    assert rules
    assert cli.main(["fix", ".", "--select", rules[1]]) == 1
    assert capsys.readouterr().out == _block("diff")
