"""The simulation against formulas that are known: M/M/c, exact MVA, and the laws that hold for every system."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from scripts.capacity import Demands, Outcome, System, TaskDemand, simulate
from scripts.capacity.bounds import bounds_of, exact_mva, seidmann_mva, stations_of

# Everything but the station in question is plentiful.
PLENTY = System(hosts=1, cores=1, workers=1, threads=10_000, pool=10_000, bouncers=0, database_cores=500)


def mmc_mean(rate: float, service: float, servers: int) -> float:
    """Mean time in an M/M/c queue, by Erlang's C formula."""
    load = rate * service
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    waiting = last / (sum(terms) + last)
    return service + waiting * service / (servers - load)


def _holds(outcome: Outcome, expected: float) -> bool:
    return abs(outcome.mean - expected) <= outcome.interval()


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (2, 0.7), (4, 0.8)])
def test_the_databases_cores_are_an_m_m_c_queue(servers: int, load: float) -> None:
    """Sharing the processor and first come first served have the same mean when needs are exponential."""
    task = TaskDemand("query", 1.0, app=0.0, database=0.01, queries=1.0, shape=())
    rate = load * servers / 0.01
    system = replace(PLENTY, database_cores=servers)
    seen = simulate(Demands([task], 0.0), system, rate=rate, seconds=12_000 / rate, warmup=1_000 / rate)
    assert _holds(seen, mmc_mean(rate, 0.01, servers))
    assert seen.utilisation["database cores"] == pytest.approx(load, abs=0.05)


def test_threads_of_one_worker_are_an_m_m_c_queue_of_waits() -> None:
    task = TaskDemand("slow", 1.0, app=0.0, wait=0.1, shape=())
    seen = simulate(Demands([task], 0.0), replace(PLENTY, threads=3), rate=21.0, seconds=800, warmup=50)
    assert _holds(seen, mmc_mean(21.0, 0.1, 3))


@pytest.mark.parametrize("users", [1, 5, 20])
def test_a_closed_network_agrees_with_exact_mva(users: int) -> None:
    """Stations that share their processor have MVA's means whatever the distributions (BCMP)."""
    task = TaskDemand("page", 1.0, app=0.0, beside=0.02, database=0.03, queries=1.0, shape=())
    system = replace(PLENTY, database_cores=1)
    seen = simulate(Demands([task], 0.5), system, users=users, seconds=5_000 / users, warmup=50)
    rate, spent = exact_mva([0.02, 0.03], 0.5, users)
    assert _holds(seen, spent)
    assert seen.throughput == pytest.approx(rate, rel=0.05)


def test_saturation_is_where_the_bounds_say() -> None:
    task = TaskDemand("page", 1.0, app=0.004, database=0.010, queries=2.0)
    demands, system = Demands([task], 1.0), System(cores=2, workers=2, threads=8, database_cores=1)
    bounds = bounds_of(demands, system)
    assert bounds.station == "database cores"
    assert bounds.throughput == pytest.approx(100.0)
    assert bounds.users == pytest.approx(101.4)
    beyond = simulate(demands, system, users=200, seconds=20, warmup=5)
    assert beyond.throughput == pytest.approx(100.0, rel=0.02)
    assert beyond.busiest == "database cores"


def test_seidmann_is_exact_for_one_server_and_near_for_more() -> None:
    assert seidmann_mva([(0.02, 1), (0.03, 1)], 1.0, 30) == exact_mva([0.02, 0.03], 1.0, 30)
    rate, _ = seidmann_mva([(0.04, 4)], 1.0, 50)
    assert rate == pytest.approx(min(50 / 1.04, 100.0), rel=0.05)


def test_people_obey_littles_law() -> None:
    task = TaskDemand("page", 1.0, app=0.005, database=0.004, wait=0.002, queries=3.0, shape=(0.5, 1.0, 1.5))
    seen = simulate(Demands([task], 2.0, (1.0, 3.0)), System(), users=150, seconds=60, warmup=10)
    assert seen.throughput * (seen.mean + 2.0) == pytest.approx(150, rel=0.02)


