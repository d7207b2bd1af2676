"""promtool itself looks at what Prometheus gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from .check_samples import asked, changed, everything, needs, subject, text_of
from .unit_samples import one_host

needs_promtool = needs("promtool", "prometheus")


@needs_promtool
def test_promtool_takes_what_is_rendered(tmp_path: Path) -> None:
    found = asked("prometheus", subject(tmp_path, everything(), "monitoring"))
    assert (found.state, found.text) == ("ok", "2 files")


@needs_promtool
@pytest.mark.parametrize(("file", "old", "new", "said"), [
    ("/shop.yml", "scheme:", "schema:", "promtool check config"),
    ("/harden-alerts.yml", "expr: ", "expr: ) + ", "promtool check rules"),
])  # fmt: skip
def test_what_promtool_refuses_is_a_finding(file: str, old: str, new: str, said: str, tmp_path: Path) -> None:
    service = subject(tmp_path, everything(), "monitoring")
    found = asked("prometheus", changed(service, file, lambda text: text.replace(old, new, 1)))
    assert said in text_of(found)
    assert str(tmp_path) not in text_of(found)


def test_where_nobody_may_read_figures_it_is_skipped(tmp_path: Path) -> None:
    assert asked("prometheus", subject(tmp_path, one_host(), "monitoring")).state == "skipped"
