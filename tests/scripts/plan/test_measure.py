"""`harden plan --measure` over a kept calibration, and what it refuses; the processes it tells apart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from scripts import cli
from scripts.capacity import Demands, System, TaskDemand
from scripts.capacity.calibrated import Calibrated
from scripts.capacity.predict import predict
from scripts.errors import CommandError
from scripts.load.histogram import Latencies
from scripts.load.measured import Figures, Measured
from scripts.plan.measure_answer import Answer
from scripts.plan.measure_check import Point
from scripts.plan.measure_kept import kept, read_kept
from scripts.plan.measure_page import latency
from scripts.plan.measure_processes import Usage, postmaster_of
from scripts.plan.measure_target import _refuse_bad
from scripts.plan.measure_text import caveat, comparison

CALIBRATED = Calibrated(
    Demands([TaskDemand("page", 1.0, app=0.005, database=0.004, generator=0.001)], 3.0, (1.0, 5.0)),
    0.2,
)
SYSTEM = System(cores=2, workers=2, threads=4, pool=4, is_shared=True)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    found = tmp_path / "shop.json"
    found.write_text(json.dumps(kept(CALIBRATED, SYSTEM)))
    return found


def _measured(users: int, seconds: float, answers: int = 400, failed: int = 0, cpu: float = 0.1) -> Measured:
    latencies = Latencies()
    for _ in range(answers):
        latencies.record(seconds)
    figures = Figures(latencies, latencies, {"http 500": failed} if failed else {}, 10.0)
    return Measured(users, None, 10.0, {"page": figures}, [], cpu, 0.001, 0.0, 0)


def test_a_kept_calibration_comes_back_as_it_was(file: Path) -> None:
    calibrated, system = read_kept(file)
    assert system == SYSTEM
    assert json.dumps(kept(calibrated, system)) == file.read_text()


def test_a_file_that_is_no_calibration_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("{}")
    assert cli.main(["plan", "--measure", str(file)]) == 2
    assert "is no calibration of ours" in capsys.readouterr().err


def test_loads_and_the_cheapest_configuration_are_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "20,60", "--target-p95", "100ms"]) == 0
    shown = capsys.readouterr().out
    assert "saturates first: machine" in shown
    assert "cheapest for 60 users with p95 at most 100 ms: 1 host x 1 core" in shown
    assert "next bottleneck" in shown
    assert "p95 and p99 are not checked" in shown


def test_a_target_that_nothing_meets_ends_with_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "20", "--target-p95", "1ms"]) == 1
    assert "no configuration was found" in capsys.readouterr().out


def test_a_plan_on_paper_says_where_one_postgresql_ends(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "10000,1000000", "--paper", "30%"]) == 0
    assert "one PostgreSQL of 96 cores ends at about" in capsys.readouterr().out


def test_json_has_what_the_text_has(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "100,200"]) == 0
    text = capsys.readouterr().out
    assert cli.main(["plan", "--measure", str(file), "--users", "100,200", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for each in found["predicted"]:
        assert f"{each['users']:>9} {each['rps']:>9.1f} {each['p50_ms']:>9.1f} {each['p95_ms']:>9.1f}" in text
    full = found["saturates"]
    assert f"saturates first: {full['first']}, from about {full['users']:,} users" in text
    assert f"cheapest for 200 users with p95 at most 300 ms: {System(**found['cheapest']['system'])}" in text
    assert found["checked"] == []
    assert found["request_ms"]["database"] == pytest.approx(4.0)


def test_json_of_a_target_that_nothing_meets_is_null(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "100", "--target-p95", "1ms", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cheapest"] is None


def test_json_of_a_plan_on_paper(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--measure", str(file), "--users", "1000,1000000", "--paper", "30%", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [plan["users"] for plan in found["plans"]] == [1000, 1_000_000]
    assert found["writes"] == 0.3
    assert found["one_primary_ends_at"] > found["one_postgresql_ends_at"] > 0


def test_json_of_a_check_has_the_three_runs() -> None:
    predicted = predict(CALIBRATED, SYSTEM, 100)
    point = Point(100, predicted, [_measured(100, seconds) for seconds in (0.010, 0.012, 0.030)])
    found = Answer(CALIBRATED, SYSTEM, [predicted], [point], 100, 0.3, SYSTEM, None).as_dict()["checked"][0]
    assert found["runs_p95_ms"] == pytest.approx([10.0, 12.0, 30.0], rel=0.01)
    assert found["measured_p95_ms"] == pytest.approx(12.0, rel=0.01)
    assert found["holds"] is point.holds


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check", "--measure", "FILE"], "not a kept calibration"),
        (["--check", "--metrics", "none"], "--check measures"),
        (["--measure", "http://127.0.0.1:1", "--users", "5"], "--scenario"),
    ],
)
def test_what_cannot_be_measured_ends_with_2(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    assert cli.main(["plan", *given]) == 2
    assert message in capsys.readouterr().err


def test_a_check_says_which_points_are_outside() -> None:
    predicted = predict(CALIBRATED, SYSTEM, 120)
    p95 = predicted.percentile(95)
    assert p95 is not None
    answers = round(predicted.throughput * 10)
    near, far = (Point(120, predicted, [_measured(120, p95 * factor, answers)]) for factor in (1.1, 2.0))
    assert near.holds and not far.holds
    lines = list(comparison([near, far]))
    assert lines[3].endswith("outside") and lines[-1].startswith("1 of 2")
    assert list(caveat([near])) == []
    assert "missed at 120 users" in next(caveat([near, far]))
    assert any(line.marks for line in latency([predicted], [near]).lines)


@pytest.mark.parametrize(
    ("measured", "others", "message"),
    [
        (_measured(6, 0.01, answers=20), 0.0, "20 answers .* too few"),
        (_measured(6, 0.01, failed=40), 0.0, "failed"),
        (_measured(6, 0.01, cpu=0.9), 0.0, "generator used 90%"),
        (_measured(6, 0.01), 100.0, "other processes used 100.00"),
    ],
)
def test_a_disturbed_calibration_gives_a_sentence_and_no_figures(
    measured: Measured, others: float, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        _refuse_bad(measured, {"others": others})


def test_postgresql_and_its_postmaster_are_found(cluster: Any) -> None:
    conn = psycopg2.connect(cluster.dsn("postgres"))
    try:
        first = postmaster_of(conn)
        assert first not in (0, os.getpid())
    finally:
        conn.close()


def test_a_port_that_nobody_listens_on_has_no_app() -> None:
    assert "app" not in Usage(1).parts
