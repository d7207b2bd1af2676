"""docs/timers.md, docs/health.md and docs/top.md name all there is, and their examples run."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from backend import cache_stats, health, system_metrics, timings
from backend.memory_timers import MemorySpan
from backend.readiness import GOOD, NO_ANSWER
from backend.timings import Timings
from scripts.top import command
from scripts.top.views import VIEWS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    return " ".join((DOCS / name).read_text(encoding="utf-8").split())


def test_each_name_and_figure_of_the_timers_is_explained() -> None:
    table = Timings()
    table.add("x", 1.0)
    names = {"timeit", "timer", "timings", "track_memory", "memory_tracker", "cache_stats", "system_metrics"}
    names |= {"log_above", "by", *table.snapshot()[0], *system_metrics.snapshot()}
    names |= {name for name in dir(cache_stats) if not name.startswith("_")}
    names |= {name for name in dir(MemorySpan) if name.endswith(("bytes", "seconds"))}
    text = page("timers.md")
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", text)]
    assert timings.__doc__


def test_each_state_and_call_of_health_is_explained() -> None:
    text = page("health.md")
    states = {*GOOD, NO_ANSWER, "unreachable", "not used yet", "ok", "unavailable", "draining"}
    assert not [state for state in states if f"`{state}`" not in text]
    assert not [name for name in ("drain", "undrain", "is_draining") if f"health.{name}()" not in text]
    assert not [path for path in ("/livez", "/readyz", "/health/database/pool") if f"`{path}`" not in text]


@pytest.mark.parametrize("name", ["health.md"])
def test_json_on_the_page_is_json(name: str) -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    ready, pools = (json.loads(block) for block in blocks)
    assert set(ready) == set(health.ready()[1])
    assert set(pools) == set(health.pool_figures())


def test_each_option_view_and_exit_code_of_top_is_explained() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    text: Any = page("top.md")
    options = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    assert not [option for option in options if f"`{option}" not in text and option not in text]
    assert not [view for view in VIEWS if view.split()[0] not in text]
    assert not [code for code in (0, 1, 2) if f"| {code} |" not in text]
