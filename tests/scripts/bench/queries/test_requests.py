"""The ideal, and pgbench; the servers themselves are in test_command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.bench.queries import pgbench
from scripts.bench.queries.pgbench import PgBench, find_pgbench
from scripts.bench.queries.requests import _summed_up
from scripts.errors import CommandError
from scripts.stack import Stack
from scripts.stack.postgres import Cluster


def test_each_round_has_an_ideal_of_its_own() -> None:
    rates = {"empty": [2000.0, 1000.0], "pgbench": [2000.0, 1000.0], "direct": [900.0, 500.0]}
    found = _summed_up(rates, {})
    assert found.ideal and found.ideal.rounds == pytest.approx((1000.0, 500.0))
    assert found.shares["direct"].rounds == pytest.approx((0.9, 1.0))
    assert found.shares.keys() == {"direct"}


def test_without_pgbench_there_are_rates_and_no_ideal() -> None:
    found = _summed_up({"empty": [2000.0], "direct": [900.0]}, {"pgbench": "it is not there"})
    assert (found.ideal, found.shares, found.rates["direct"].median) == (None, {}, 900.0)


def test_pgbench_is_looked_for_beside_the_server_and_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries: Any = SimpleNamespace(postgres=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_pgbench(binaries) is None
    (tmp_path / "pgbench").touch()
    assert find_pgbench(binaries) == tmp_path / "pgbench"


@pytest.fixture
def program(stack: Stack) -> Path:
    """pgbench itself."""
    found = find_pgbench(stack.binaries)
    if found is None:
        pytest.skip("pgbench is not installed (apt-get install postgresql)")
    return found


def test_the_statement_is_run_with_its_parameter_and_percent_signs(
    program: Path, stack: Stack, cluster: Cluster, dsn: str
) -> None:
    bench = PgBench(program, stack.run, dsn, "SELECT 1 / (%(id)s::int - 6), '%%d :x'", (7, 9))
    assert bench.rate(1, 2, 1) > 1


def test_a_statement_that_fails_is_an_error(program: Path, stack: Stack, dsn: str) -> None:
    with pytest.raises(CommandError, match="pgbench failed"):
        PgBench(program, stack.run, dsn, "SELECT 1 / (%(id)s - 7)", (7, 7)).rate(1, 1, 1)


def test_what_pgbench_prints_is_read() -> None:
    said = "latency average = 1.2 ms\ntps = 812.345678 (without initial connection time)\n"
    found = pgbench.RATE.search(said)
    assert found and found[1] == "812.345678"