def test_an_interpreter_carries_one_core_whatever_its_threads() -> None:
    task = TaskDemand("page", 1.0, app=0.01)
    seen = simulate(Demands([task], 0.0), System(cores=4, workers=1, threads=16), users=16, seconds=10, warmup=1)
    assert seen.throughput == pytest.approx(100.0, rel=0.01)
    assert seen.busiest == "interpreters"


def test_one_machine_for_all_is_slower_than_machines_apart() -> None:
    task = TaskDemand("page", 1.0, app=0.006, database=0.006, generator=0.002, queries=2.0)
    demands = Demands([task], 0.1)
    together = simulate(demands, System(is_shared=True), users=60, seconds=10, warmup=2)
    apart = simulate(demands, System(), users=60, seconds=10, warmup=2)
    assert together.throughput == pytest.approx(2 / 0.014, rel=0.02)
    assert apart.throughput > 1.5 * together.throughput
    assert bounds_of(demands, System(is_shared=True)).station == "machine"


def test_a_small_pool_of_pgbouncer_is_waited_for() -> None:
    task = TaskDemand("page", 1.0, app=0.001, database=0.02, bouncer=0.0001, queries=1.0)
    system = System(cores=4, workers=4, threads=8, pool_size=2, database_cores=16)
    seen = simulate(Demands([task], 0.0), system, users=32, seconds=5, warmup=1)
    assert seen.throughput < 2 / 0.02
    assert max(seen.waits, key=lambda name: seen.waits[name]) == "server connections"


def test_the_same_seed_gives_the_same_figures() -> None:
    task = TaskDemand("page", 1.0, app=0.004, database=0.002, shape=())
    first, again, other = (
        simulate(Demands([task], 1.0), System(), users=20, seconds=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first.latencies == again.latencies != other.latencies


def test_work_after_the_answer_takes_the_interpreter_but_no_latency() -> None:
    task = TaskDemand("page", 1.0, app=0.01, after=0.01)
    alone = simulate(Demands([task], 1.0, (0.5, 1.5)), System(), users=1, seconds=200, warmup=1)
    assert alone.mean == pytest.approx(0.01)
    full = simulate(Demands([task], 0.0), System(cores=1, workers=1), users=4, seconds=10, warmup=1)
    assert full.throughput == pytest.approx(50.0, rel=0.02)


def test_a_percentile_of_too_few_requests_is_unknown() -> None:
    task = TaskDemand("page", 1.0, app=0.01)
    seen = simulate(Demands([task], 1.0), System(), users=1, seconds=30, warmup=1)
    assert seen.percentile(50) is not None
    assert seen.percentile(99) is None


@pytest.mark.parametrize("given", [{}, {"users": 1, "rate": 1.0}, {"users": 1, "seconds": 0.0}])
def test_what_is_no_load_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is no load"):
        simulate(Demands([TaskDemand("page", 1.0, app=0.01)], 1.0), System(), **given)  # type: ignore[arg-type]


def test_each_station_counts_in_the_bounds_with_what_it_needs() -> None:
    task = TaskDemand("page", 1.0, app=0.004, database=0.003, bouncer=0.0002, after=0.001)
    found = stations_of(Demands([task], 1.0), System(hosts=2, cores=4, workers=4, database_cores=8))
    assert found["interpreters"] == (0.005, 8)
    assert found["database cores"] == (0.003, 8)
    assert found["PgBouncer"] == (0.0002, 1)


def test_workers_that_are_replaced_cost_their_beginning() -> None:
    task = TaskDemand("page", 1.0, app=0.005)
    steady = System(cores=2, workers=2)
    replaced = replace(steady, max_requests=1000, boot=2.0)
    calm, moved = (simulate(Demands([task], 0.5), s, users=60, seconds=120, warmup=5) for s in (steady, replaced))
    assert moved.throughput == pytest.approx(calm.throughput, rel=0.1)
    assert moved.utilisation["app cores"] - calm.utilisation["app cores"] == pytest.approx(
        moved.throughput * replaced.boot_per_request / 2, rel=0.3
    )
    slow, usual = moved.percentile(99), calm.percentile(99)
    assert slow is not None and usual is not None and slow > usual
