"""The reference shop's scenario, with tokens that the running shop takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .scenario import Scenario
from .scenario_file import read_scenario
from .sources import Source

FILE = Path(__file__).resolve().parent / "shop.toml"


def shop_scenario(bearer: Callable[[int], str], customers: Sequence[int]) -> Scenario:
    """Return the scenario for a shop that runs.

    Args:
        bearer: gives a customer's token.
        customers: whose tokens are used.
    """
    scenario = read_scenario(FILE)
    tokens = Source("list", items=[bearer(customer) for customer in customers])
    return replace(scenario, values={**scenario.values, "token": tokens})
