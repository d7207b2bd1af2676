"""The HTML report."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from scripts.bench.queries import plots
from scripts.bench.queries.bars import judge
from scripts.bench.queries.methods import METHODS
from scripts.bench.queries.page import render_page

from .sample import result

ALL = result()
PAGE = render_page(ALL, judge(ALL))


def test_page_has_no_outside_assets() -> None:
    assert not re.findall(r"""(?:src|href|url)\s*[=(](?!\s*["']?(?:data:|#)).{20}""", PAGE)
    assert "<script" not in PAGE and "@import" not in PAGE and "default-src 'none'" in PAGE


@pytest.mark.parametrize("label", [method.label for method in METHODS])
def test_page_shows_each_method(label: str) -> None:
    assert PAGE.count(label) >= 5


def test_every_plot_is_well_formed_and_described() -> None:
    drawings = re.findall(r"<svg viewBox=\"0 0 340.*?</svg>", PAGE, re.DOTALL)
    assert len(drawings) == 2 + 11 + 2 + 1 + 3
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).findtext("desc")


def test_ids_are_unique() -> None:
    ids = re.findall(r'id="([^"]+)"', PAGE)
    assert len(ids) == len(set(ids))


def test_what_the_machine_says_of_itself_is_escaped() -> None:
    assert "a &lt;CPU&gt;" in PAGE and "a <CPU>" not in PAGE


def test_no_mark_stands_beside_its_panel() -> None:
    groups = (plots.by_way(ALL), plots.by_children(ALL), plots.requests(ALL), plots.lists(ALL))
    for panel in (panel for group in groups for panel in group):
        assert all(bar.x >= 0 and bar.x + bar.width <= 340 for bar in panel.bars)
        assert all(0 <= dot.x <= 340 and 0 <= dot.y <= panel.height for dot in panel.dots)


def test_a_bar_beyond_ten_times_ours_has_a_gap() -> None:
    (panel,) = [panel for panel in plots.by_way(ALL) if panel.key == "way-0-5ms"]
    places = [bar.y for bar in panel.bars]
    assert sorted(places.count(place) for place in places)[-1] == 2


def test_a_run_of_one_part_has_a_page_too() -> None:
    only = result(profiles=None, requests=None)
    assert "400,000 rows as CSV" in render_page(only, judge(only))


def test_same_input_same_bytes() -> None:
    assert render_page(ALL, judge(ALL)) == PAGE
