"""The page as a document: whole, valid, self-contained, and readable without seeing it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from scripts.demo.report import parse_report, render_page

from .sample import make_document, make_run

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Outline(HTMLParser):
    """Checks nesting; collects ids, references to ids, addresses, and the elements with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.elements if "id" in attributes]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def render(*runs: dict[str, Any], **changes: Any) -> str:
    return render_page(parse_report(make_document(*runs, **changes)))


@pytest.fixture(scope="module")
def page() -> str:
    return render()


def test_the_same_input_gives_the_same_bytes(page: str) -> None:
    assert render() == page


def test_elements_are_nested_and_ids_are_unique(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids()) == len(set(outline.ids()))
    for _, attributes in outline.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(outline.ids())


def test_nothing_is_loaded_and_nothing_is_run(page: str) -> None:
    outline = Outline(page)
    assert outline.named("script") == outline.named("img") == outline.named("iframe") == []
    addresses = [attributes.get(name) for _, attributes in outline.elements for name in ("href", "src", "data")]
    assert {address for address in addresses if address} == {"data:,"}
    assert not re.search(r"https?:|url\(|@import|\bon\w+=", page)
    assert "default-src 'none'" in page


def test_each_plot_has_a_title_and_a_description_in_words(page: str) -> None:
    outline = Outline(page)
    plots = [attributes for attributes in outline.named("svg") if attributes.get("role") == "img"]
    assert len(plots) == 2 + 2 + 2 + 3
    assert len(outline.named("title")) == len(plots) + 1
    assert len(outline.named("desc")) == len(plots)
    assert all("aria-hidden" in attributes for attributes in outline.named("svg") if attributes not in plots)


def test_the_table_holds_every_run(page: str) -> None:
    outline = Outline(page)
    scopes = [attributes.get("scope") for attributes in outline.named("th")]
    assert scopes.count("row") == 8
    assert scopes.count("col") == 13
    assert len(outline.named("td")) == 8 * 12


def test_the_reader_finds_question_method_and_limits(page: str) -> None:
    headings = re.findall(r"<h[123][^>]*>([^<]+)<", page)
    assert headings == [
        "The same shop, before and after",
        "Throughput",
        "Latency",
        "Errors",
        "What PostgreSQL had to bear",
        "The experiment",
        "Question",
        "Constraints",
        "Method",
        "Numbers",
        "What it says",
        "What it does not show",
    ]
    assert 'Measured on <time datetime="2026-11-22">22 November 2026</time>' in page
    assert "With 50 users, the customer profile goes from 47.0 to 544 requests per second." in page
    assert "<code>scripts/harden demo --users 50,200</code>" in page


def test_what_was_not_used_is_said_and_not_praised(page: str) -> None:
    assert "<dt>PgBouncer</dt><dd>not used</dd>" in page
    assert "one query per answer and Gunicorn" in page
    document = make_document()
    document["machine"]["pgbouncer"] = "1.25.0"
    assert "one query per answer, PgBouncer and Gunicorn" in render_page(parse_report(document))


def test_settings_are_named_and_unknown_ones_kept() -> None:
    page = render(settings={"statement_timeout_ms": 5000, "workers": 2, "users": [50, 200]})
    assert "<dt>Gunicorn workers</dt><dd>2</dd>" in page
    assert "<dt>statement timeout ms</dt><dd>5,000</dd>" in page
    assert "<dt>users</dt><dd>50, 200</dd>" in page


def test_no_errors_are_a_sentence_and_not_an_empty_plot() -> None:
    assert "No request failed on either side." in render(make_run("legacy"), make_run("hardened"))


def test_one_side_alone_is_not_compared() -> None:
    page = render(make_run("hardened"))
    assert "nothing to compare yet" in page
    assert 'class="tiles"' not in page


def test_input_is_text_and_never_markup() -> None:
    evil = "<script>alert(1)</script>\"'&"
    page = render(make_run("legacy", evil), make_run("hardened", evil), command=evil, settings={evil: evil})
    assert Outline(page).named("script") == []
    assert "&lt;script&gt;" in page


def contrast(first: str, second: str) -> float:
    """WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_all_text_has_aa_contrast_in_both_schemes(page: str) -> None:
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", page, re.S)
    ]
    assert len(schemes) == 2
    for colours in schemes:
        for name in ("ink", "soft", "legacy", "hardened"):
            assert contrast(colours[name], colours["paper"]) >= 4.5
