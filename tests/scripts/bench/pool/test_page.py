"""The HTML report."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from scripts.bench.pool import plots
from scripts.bench.pool.bars import judge
from scripts.bench.pool.page import render_page
from scripts.bench.pool.subjects import SUBJECTS

from .sample import result, row

ALL = result(*(row(subject.key) for subject in SUBJECTS))
PAGE = render_page(ALL, judge(ALL))


def test_page_has_no_outside_assets() -> None:
    assert not re.findall(r"""(?:src|href|url)\s*[=(](?!\s*["']?(?:data:|#)).{20}""", PAGE)
    assert "<script" not in PAGE and "@import" not in PAGE and "default-src 'none'" in PAGE


def test_page_is_light_and_dark_in_the_demo_s_colours() -> None:
    assert "prefers-color-scheme: dark" in PAGE and "--hardened:" in PAGE


@pytest.mark.parametrize("label", [subject.label for subject in SUBJECTS])
def test_page_shows_each_subject(label: str) -> None:
    assert PAGE.count(label) > 10


def test_every_plot_is_well_formed_and_described() -> None:
    drawings = re.findall(r"<svg viewBox=\"0 0 340.*?</svg>", PAGE, re.DOTALL)
    assert len(drawings) == 3 + 4 + 10 + 5
    for drawing in drawings:
        described = ElementTree.fromstring(drawing).findtext("desc")
        assert described and "ours" in described


def test_what_the_machine_says_of_itself_is_escaped() -> None:
    assert "a &lt;CPU&gt;" in PAGE and "a <CPU>" not in PAGE


def test_a_bar_beyond_ten_times_ours_has_a_gap() -> None:
    rows = row("ours"), row("connect", checkout_us=4000.0), row("dbutils", checkout_us=8.0)
    orange = [bar for bar in plots.costs(result(*rows))[0].bars if bar.side == "legacy"]
    assert len(orange) == 3
    assert orange[0].x + orange[0].width < orange[1].x


def test_no_mark_stands_beside_its_panel() -> None:
    for panel in (*plots.costs(ALL), *plots.contention(ALL), *plots.by_threads(ALL), *plots.events(ALL)):
        assert all(bar.x >= 0 and bar.x + bar.width <= 340 for bar in panel.bars)
        assert all(0 <= dot.x <= 340 and 0 <= dot.y <= panel.height for dot in panel.dots)


def test_same_input_same_bytes() -> None:
    assert render_page(ALL, judge(ALL)) == PAGE
