"""`harden check`: a table of all checks, skipped ones with their reason, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.checks import table as checks
from deploy.checks.outcome import Check, Finding, Said, Skip, said
from deploy.checks.subject import Subject
from scripts import cli

from ..render.samples import FILE, KEY, PASSWORD, VERIFIER, write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def _check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["check", *arguments])
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, shown.out


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out = _check(capsys, "--json", *arguments)
    return code, json.loads(out)


def test_the_page_names_every_check() -> None:
    page = (Path(cli.__file__).resolve().parent.parent / "docs" / "render.md").read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \|", page, re.MULTILINE) for name in
             re.findall(r"`([a-z-]+)`", row)}  # fmt: skip
    assert named == {check.name for check in checks.CHECKS}


def test_all_checks_are_listed_and_a_good_description_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    accepted = [word for name in ("pgbouncer-holes", "pgbouncer-version") for word in ("--accept", name)]
    code, told = _json(capsys, "--secrets", "secrets.env", *accepted)
    assert [each["name"] for each in told["checks"]] == [check.name for check in checks.CHECKS]
    wrong = [each for each in told["checks"] if each["findings"]]
    assert (wrong, told["clean"], code) == ([], True, 0)
    assert all(each["text"] for each in told["checks"] if each["state"] == "skipped")
    assert told["kinds"] == ["app", "database"]


def test_no_secret_is_in_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = _check(capsys, "--secrets", "secrets.env")
    for secret in (PASSWORD, VERIFIER, KEY):
        assert secret not in out


def test_no_copy_is_left_behind(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def look(subject: Subject) -> Said:
        seen.append(subject.scratch)
        (subject.scratch / "copy").touch()
        return said([])

    monkeypatch.setattr(checks, "CHECKS", (Check("try", "it works", look),))
    _check(capsys)
    assert [folder.exists() for folder in seen] == [False]


def _give(monkeypatch: pytest.MonkeyPatch, **looks: Any) -> None:
    def look(result: Any) -> Any:
        def act(_: Subject) -> Said:
            if isinstance(result, Skip):
                raise result
            return said(result)

        return act

    given = tuple(Check(name, f"{name} is well", look(result)) for name, result in looks.items())
    monkeypatch.setattr(checks, "CHECKS", given)


def test_the_table_is_aligned_and_says_what_why_and_the_next_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, good=[], bad=[Finding("3 of 2 are gone", "bring them back")], elsewhere=Skip("not here"))
    code, out = _check(capsys)
    assert code == 1
    assert out.splitlines() == [
        "ok       good       good is well",
        "finding  bad        expected: bad is well",
        "                    - 3 of 2 are gone",
        "                      > bring them back",
        "skipped  elsewhere  not here",
        "1 finding of 1 check; 1 ok, 1 skipped",
    ]


def test_skipped_checks_alone_are_clean_and_said_to_be_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, elsewhere=Skip("not here"))
    assert _check(capsys) == (0, "skipped  elsewhere  not here\nno findings; 0 ok, 1 skipped\n")


def test_lines_are_folded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _give(monkeypatch, bad=[Finding("word " * 60, "step " * 60)])
    _, out = _check(capsys)
    assert max(map(len, out.splitlines())) <= 120


def test_what_is_accepted_is_shown_and_does_not_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, modes=[Finding("a", "b")])
    code, out = _check(capsys, "--accept", "modes")
    assert code == 0
    assert re.search(r"^ +accepted +a$", out, re.MULTILINE)
    assert cli.main(["check", "--accept", "modus"]) == 2
    assert "'modus' is no check and no known hole" in capsys.readouterr().err


def test_sizes_that_do_not_fit_are_findings_and_do_not_end_the_other_checks(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "harden.toml").write_text(f"{FILE}max_connections = 10\n[timeouts]\nstatement = 40\n")
    code, told = _json(capsys)
    states = {each["name"]: each["state"] for each in told["checks"]}
    assert code == 1
    assert (states["sizes"], states["timeouts"], states["files"]) == ("finding", "finding", "ok")


def test_files_that_cannot_be_made_are_a_finding(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "harden.toml").write_text(f'{FILE}\n[pgbouncer]\nversion = "1.9.0"\n')
    _, told = _json(capsys)
    [found] = [each for each in told["checks"] if each["name"] == "files"]
    assert "PgBouncer 1.9.0 is older than" in found["findings"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.toml"], "none.toml does not exist"),
        (["--dsn", "host=db password=x user=y"], "--dsn has a password in it"),
    ],
)
def test_what_cannot_be_is_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
