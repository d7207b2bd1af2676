"""`harden bench pool` for real, as small as it gets, with subjects that need nothing installed."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import cli
from scripts.bench.pool import command
from scripts.bench.pool.rounds import Plan

HARDEN = Path(__file__).resolve().parents[4] / "scripts" / "harden"
OF_EACH = {
    "block_us", "checkout_us", "query_us", "ops_per_second", "wait_p50_ms", "wait_p99_ms", "wait_max_ms", "jain",
    "ops_low", "ops_high", "failed", "backends", "storm_ms", "storm_failed", "storm_opened", "storm_backends",
    "threads_1_us", "threads_2_us", "memory_kib", "recovery_failed", "recovery_untried", "recovery_first_ms",
    "recovery_all_ms",
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, str]:
    """The JSON, the page and the tables of one tiny run."""
    folder = tmp_path_factory.mktemp("bench")
    done = subprocess.run(
        [HARDEN, "bench", "pool", "--quick", "--peers", "psycopg2", "--rounds", "2", "--seconds", "0.2",
         "--threads", "1,2", "--json", folder / "out.json", "--html", folder / "out.html"],
        capture_output=True, text=True, cwd=folder, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "out.json").read_text()), (folder / "out.html").read_text(), done.stdout


def test_every_figure_of_each_subject_was_measured(bench: tuple[dict[str, Any], str, str]) -> None:
    assert {subject["key"] for subject in bench[0]["subjects"]} == {"ours", "ours-reset", "psycopg2"}
    for subject in bench[0]["subjects"]:
        assert subject["figures"].keys() == OF_EACH, subject["key"]
    assert (bench[0]["left_out"], bench[0]["problems"]) == ({}, [])


def test_there_is_a_value_per_round(bench: tuple[dict[str, Any], str, str]) -> None:
    for subject in bench[0]["subjects"]:
        assert len(subject["figures"]["checkout_us"]["rounds"]) == 2


def test_ours_keeps_its_limit_and_survives_the_end_of_its_backends(bench: tuple[dict[str, Any], str, str]) -> None:
    for subject in bench[0]["subjects"]:
        if subject["key"].startswith("ours"):
            figures = subject["figures"]
            assert 1 <= figures["backends"]["high"] <= 8
            assert 1 <= figures["storm_opened"]["high"] <= 8
            assert figures["recovery_failed"]["high"] == figures["failed"]["high"] == 0


def test_psycopg2_hands_out_dead_connections(bench: tuple[dict[str, Any], str, str]) -> None:
    (psycopg2,) = [subject for subject in bench[0]["subjects"] if subject["key"] == "psycopg2"]
    assert psycopg2["figures"]["recovery_failed"]["median"] == 8


def test_tables_and_page_show_each_subject_and_where_it_ran(bench: tuple[dict[str, Any], str, str]) -> None:
    for text in bench[1:]:
        for part in ("ours, reset", "psycopg2, polled", bench[0]["machine"]["postgresql"], bench[0]["date"]):
            assert part in text
    assert "checkout in a with block at most x 1.2 of psycopg2" in bench[2]


def test_no_password_is_written(bench: tuple[dict[str, Any], str, str]) -> None:
    assert "password=" not in json.dumps(bench[0]) + bench[1] + bench[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pool", "--peers", "psycopg"], "'psycopg' is no peer; did you mean psycopg2?"),
        (["pool", "--peers", "psycopg2,"], "'' is no peer; there are connect, psycopg2"),
        (["pool", "--rounds", "0"], "no number of rounds (1 to 100)"),
        (["pool", "--seconds", "nan"], "no time for a round"),
        (["pool", "--threads", "1,many"], "'many' is no number of threads (1 to 256)"),
        (["pool", "--json", "/nowhere/out.json"], "the folder of /nowhere/out.json does not exist"),
        (["pools"], "invalid choice"),
        ([], "required: WHAT"),
    ],
)
def test_bad_arguments_are_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = cli.main(["bench", *arguments])
    except SystemExit as ended:
        code = int(str(ended.code))
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, "")
    assert said in shown.err and len(shown.err.strip().splitlines()) == 1


def _plan(*arguments: str) -> Plan:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command._plan(parser.parse_args([*arguments]))


def test_without_options_the_whole_run_is_planned() -> None:
    assert _plan() == Plan()
    assert _plan("--quick") == command.QUICK


def test_options_go_before_the_plan_of_quick() -> None:
    plan = _plan("--quick", "--rounds", "7", "--seconds", "1.5", "--threads", "2,4")
    assert (plan.rounds, plan.slow_rounds, plan.seconds, plan.threads) == (7, 1, 1.5, (2, 4))
    assert _plan("--rounds", "1").slow_rounds == 1


def test_rounds_that_were_asked_for_are_not_cut() -> None:
    assert _plan("--quick").budget < 60
    assert _plan("--quick", "--rounds", "2").budget == command.A_DAY
