"""Reads a page of `/metrics`."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.stack.web import Web

from .client import HttpClient


class Page:
    """The samples of a page."""

    def __init__(self, text: str) -> None:
        parser = pytest.importorskip(
            "prometheus_client.parser", reason="prometheus-client is not installed (pip install prometheus-client)"
        )
        self.text = text
        self.families: list[Any] = list(parser.text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a name that have these labels."""
        return sum(
            sample.value for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )  # fmt: skip

    def values(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples of a name by some of their labels, added up."""
        found: dict[tuple[str, ...], float] = {}
        for sample in self.samples:
            if sample.name == name:
                key = tuple(sample.labels[label] for label in labels)
                found[key] = found.get(key, 0.0) + sample.value
        return found


def scrape(web: Web, path: str = "/metrics") -> Page:
    """Return the page of a service, by whichever worker answers."""
    client = HttpClient(web.url)
    status, _, body = client.request("GET", path, headers={"Connection": "close"})
    client.close()
    assert status == 200, body
    return Page(body.decode())
