import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.load.result import Result, nearest_rank


def make_result(latencies: list[float], **changes: object) -> Result:
    values: dict[str, object] = {
        "users": 2,
        "seconds": 2.0,
        "elapsed": 2.5,
        "latencies": array("d", latencies),
        "errors": {},
        "connections": 2,
        "reopened": 0,
        "retried": 0,
        "received_bytes": 0,
        "warmup_answered": 0,
        "warmup_errors": {},
        "generator_cpu": 0.1,
        "generator_lag": 0.001,
    }
    return Result(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("percent", "expected"), [(5, 15), (30, 20), (40, 20), (50, 35), (95, 50), (99, 50), (100, 50), (0, 15)]
)
def test_nearest_rank_gives_the_textbook_values(percent: int, expected: float) -> None:
    assert nearest_rank([15, 20, 35, 40, 50], percent) == expected


def test_nearest_rank_of_nothing_is_none() -> None:
    assert nearest_rank([], 50) is None


@given(st.lists(st.floats(0, 1e3), min_size=1), st.integers(1, 100))
def test_at_least_p_percent_are_at_or_below_and_no_smaller_sample_will_do(
    samples: list[float], percent: int
) -> None:
    samples.sort()
    value = nearest_rank(samples, percent)
    assert value is not None

    def share(limit: float) -> int:
        return 100 * sum(sample <= limit for sample in samples)

    assert share(value) >= percent * len(samples)
    below = [sample for sample in samples if sample < value]
    assert not below or share(below[-1]) < percent * len(samples)


def test_whole_hundreds_do_not_slip_a_rank() -> None:
    """In floating point 0.07 * 100 rounds up to the eighth rank."""
    assert nearest_rank(range(1, 101), 7) == 7


def test_errors_are_requests_but_neither_throughput_nor_latency() -> None:
    result = make_result([0.1, 0.3], errors={"http 500": 3, "timeout": 1})
    assert (result.answered, result.failed, result.requests) == (2, 4, 6)
    assert result.rps == pytest.approx(2 / 2.5)
    assert result.mean == pytest.approx(0.2)


@pytest.mark.parametrize(("count", "expected"), [(19, ("p95", "p99")), (20, ("p99",)), (99, ("p99",)), (100, ())])
def test_few_samples_are_named(count: int, expected: tuple[str, ...]) -> None:
    result = make_result([0.1] * count)
    assert result.few_samples == expected
    assert result.as_dict()["few_samples"] is bool(expected)
    assert result.percentile(99) == 0.1


def test_a_run_without_answers_has_no_latencies_rather_than_zeros() -> None:
    run = make_result([], errors={"refused": 3}).as_dict()
    assert run["rps"] == 0
    assert [run[name] for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")] == [None] * 5


def test_as_dict_is_in_milliseconds() -> None:
    run = make_result([0.1, 0.2, 0.4]).as_dict()
    assert (run["p50_ms"], run["max_ms"]) == (200, 400)
    assert math.isclose(run["generator_lag_ms"], 1.0)


def test_a_generator_near_a_whole_core_calls_itself_the_bottleneck() -> None:
    assert make_result([0.1], generator_cpu=0.95).generator_is_bottleneck
    assert not make_result([0.1], generator_cpu=0.2).generator_is_bottleneck
