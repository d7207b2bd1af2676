"""`harden fix` as people run it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from scripts import cli
from scripts.audit.fixable import FIXABLE
from scripts.audit.rules import RULES
from scripts.fix.fixers import FIXERS

APP = """\
from flask import Flask

app = Flask(__name__)


@app.route("/", methods=["POST"])
def index():
    return ""


if __name__ == "__main__":
    app.run(debug=True)
"""
FIXED = APP.replace("from flask", "import os\nfrom flask").replace(
    "=True", '=os.environ.get("FLASK_DEBUG") == "1"'
)
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path) -> Path:
    _git(folder, "init", "-q")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-qm", "first")
    return folder


def _run(folder: Path, *arguments: str) -> int:
    return cli.main(["fix", str(folder), "--select", "debug-on,dev-server", *arguments])


def test_a_diff_is_shown_and_nothing_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ ")
    assert '+    app.run(debug=os.environ.get("FLASK_DEBUG") == "1")\n' in shown
    assert "would be fixed:\n  debug-on (H402): 1\n    app.py:12 debugging only" in shown
    assert "left alone:\n  dev-server (H401): 1\n    app.py:12 app.run() is under its guard" in shown
    assert shown.endswith("would fix 1 finding in 1 file; 1 left alone; --write does it\n")
    assert (folder / "app.py").read_text() == APP


def test_the_diff_alone_is_for_git(repository: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _run(repository, "--format", "diff") == 1
    patch = capfdbinary.readouterr().out
    subprocess.run(["git", "-C", str(repository), "apply", "-"], input=patch, check=True)
    assert (repository / "app.py").read_text() == FIXED


def test_written_files_say_what_was_done(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(repository, "--write") == 0
    shown = capsys.readouterr().out
    assert (repository / "app.py").read_text() == FIXED
    assert shown.startswith("fixed:\n  debug-on (H402): 1\n    app.py:12 ")
    assert "app.py:13 app.run() is under its guard" in shown  # where it is now
    assert shown.endswith("fixed 1 finding in 1 file; 1 left alone\n")
    assert _run(repository, "--write") == 0
    assert capsys.readouterr().out.endswith("nothing to fix; 1 left alone\n")


def test_nothing_to_do_is_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "app.py").write_text(FIXED)
    assert _run(folder) == 0
    assert "diff" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda folder: (folder / "app.py").write_text(APP + "\n"), "uncommitted changes (app.py)"),
        (lambda folder: _git(folder, "rm", "-q", "--cached", "app.py"), "uncommitted changes (app.py)"),
    ],
)
def test_what_is_not_committed_is_not_written_over(
    repository: Path, capsys: pytest.CaptureFixture[str], spoil: object, words: str
) -> None:
    spoil(repository)  # type: ignore[operator]
    before = (repository / "app.py").read_text()
    assert _run(repository, "--write") == 2
    said = capsys.readouterr()
    assert said.out == "" and words in said.err and "--allow-dirty" in said.err
    assert (repository / "app.py").read_text() == before
    assert _run(repository, "--write", "--allow-dirty") == 0


def test_a_file_that_git_does_not_know_is_not_written(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "other.py").write_text(APP)
    assert _run(repository, "--write") == 2
    assert "git does not know other.py" in capsys.readouterr().err


def test_without_git_it_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(folder, "--write") == 2
    assert "in no git repository" in capsys.readouterr().err
    assert _run(folder, "--write", "--allow-dirty") == 0
    assert (folder / "app.py").read_text() == FIXED


def test_json_has_everything_but_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "Sup3r-x9"
    (folder / "db.py").write_text(f'import psycopg2\nc = psycopg2.connect(host="h", password="{secret}")\n')
    assert cli.main(["fix", str(folder), "--format", "json"]) == 1
    shown = capsys.readouterr().out
    found = json.loads(shown)
    assert secret not in shown
    assert [(each["path"], each["line"], each["names"]) for each in found["fixed"]][:1] == [
        ("app.py", 12, ["debug-on"])
    ]
    assert {each["name"] for each in found["left"]} >= {"dev-server"}
    assert [each["names"] for each in found["unsafe"]][-1] == ["hardcoded-credentials"]
    assert {"path": "app.py", "is_new": False} in found["files"]


def test_a_file_that_does_not_parse_is_2_and_the_others_are_fixed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.py").write_text("def (:\n")
    assert _run(folder) == 2
    shown = capsys.readouterr().out
    assert "broken.py:1" in shown and "+import os" in shown
    assert _run(folder, "--exclude", "broken.py") == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "there is no nowhere"),
        (["app.py"], "is no folder"),
        ([".", "--select", "nonsense"], "there is no rule 'nonsense'"),
        ([".", "--kit", "not a name"], "no name to import"),
        (["empty"], "no Python file"),
        (["other"], "imports flask or psycopg2"),
    ],
)
def test_wrong_usage_is_2(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    (folder / "empty").mkdir()
    (folder / "other").mkdir()
    (folder / "other" / "x.py").write_text("x = 1\n")
    monkeypatch.chdir(folder)
    assert cli.main(["fix", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_bytes_that_are_no_utf_8_come_out_as_they_are(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (folder / "app.py").write_bytes(
        b"# coding: latin-1\n" + APP.replace('return ""', 'return "\xe9"').encode("latin-1")
    )
    assert _run(folder, "--format", "diff") == 1
    assert b"+import os" in capfdbinary.readouterr().out


def test_the_fixers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fix", "--list-fixers"]) == 0
    shown = capsys.readouterr().out
    for fixer in FIXERS:
        assert f"{', '.join(fixer.rules)} (stage {fixer.stage})\n" in shown


def test_many_reasons_are_cut_short_unless_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(8):
        (folder / f"m{number}.py").write_text(APP.replace("debug=True", ""))
    _run(folder)
    assert "and 4 more; --reasons names them" in capsys.readouterr().out
    _run(folder, "--reasons")
    assert "m7.py:12" in capsys.readouterr().out


def test_twice_the_same_bytes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for _ in range(2):
        cli.main(["fix", str(folder), "--unsafe-fixes", "--reasons"])
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]


def test_the_audit_promises_what_there_are_fixers_for() -> None:
    assert {rule for fixer in FIXERS for rule in fixer.rules} == FIXABLE
    assert {rule.name for rule in RULES} >= FIXABLE


def test_the_audit_says_how_many_have_a_fixer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "Dockerfile").write_text("FROM python\nENV FLASK_DEBUG=1\n")
    cli.main(["audit", str(folder), "--select", "debug-on"])
    assert "1 of them has a fixer: harden fix shows what it would change" in capsys.readouterr().out


def test_no_rule_has_two_fixers() -> None:
    rules = [rule for fixer in FIXERS for rule in fixer.rules]
    assert len(rules) == len(set(rules))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "locked.py").write_text("x = 1\n")
    (folder / "locked.py").chmod(0)
    assert _run(folder) == 2
    assert "locked.py" in capsys.readouterr().out
