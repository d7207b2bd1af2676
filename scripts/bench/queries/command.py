"""`harden bench queries`: the ways to a nested document beside each other, on one throw-away PostgreSQL."""

from __future__ import annotations

import argparse
import difflib
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ...arguments import number_of
from ...demo.report import describe_machine
from ...progress import Progress
from ...stack import Stack
from ..environment import Peers
from ..noise import Listener
from ..output import NOT_HERE, refuse_missing_folders, write
from .bars import judge
from .listing import Listing
from .methods import METHODS, Method
from .page import render_page
from .plan import PARTS, PLACES, QUICK, Plan, way_of
from .profiles import Measurement
from .requests import Requesting
from .result import Result, render_json
from .shop import MOST_CHILDREN, SETTINGS, Shop
from .table import render_table

SUMMARY = "one query beside a loop of queries, batches, joins, ORMs and other drivers"
SERVING = ("gunicorn", "pgbouncer", "flask", "psycopg2")
KEYS = tuple(method.key for method in METHODS)
EXAMPLES = f"""\
methods: {", ".join(KEYS[:8])},
  {", ".join(KEYS[8:])}

examples:
  scripts/harden bench queries --quick                      all of it, shortened: a minute and a half
  scripts/harden bench queries --json out.json --html out.html
  scripts/harden bench queries --parts profiles --methods n-plus-1,psycopg3 --over socket,1ms
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--quick", action="store_true", help="short rounds; every number over the first way only")
    parser.add_argument("--parts", type=list_of("part", PARTS), metavar="A,B",
                        help=f"of {', '.join(PARTS)} (default: all)")  # fmt: skip
    parser.add_argument("--methods", type=list_of("method", KEYS), default=KEYS, metavar="A,B",
                        help="beside ours, of those below (default: all)")  # fmt: skip
    parser.add_argument("--children", type=_children, metavar="N,N",
                        help="appointments of the measured customers (default: 0,20,200,2000)")  # fmt: skip
    parser.add_argument("--over", type=_ways, metavar="A,B",
                        help=f"ways to the server: {', '.join(PLACES)}, or the milliseconds of a network "
                             "(default: socket,tcp,pgbouncer,0.5ms,2ms)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every call")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")


def list_of(what: str, known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of names with commas between."""
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
                raise argparse.ArgumentTypeError(f"{name!r} is no {what}; {hint}")
        return names

    return parse


def _children(text: str) -> tuple[int, ...]:
    number = number_of("appointments", 0, MOST_CHILDREN)
    return tuple(sorted({number(part.strip()) for part in text.split(",")}))


def _ways(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(way_of(part.strip()) for part in text.split(",")))


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables, write the reports."""
    progress = Progress()
    refuse_missing_folders(options.json, options.html)
    methods = [method for method in METHODS if method.is_ours or method.key in options.methods]
    result = _measure(_plan(options), methods, progress)
    bars = judge(result)
    print(render_table(result, bars), end="", flush=True)
    write(options.json, render_json(result, bars), progress)
    write(options.html, render_page(result, bars), progress)
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else Plan()
    if options.children or options.over:
        plan = replace(plan, every=True)  # what was asked for is measured, however long it takes
    return replace(
        plan,
        children=options.children or plan.children,
        over=options.over or plan.over,
        parts=options.parts or plan.parts,
    )


def _measure(plan: Plan, methods: Sequence[Method], progress: Progress) -> Result:
    peers = Peers(Path(sys.prefix) / "peers", progress)
    python = peers.prepare(methods)
    able = [method for method in methods if not peers.missing.keys() & set(method.packages)]
    left_out = {
        method.label: f"{name} could not be installed: {peers.missing[name]}"
        for method in methods
        for name in method.packages
        if name in peers.missing
    }
    listener = Listener()
    with Stack(progress) as stack:
        machine = describe_machine(stack.binaries.postgres_version, stack.binaries.pgbouncer_version)
        cluster = stack.postgres(SETTINGS)
        progress(f"seeding the shop ({plan.size})")
        with closing(Shop(cluster, plan.size)) as shop:
            profiles = requests = lists = None
            if "profiles" in plan.parts:
                profiles = Measurement(stack, shop, plan, python, progress).measure(able)
            if "requests" in plan.parts:
                requests = Requesting(stack, shop, plan, progress).measure()
            if {"pages", "exports"} & set(plan.parts):
                lists = Listing(stack, shop, plan, progress).measure()
    return Result(
        date=date.today().isoformat(),
        command=f"scripts/harden {shlex.join(sys.argv[1:])}",
        machine={name: value for name, value in machine.items() if name not in NOT_HERE},
        versions={
            **{name: str(machine[name]) for name in SERVING if machine.get(name)},
            **(profiles.versions if profiles else {}),
        },
        plan=plan,
        noise=listener.heard(),
        methods=tuple(able),
        profiles=profiles,
        requests=requests,
        lists=lists,
        left_out={**left_out, **_left_out(profiles, requests, lists)},
    )


def _left_out(*parts: Any) -> dict[str, str]:
    return {label: reason for part in parts if part is not None for label, reason in part.left_out.items()}
