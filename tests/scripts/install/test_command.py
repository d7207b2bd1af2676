"""`harden install` and `harden uninstall` on the command line: what is asked for, and how refusals look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts import cli
from scripts.install import command


def test_who_is_not_root_is_told_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for words in (["install"], ["uninstall", "shop"]):
        assert cli.main(words) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err == "harden: error: this changes the host and needs root; run it with sudo\n"


def test_what_is_asked_for_gets_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []
    monkeypatch.setattr(command, "install", lambda wish, steps, say: asked.append((wish, steps.is_dry)))
    words = ["install", "a.toml", "--as", "app", "--as", "database", "--secrets", "s.env", "--restart-postgresql"]
    assert cli.main([*words, "--dry-run"]) == 0
    assert asked == [(command.Wish(Path("a.toml"), ("app", "database"), Path("s.env"), True), True)]
    assert capsys.readouterr().out == "nothing to do\n"


def test_without_a_word_it_is_the_file_of_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(command, "install", lambda wish, steps, say: asked.append(wish))
    assert cli.main(["install", "--dry-run"]) == 0
    assert asked == [command.Wish(Path("harden.toml"))]


def test_an_unknown_kind_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["install", "--as", "everything"])
    assert ended.value.code == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_help_ends_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"sudo scripts/harden {verb}" in shown.partition("examples:")[2]
