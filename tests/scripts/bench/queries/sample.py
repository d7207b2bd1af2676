"""A made-up result with round figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scripts.bench.noise import Noise
from scripts.bench.queries.listing import Exported, Lists
from scripts.bench.queries.methods import METHODS
from scripts.bench.queries.plan import Plan
from scripts.bench.queries.profiles import Asked, Cell, Profiles
from scripts.bench.queries.requests import Requests
from scripts.bench.queries.result import Result
from scripts.bench.spread import Spread, spread

PLAN = Plan(children=(0, 20), over=("socket", "0.5ms"), exports=(400_000,))
MS = {
    "ours": 2.0, "ours-kept": 1.5, "ours-function": 1.5, "twin": 30.0, "n-plus-1": 20.0, "batched": 5.0,
    "join": 7.0,
    "correlated": 2.5, "lateral": 2.6, "cte": 3.0, "selectinload": 14.0, "joinedload": 16.0,
    "psycopg3-n-plus-1": 12.0, "psycopg3": 1.9,
}  # fmt: skip


def one(value: float) -> Spread:
    """A figure that was measured once."""
    return spread([value])


def profiles(statements: int = 1, **changed: float) -> Profiles:
    """Profiles with the usual times over each way, less those that are changed; a network makes N+1 slower."""
    usual = {key.replace("-", "_"): value for key, value in MS.items()}
    times = {key: {**usual, **changed}[key.replace("-", "_")] for key in MS}
    slow = {**times, "n-plus-1": times["n-plus-1"] * 2, "psycopg3-n-plus-1": 40.0}
    return Profiles(
        cells=[
            Cell(way, number, {key: one(value * (1 + number / 20)) for key, value in figures.items()})
            for way, figures in (("socket", times), ("0.5ms", slow))
            for number in (0, 20)
        ],
        asked={
            key: {number: Asked(statements if key == "ours" else 1, 1, 10.0, 10.0) for number in (0, 20)}
            for key in MS
        },
        added_ms={"0.5ms": 0.52},
        plans={"socket": {"ours-kept": 0}},
    )


def requests(**shares: float) -> Requests:
    """Requests whose shares of the ideal are the usual ones, less those that are changed."""
    found = {"direct": 0.92, "kept": 1.15, "bouncer": 0.87, "function": 1.2, "parsed": 0.6, **shares}
    rates = {"empty": one(2000.0), "pgbench": one(1000.0), **{key: one(650 * v) for key, v in found.items()}}
    return Requests(rates, one(666.7), {key: one(value) for key, value in found.items()})


def lists(seconds: float = 0.7, mib: float = 0.6, first_ms: float = 5.0, deep: float = 1.0) -> Lists:
    """Lists with the usual figures of ours, less those that are changed."""
    return Lists(
        pages={"cursor-first": one(1.0), "cursor-deep": one(deep), "offset-first": one(0.8),
               "offset-deep": one(40.0)},
        exports={400_000: {
            "copy": Exported(one(0.6), one(2.0), one(0.1)),
            "ours": Exported(one(seconds), one(first_ms), spread([0.1, mib])),
            "fetchall": Exported(one(4.0), one(1300.0), one(500.0)),
        }},
    )  # fmt: skip


def result(**changed: Any) -> Result:
    """A result of all parts."""
    made = Result(
        date="2026-11-22",
        command="scripts/harden bench queries",
        machine={"cpu": "a <CPU>", "cores": 2, "memory_gib": 4.0, "os": "Linux", "python": "3.11",
                 "postgresql": "15.1"},
        versions={"psycopg2-binary": "2.9"},
        plan=PLAN,
        noise=Noise(load_before=0.1, load_after=1.5, steal=0.0, cores=2),
        methods=METHODS,
        profiles=profiles(),
        requests=requests(),
        lists=lists(),
        left_out={"PgBouncer": "PgBouncer is not installed"},
    )  # fmt: skip
    return replace(made, **changed)
