"""`harden audit`: options, exit codes, and whatever people point it at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import cli

ROOT = Path(__file__).resolve().parents[3]
APP = """\
import psycopg2
from flask import Flask

app = Flask(__name__)


@app.route("/posts")
def posts():
    cur = psycopg2.connect("dbname=shop").cursor()
    cur.execute("SELECT id, author_id FROM posts LIMIT 50")
    found = []
    for post in cur.fetchall():
        cur.execute("SELECT name FROM users WHERE id = %s", (post[1],))
        found.append(cur.fetchone())
    return found
"""
LOOP = "H201"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with an n-plus-one."""
    found = tmp_path / "shop"
    found.mkdir()
    (found / "app.py").write_text(APP, encoding="utf-8")
    return found


def _audit(*arguments: object) -> int:
    try:
        return cli.main(["audit", *map(str, arguments)])
    except SystemExit as error:
        return int(error.code or 0)


def _found(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    _audit(*arguments, "--format", "json")
    return [each["rule"] for each in json.loads(capsys.readouterr().out)["findings"]]


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path) -> Path:
    """The project, committed."""
    _git(folder, "init", "-q")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--select", LOOP), 1),
        (("--select", "n-plus-one"), 1),
        (("--select", "H2", "--ignore", "H201"), 0),
        (("--select", LOOP, "--fail-on", "critical"), 0),
        (("--select", LOOP, "--fail-on", "high"), 1),
        (("--fail-on", "never"), 0),
        (("--select", "H902"), 0),
        (("--select", "H777"), 2),
        (("--select", "n-plus-won"), 2),
        (("--select", LOOP, "--ignore", "H"), 2),
        (("--explain", "nothing"), 2),
        (("--format", "yaml"), 2),
    ],
)
def test_exit_codes(folder: Path, arguments: tuple[str, ...], code: int) -> None:
    assert _audit(folder, *arguments) == code


def test_an_unknown_rule_is_refused_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _audit(folder, "--select", "n-plus-won")
    assert capsys.readouterr().err == (
        "harden: error: there is no rule 'n-plus-won' (did you mean n-plus-one?); see --list-rules\n"
    )


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github", "junit", "html"])
def test_each_format_is_the_same_twice_and_names_no_folder_of_this_machine(
    folder: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    shown = []
    for _ in range(2):
        _audit(folder, "--format", form)
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] and "app.py" in shown[0] and str(folder) not in shown[0]


def test_the_hash_seed_changes_no_byte(folder: Path) -> None:
    shown = set()
    for seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from scripts import cli; sys.exit(cli.main(sys.argv[1:]))",
             "audit", str(folder), "--format", "html"],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        shown.add(done.stdout)
    assert len(shown) == 1


def test_the_output_goes_to_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _audit(folder, "--format", "json", "--output", tmp_path / "found.json") == 1
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "found.json").read_text())["findings"]
    assert _audit(folder, "--output", tmp_path / "none" / "found.txt") == 2


def test_a_single_file_is_audited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert LOOP in _found(capsys, folder / "app.py")


def test_excluded_paths_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old").mkdir()
    (folder / "old" / "broken.py").write_text("def f(:\n")
    assert "H901" in _found(capsys, folder)
    assert "H901" not in _found(capsys, folder, "--exclude", "old/*")


def test_every_rule_is_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert _audit("--list-rules") == 0
    listed = capsys.readouterr().out
    assert "H201  n-plus-one " in listed and max(map(len, listed.splitlines())) < 150
    assert _audit("--explain", "n-plus-one") == 0
    assert "what to do:" in capsys.readouterr().out


def test_what_a_baseline_knows_is_not_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = folder / "audit.json"
    assert _audit(folder, "--write-baseline", known) == 0
    (folder / "app.py").write_text("# moved\n\n" + APP, encoding="utf-8")
    assert _audit(folder, "--baseline", known) == 0
    capsys.readouterr()
    (folder / "app.py").write_text("import flask\n", encoding="utf-8")
    assert _audit(folder, "--baseline", known) == 0
    assert "of the baseline fixed; --write-baseline again" in capsys.readouterr().out


