"""From runs to demands: a system of known needs is played, and the needs are found again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.capacity import Demands, System, TaskDemand, simulate
from scripts.capacity.advise import advise, needed_rate, next_bottleneck
from scripts.capacity.calibrated import Calibrated, CalibrationError, Level, calibrate, lines_of
from scripts.capacity.predict import predict

TRUE = Demands(
    [TaskDemand("page", 1.0, app=0.002, database=0.001, bouncer=0.0001, generator=0.001, wait=0.001, queries=1.0)],
    3.0, (1.0, 5.0), background=(0.05, 0.01, 0.02),
)  # fmt: skip
MACHINE = System(cores=2, workers=2, threads=4, pool=4, is_shared=True)
NEEDS = {"app": 0.002, "database": 0.001, "bouncer": 0.0001, "generator": 0.001, "beside": 0.0}
FEET = {"app": 0.05, "database": 0.01, "generator": 0.02}


def _level(users: int, think: float) -> Level:
    """Measure by playing, as the command measures by running."""
    seen = simulate(replace(TRUE, think=think, think_range=None), MACHINE, users=users, seconds=30, warmup=2)
    used = {part: need * seen.throughput + FEET.get(part, 0.0) for part, need in NEEDS.items()}
    ordered = sorted(seen.latencies)
    quantiles = [ordered[min(n * len(ordered) // 100, len(ordered) - 1)] / seen.mean for n in range(101)]
    return Level(users, think, seen.throughput, used, seen.mean, {"page": (1.0, seen.mean, quantiles)})


@pytest.fixture(scope="module")
def levels() -> list[Level]:
    return [_level(6, 0.15), _level(6, 0.05), _level(8, 0.0)]


@pytest.fixture(scope="module")
def calibrated(levels: list[Level]) -> Calibrated:
    return calibrate(levels, MACHINE, {}, 3.0, (1.0, 5.0))


def test_needs_and_background_are_told_apart(levels: list[Level]) -> None:
    found = lines_of(levels)
    assert found["app"] == pytest.approx((0.002, 0.05))
    assert found["database"] == pytest.approx((0.001, 0.01))
    assert found["beside"] == (0.0, 0.0)


def test_one_rate_cannot_tell_them_apart(levels: list[Level]) -> None:
    with pytest.raises(CalibrationError, match="the same rate"):
        lines_of([levels[0], levels[0]])


@pytest.mark.parametrize("users", [200, 800])
def test_a_load_that_was_not_measured_is_predicted(calibrated: Calibrated, users: int) -> None:
    predicted = predict(calibrated, MACHINE, users)
    true = simulate(TRUE, MACHINE, users=users, seconds=40, warmup=10, seed=2)
    assert predicted.throughput == pytest.approx(true.throughput, rel=0.05)
    expected = true.percentile(95)
    assert expected is not None
    assert predicted.percentile(95) == pytest.approx(expected, rel=0.25)


def test_the_cheapest_that_meets_the_target_is_found(calibrated: Calibrated) -> None:
    found = advise(calibrated, 2000, 0.1, System(database_cores=2), 64)
    assert found is not None
    assert found.system.hosts * found.system.cores == 3  # 1.3 cores of need, filled to 60 % at most
    reached = found.reached.percentile(95)
    assert reached is not None and reached <= 0.1
    assert found.next_users > 2000
    assert next_bottleneck(calibrated, found.system) == (found.next_station, found.next_users)


def test_three_times_the_people_take_more(calibrated: Calibrated) -> None:
    found = advise(calibrated, 6_000, 0.1, System(database_cores=2), 64)
    assert found is not None
    assert found.system.hosts * found.system.cores * 0.60 >= 0.002 * needed_rate(calibrated, 6_000)
    assert found.system.database_cores >= 4


def test_a_target_below_one_requests_own_time_has_no_configuration(calibrated: Calibrated) -> None:
    assert advise(calibrated, 500, 0.001, System(database_cores=2), 64) is None


def test_more_than_one_postgresql_carries_has_no_configuration(calibrated: Calibrated) -> None:
    assert advise(calibrated, 1_000_000, 0.1, System(database_cores=2), 128) is None
