"""`harden plan`: the table, its total, what it refuses, and what file and flags make together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import cli

FILE = """\
[app]
name = "shop"
target = "shop:app"

[hosts]
app = ["web1", "web2"]
cores = 4

[database]
name = "shop"
role = "shop"
host = "db1"
max_connections = 60
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path


def _plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = cli.main(["plan", *arguments])
    shown = capsys.readouterr()
    assert shown.err == ""
    return code, shown.out.splitlines()


def test_flags_alone_give_the_whole_chain_with_reasons_and_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _plan(capsys, "--hosts", "3", "--cores", "4", "--max-connections", "100")
    assert code == 0
    assert lines[0] == "3 hosts x 4 workers x 8 threads (flags and defaults)"
    assert lines[-1] == "fits: worst case 34 of 97 connections, 63 spare"
    words = [line.split()[:6] for line in lines]
    assert ["clients", "in", "a", "deploy", "192", "the"] in words
    assert ["max_client_conn", "of", "each", "84", "2", "releases"] in words
    assert ["max_connections", "100", "database.max_connections", "each", "may", "take"] in words
    assert max(map(len, lines)) <= 120


def test_the_same_command_prints_the_same_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert _plan(capsys, "--hosts", "2") == _plan(capsys, "--hosts", "2")


def test_what_cannot_be_ends_with_1_and_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _plan(capsys, "--hosts", "3", "--cores", "4", "--pgbouncer", "false")
    assert code == 1
    assert "does not fit: worst case 202 of 97 connections, 105 too many" in lines
    assert "PgBouncer" not in lines  # no section of what is not there
    [problem] = [line for line in lines if line.startswith("problem: ")]
    assert problem.endswith(
        "set pgbouncer.enabled = true or lower server.threads to 3 or raise database.max_connections to 205"
    )


def test_the_file_of_the_folder_is_taken_and_flags_go_before_it(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "harden.toml").write_text(FILE)
    code, lines = _plan(capsys)
    assert (code, lines[0]) == (0, "2 hosts x 4 workers x 8 threads (harden.toml)")
    assert lines[-1].startswith("fits: worst case 34 of 57 connections")
    code, lines = _plan(capsys, "harden.toml", "--threads", "16", "--hosts", "5", "--max-connections", "30")
    assert lines[0] == "5 hosts x 4 workers x 16 threads (harden.toml)"
    assert code == 1


def test_a_file_that_cannot_be_used_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "wrong.toml").write_text(FILE + "max_conections = 3\n")
    for name, said in (("wrong.toml", "max_conections"), ("none.toml", "none.toml does not exist")):
        assert cli.main(["plan", name]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("harden: error: ")
        assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threads", "0"], "'0' is no number of threads (1 to 256)"),
        (["--hosts", "x"], "'x' is no number of hosts (1 to 1000)"),
        (["--mode", "statement"], "invalid choice: 'statement'"),
    ],
)
def test_a_flag_has_the_bounds_of_its_key(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_json_has_the_plan_its_rows_and_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = _plan(capsys, "--json", "--memory-mb", "256", "--direct", "0")
    data = json.loads("\n".join(lines))
    assert (code, data["fits"], data["worst_case"], data["limit"]) == (0, True, 24, 97)
    assert data["plan"]["max_client_conn"] == 52
    assert {"name", "value", "reason", "source", "section", "unit"} == set(data["rows"][0])
    assert [line.split("=")[0] for line in data["warnings"]] == [
        "2 releases x 2 workers x 60 MB and 256 MB for the system are 496 MB, but hosts.memory_mb",
        "database.direct",
    ]
    code, lines = _plan(capsys, "--json", "--processes", "64")
    data = json.loads("\n".join(lines))
    assert (code, data["fits"], len(data["problems"])) == (1, False, 1)