def test_a_diff_shows_what_a_change_adds_and_leaves_the_checkout_alone(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _audit(repository, "--diff-base", "HEAD") == 0
    again = (
        APP.replace("def posts", "def others")
        .replace('"/posts"', '"/others"')
        .replace("app = Flask", "app2 = Flask")
    )
    (repository / "other.py").write_text(again.replace("@app.", "@app2."), encoding="utf-8")
    capsys.readouterr()
    _audit(repository, "--diff-base", "HEAD", "--format", "json")
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {each["path"] for each in found} == {"other.py"} and LOOP in {each["rule"] for each in found}
    status = subprocess.run(
        ["git", "-C", repository, "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert status.stdout == "?? other.py\n"


def test_a_diff_finds_in_an_unchanged_file_what_a_changed_helper_causes(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    helper = "def name(cur, key):\n    return key\n"
    (repository / "helper.py").write_text(helper, encoding="utf-8")
    body = APP.replace('cur.execute("SELECT name FROM users WHERE id = %s", (post[1],))', "name(cur, post[1])")
    (repository / "app.py").write_text("from helper import name\n" + body, encoding="utf-8")
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "second")
    query = 'cur.execute("SELECT name FROM users WHERE id = %s", (key,))'
    (repository / "helper.py").write_text(helper.replace("return key", query), encoding="utf-8")
    _audit(repository, "--diff-base", "HEAD", "--select", LOOP, "--format", "json")
    assert [each["path"] for each in json.loads(capsys.readouterr().out)["findings"]] == ["app.py"]


def test_a_diff_of_a_folder_inside_the_repository(repository: Path) -> None:
    (repository / "part").mkdir()
    (repository / "part" / "app.py").write_text(APP, encoding="utf-8")
    assert _audit(repository / "part", "--diff-base", "HEAD") == 1
    _git(repository, "add", ".")
    _git(repository, "commit", "-q", "-m", "second")
    assert _audit(repository / "part", "--diff-base", "HEAD") == 0
    assert _audit(repository / "part" / "app.py", "--diff-base", "HEAD") == 0


def test_a_diff_runs_no_hook_and_no_filter_of_the_repository(repository: Path) -> None:
    trace = repository.parent / "ran"
    _git(repository, "config", "filter.evil.smudge", f"touch {trace}; cat")
    _git(repository, "config", "core.fsmonitor", f"touch {trace}")
    (repository / ".git" / "info" / "attributes").write_text("*.py filter=evil\n")
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trace}\n")
    hook.chmod(0o755)
    assert _audit(repository, "--diff-base", "HEAD") == 0
    assert not trace.exists()


def test_a_diff_without_repository_or_revision_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _audit(folder, "--diff-base", "HEAD") == 2
    assert "is in no git repository" in capsys.readouterr().err
    _git(folder, "init", "-q")
    for revision in ("HEAD", "nope", "--output=x", ""):
        assert _audit(folder, f"--diff-base={revision}") == 2
        assert "git knows no revision" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none", "empty", "notes.ipynb", "plain"])
def test_what_is_no_project_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.ipynb").write_text("{}")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.py").write_text("print(1)\n")
    assert _audit(tmp_path / name) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("harden: error: ") and shown.err.count("\n") == 1


BROKEN = {
    "python 2": b"import psycopg2\nprint 'x'\n",
    "syntax": b"def f(:\n",
    "binary": bytes(range(256)),
    "nul": b"x = 1\0\n",
    "encoding": b"# coding: klingon\n",
    "not utf-8": b"x = '\xe9'\n",
    "parens": b"x = " + b"(" * 5000 + b"1" + b")" * 5000,
    "binops": b"x = " + b" + ".join([b"1"] * 5000),
    "large": b"x = 1\n" * 850_000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_be_read_is_reported_beside_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    (folder / "broken.py").write_bytes(BROKEN[kind])
    assert _audit(folder, "--select", LOOP, "--format", "json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [(each["rule"], each["path"]) for each in found["findings"]] == [
        (LOOP, "app.py"),
        ("H901", "broken.py"),
    ]
    assert [each["path"] for each in found["broken"]] == ["broken.py"]
    assert _audit(folder, "--select", LOOP, "--ignore", "H901") == 1


@pytest.mark.parametrize("depth", [50, 90, 200, 400, 700, 950])
def test_deep_code_gives_a_report(folder: Path, capsys: pytest.CaptureFixture[str], depth: int) -> None:
    lines = [f"x = {' + '.join(['a'] * depth)}", f"y = a{'.b(c)' * depth}", f"z = {'not ' * depth}a"]
    (folder / "deep.py").write_text("\n".join(lines), encoding="utf-8")
    (folder / "sql.py").write_text(
        f"def f(cur, v):\n    cur.execute({' + '.join(['v'] * depth)})\n", encoding="utf-8"
    )
    assert _audit(folder, "--format", "json") in (1, 2)
    found = json.loads(capsys.readouterr().out)
    assert LOOP in {each["rule"] for each in found["findings"]}
    assert not [each for each in found["broken"] if "rule" in each["reason"]]


def test_links_in_circles_and_pipes_are_not_followed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "loop").symlink_to(folder)
    (folder / "gone.py").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.py")
    assert _found(capsys, folder, "--select", LOOP) == [LOOP]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "secret.py").touch(mode=0)
    assert _found(capsys, folder, "--select", LOOP) == [LOOP, "H901"]


def test_a_name_that_is_no_utf8_is_reported_in_every_format(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.py"))).write_text("def f(:\n")
    for form in ("text", "json", "sarif", "github", "junit", "html"):
        assert _audit(folder, "--format", form) == 2


def test_nothing_that_is_read_is_executed(folder: Path) -> None:
    trace = folder / "ran"
    for name in ("app.py", "setup.py", "sitecustomize.py", "__init__.py"):
        (folder / name).write_text(f"import flask\nopen({str(trace)!r}, 'w')\n", encoding="utf-8")
    assert _audit(folder) in (0, 1)
    assert not trace.exists()
