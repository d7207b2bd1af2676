"""The page as Prometheus reads it: its own parser and `promtool check metrics` have the last word."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.board import Series
from backend.exposition import written
from backend.metric_names import TABLE, sample_names
from tests.support.scrape import Page

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("prometheus_client", reason="it is not installed (pip install prometheus-client)")
HARD = ' \\ "ü"\n{}'  # what a label may not be broken by
EVERYTHING = [
    Series(metric.name, tuple(label + HARD for label in metric.labels), tuple(map(float, range(metric.cells))))
    for metric in TABLE
]


def test_every_metric_is_written_under_the_names_that_the_table_says() -> None:
    body, content_type = written(EVERYTHING, "")
    page = Page(body.decode())
    assert content_type.startswith("text/plain; version=0.0.4")
    assert {sample.name for sample in page.samples} == {name for metric in TABLE for name in sample_names(metric)}


def test_labels_of_any_text_arrive_as_they_were() -> None:
    page = Page(written(EVERYTHING, "")[0].decode())
    seen = {value for sample in page.samples for key, value in sample.labels.items() if key == "route"}
    assert seen == {"route" + HARD}


def test_a_histogram_s_buckets_hold_those_below_them() -> None:
    cells = (1.0, 2.0, *[0.0] * 11, 4.0, 9.5)
    page = Page(written([Series("harden_request_duration_seconds", ("/", "GET", "2xx"), cells)], "")[0].decode())
    name = "harden_request_duration_seconds"
    buckets = page.values(f"{name}_bucket", "le")
    assert (buckets["0.001",], buckets["0.0025",], buckets["10.0",], buckets["+Inf",]) == (1.0, 3.0, 3.0, 7.0)
    assert (page.sum(f"{name}_count"), page.sum(f"{name}_sum")) == (7.0, 9.5)


def test_openmetrics_is_spoken_with_who_asks_for_it() -> None:
    body, content_type = written(EVERYTHING, "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("accept", ["", "*/*", "text/plain", "application/openmetrics-text", ";;,;=", "x" * 5000])
def test_any_accept_header_gets_a_page(accept: str) -> None:
    assert b"harden_workers" in written(EVERYTHING, accept)[0]


def test_no_figures_are_an_empty_page() -> None:
    assert written([], "")[0] == b""


def test_promtool_finds_no_fault_with_it() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    body, _ = written(EVERYTHING, "")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)
    assert (done.returncode, done.stderr.decode(), done.stdout.decode()) == (0, "", "")


def test_the_library_is_imported_by_nobody_until_a_page_is_written() -> None:
    code = "import sys, backend.metrics_page, backend.serving; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr


def test_half_a_sign_in_a_label_does_not_end_the_page() -> None:
    """Python reads "\\udcff" from JSON; UTF-8 has no such sign, and one label of it made every scrape fail."""
    for accept in ("", "application/openmetrics-text; version=1.0.0"):
        body, _ = written([Series("harden_query_errors", ("f", "SELECT a\udcff"), (1.0,))], accept)
        assert b'summary="SELECT a?"' in body
