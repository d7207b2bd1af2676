"""Demands from Prometheus text: what it says, what is missing, and pages that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.plan.measure_metrics import from_metrics

PAGE = """\
# TYPE harden_request_duration_seconds histogram
harden_request_duration_seconds_bucket{{route="/a",method="GET",status="2xx",le="0.01"}} {half}
harden_request_duration_seconds_bucket{{route="/a",method="GET",status="2xx",le="0.05"}} {count}
harden_request_duration_seconds_bucket{{route="/a",method="GET",status="2xx",le="+Inf"}} {count}
harden_request_duration_seconds_count{{route="/a",method="GET",status="2xx"}} {count}
harden_request_duration_seconds_sum{{route="/a",method="GET",status="2xx"}} {seconds}
# TYPE harden_request_queries histogram
harden_request_queries_bucket{{route="/a",le="+Inf"}} {count}
harden_request_queries_count{{route="/a"}} {count}
harden_request_queries_sum{{route="/a"}} {queries}
# TYPE harden_cpu_seconds counter
harden_cpu_seconds_total {cpu}
"""


def _page(folder: Path, name: str, count: int) -> str:
    file = folder / name
    file.write_text(PAGE.format(half=count // 2, count=count, seconds=count * 0.02, queries=2 * count,
                                cpu=count * 0.005))  # fmt: skip
    return str(file)


def test_a_page_gives_the_demands_of_its_routes(tmp_path: Path) -> None:
    calibrated, said = from_metrics([_page(tmp_path, "a", 1000)], "", 0.004, "exp 2s")
    [task] = calibrated.demands.tasks
    assert (task.name, task.queries, task.app, task.database) == ("/a", 2.0, 0.005, 0.004)
    assert task.wait == pytest.approx(0.011)
    assert calibrated.demands.think == 2.0
    assert sum(task.shape) / len(task.shape) == pytest.approx(1.0, rel=0.02)
    assert any("err on the slow side" in line for line in said)


def test_two_pages_count_what_lies_between(tmp_path: Path) -> None:
    pages = [_page(tmp_path, "a", 1000), _page(tmp_path, "b", 1400)]
    _, said = from_metrics(pages, "", 0.004, "2s")
    assert said[0].startswith("400 requests")


@pytest.mark.parametrize(
    ("count", "database", "think", "message"),
    [
        (100, 0.004, "2s", "100 requests in .* are too few"),
        (1000, None, "2s", "PostgreSQL's time per request is missing"),
        (1000, 0.004, None, "give --think"),
        (1000, 0.004, "soon", "--think"),
    ],
)
def test_what_is_missing_is_said_and_not_guessed(
    tmp_path: Path, count: int, database: float | None, think: str | None, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        from_metrics([_page(tmp_path, "a", count)], "", database, think)


def test_a_service_that_began_anew_between_two_pages_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="began anew"):
        from_metrics([_page(tmp_path, "a", 1400), _page(tmp_path, "b", 1000)], "", 0.004, "2s")


def test_a_page_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read"):
        from_metrics([str(tmp_path / "none")], "", 0.004, "2s")
    wrong = tmp_path / "html"
    wrong.write_text("<html>no metrics</html>\n")
    with pytest.raises(CommandError):
        from_metrics([str(wrong)], "", 0.004, "2s")
    with pytest.raises(CommandError, match="cannot read"):
        from_metrics(["http://127.0.0.1:1/metrics"], "", 0.004, "2s")


def test_a_page_without_processor_time_is_refused(tmp_path: Path) -> None:
    page = Path(_page(tmp_path, "a", 1000))
    page.write_text(page.read_text().replace("harden_cpu_seconds", "other"))
    with pytest.raises(CommandError, match="processor time is missing"):
        from_metrics([str(page)], "", 0.004, "2s")
