"""`harden load`: people click, the clock starts when they meant to, and budgets decide the exit code."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from ..arguments import number_of
from ..atomic import WriteError, write_atomically
from ..bench.output import refuse_missing_folders
from ..database import shown_dsn
from ..errors import CommandError
from ..progress import Progress
from .budgets import PERCENTS, judge, seconds_of, share_of
from .document import document_of
from .drive import run_load, try_steps
from .measured import Measured, Second
from .report import parse_run, read_runs, render_page, render_text
from .scenario import Scenario, Step, Task
from .scenario_file import parse_think, read_scenario
from .serving import Served, served
from .site import parse_site
from .watch import Watch

EXAMPLES = """\
examples:
  scripts/harden load shop --users 200                 the reference shop, with its own scenario
  scripts/harden load http://127.0.0.1:8000 --get /api/items --users 50 --p95 300ms --errors 1%
  scripts/harden load app.py:app --scenario shop.toml --users 200 --html out.html
  scripts/harden load http://127.0.0.1:8000 --scenario shop.toml --rate 80      80 arrivals a second
  scripts/harden load --compare before.json after.json --html both.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden load TARGET [--scenario FILE | --get PATH ...] [--users N] [options]"
    parser.epilog = f"exit codes: 0 done, budgets hold; 1 a budget broke; 2 it could not run\n\n{EXAMPLES}"
    add = parser.add_argument
    add("target", nargs="?", help="a URL, shop, legacy, or path/to/app.py:app")
    add("--scenario", type=Path, metavar="FILE", help="who does what (docs/load.md)")
    add("--get", action="append", metavar="PATH", help="no file: ask for this path; repeatable")
    add("--think", metavar="TIME", help="pause: 2s, '1s to 5s', 'exp 3s', 'every 5s'")
    add("--users", type=number_of("users", 1, 20_000), metavar="N", help="persons (50; with --rate 500)")
    add("--rate", type=float, metavar="N", help="arrivals per second, whatever the server does")
    add("--seconds", type=float, default=30.0, metavar="S", help="counted time (30; a soak is 3600)")
    add("--ramp", type=float, default=5.0, metavar="S", help="time to grow to all users (5)")
    add("--warmup", type=float, default=3.0, metavar="S", help="uncounted time after that (3)")
    add("--timeout", type=seconds_of, default=30.0, metavar="TIME", help="a request is given up (30s)")
    add("--processes", type=number_of("processes", 1, 64), default=1, metavar="N", help="generators (1)")
    for name in PERCENTS:
        add(f"--{name}", type=seconds_of, metavar="TIME", help=argparse.SUPPRESS if name != "p95" else
            "budget; also --p50 --p90 --p99 --p999")  # fmt: skip
    add("--errors", type=share_of, metavar="SHARE", help="budget: failed requests at most, as 1%%")
    add("--least-rps", type=float, metavar="N", help="budget: answers per second at least")
    add("--dsn", default="", help="count connections there; for an app, its database")
    add("--up", default="", metavar="ARGS", help="arguments for harden up, as one text")
    add("--allow-remote", action="store_true", help="the target is another machine, and yours")
    add("--insecure", action="store_true", help="take any certificate")
    add("--unchecked", action="store_true", help="do not try each step once before")
    add("--label", default="", help="name of the run in reports")
    add("--json", type=Path, metavar="FILE", help="write the figures")
    add("--html", type=Path, metavar="FILE", help="write a page with plots")
    add("--compare", type=Path, nargs="+", metavar="F", help="no run: put such JSON side by side")


def run(options: argparse.Namespace) -> int:
    """Load, print, write, judge."""
    progress = Progress()
    refuse_missing_folders(options.json, options.html)
    if options.compare:
        return _compare(options, progress)
    if options.target is None:
        raise CommandError("say what to load: a URL such as http://127.0.0.1:8000, shop, or app.py:app")
    _refuse_odd(options)
    given = _scenario(options)
    with served(options.target, options.dsn, shlex.split(options.up), progress) as server:
        scenario = given or server.scenario
        if scenario is None:
            raise CommandError("say what to ask for: --scenario FILE, or --get /path (repeatable)")
        measured = _measure(options, server, scenario, progress)
    latencies = {name: seconds for name in PERCENTS if (seconds := getattr(options, name)) is not None}
    verdicts = judge(measured, latencies, options.errors, options.least_rps)
    label = options.label or f"{options.target}, {_users(options)} users"
    command = f"scripts/harden {shlex.join(_shown(sys.argv[1:]))}"
    document = document_of(label, command, server.machine, server.url, scenario, measured, options.ramp,
                           options.warmup, verdicts)  # fmt: skip
    runs = [parse_run(document)]
    print(render_text(runs), flush=True)
    if options.json:
        _write(options.json, json.dumps(document, indent=1) + "\n", progress)
    if options.html:
        _write(options.html, render_page(runs), progress)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _compare(options: argparse.Namespace, progress: Progress) -> int:
    runs = read_runs(options.compare)
    print(render_text(runs), flush=True)
    if options.html:
        _write(options.html, render_page(runs), progress)
    return 0


def _refuse_odd(options: argparse.Namespace) -> None:
    wrong = [
        f"--{name} {value:g}"
        for name, value, low, high in (
            ("seconds", options.seconds, 1, 86_400), ("ramp", options.ramp, 0, 86_400),
            ("warmup", options.warmup, 0, 86_400), ("rate", options.rate or 1, 0.01, 100_000),
        )
        if not low <= value <= high
    ]  # fmt: skip
    if wrong:
        raise CommandError(f"{', '.join(wrong)}: out of range; seconds are 1 to 86400, a rate 0.01 to 100000")
    if options.scenario and options.get:
        raise CommandError("--scenario and --get exclude each other; put the path into the file")
    if options.processes > _users(options):
        raise CommandError(f"--processes {options.processes} is more than {_users(options)} users")


def _users(options: argparse.Namespace) -> int:
    return options.users or (500 if options.rate else 50)


def _scenario(options: argparse.Namespace) -> Scenario | None:
    if options.scenario:
        scenario = read_scenario(options.scenario)
    elif options.get:
        wrong = [path for path in options.get if not path.startswith("/") or path.startswith("//")]
        if wrong:
            raise CommandError(f"--get {wrong[0]!r} is no path; it begins with one /")
        # Braces are the path's own here: there are no values.
        steps = [Step(f"GET {path}", "get", path.replace("{", "{{").replace("}", "}}")) for path in options.get]
        tasks = [Task(step.name, 1.0, [step]) for step in steps]
        scenario = Scenario(options.get[0], tasks, parse_think("1s to 5s"))
    else:
        return None
    return _with_think(scenario, options)


def _with_think(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    if options.think is None:
        return scenario
    try:
        return replace(scenario, think=parse_think(options.think))
    except ValueError as error:
        raise CommandError(f"--think: {error}") from None


def _measure(options: argparse.Namespace, server: Served, scenario: Scenario, progress: Progress) -> Measured:
    site = parse_site(server.url, options.allow_remote)
    if not options.unchecked:
        _try(options, site, scenario, progress)
    total = options.ramp + options.warmup + options.seconds

    def tell(second: Second) -> None:
        p95 = second.response.percentile(95)
        shown = "" if p95 is None else f", p95 {p95 * 1000:.0f} ms"
        progress.bar(second.t, total, f"{second.users} users, {len(second.response)} requests/s{shown}, "
                     f"{second.failed} failed")  # fmt: skip

    people = f"{options.rate:g} arrivals a second" if options.rate else f"{_users(options)} users"
    progress(f"loading {site} with {people} for {total:g} s")
    with Watch(site, server.token, server.dsn) as watch:
        measured = run_load(
            scenario, site, users=_users(options), seconds=options.seconds, ramp=options.ramp,
            warmup=options.warmup, rate=options.rate, timeout=options.timeout, processes=options.processes,
            allow_remote=options.allow_remote, insecure=options.insecure, look=watch.look, on_tick=tell,
        )  # fmt: skip
    progress.clear()
    return measured


def _try(options: argparse.Namespace, site: str, scenario: Scenario, progress: Progress) -> None:
    """Do each step once; a scenario that is wrong must not become a thousand errors."""
    progress(f"trying each step of {scenario.name} once")
    found = try_steps(
        scenario, site, timeout=options.timeout, allow_remote=options.allow_remote, insecure=options.insecure
    )
    for each in found:
        if each["kind"]:
            said = f": {' '.join(each['snippet'].split())[:120]}" if each["snippet"] else ""
            raise CommandError(
                f"{each['step']!r} at {site} ended with {each['kind']!r}{said}; mend the server or the scenario, "
                "or load it all the same with --unchecked"
            )


def _shown(arguments: list[str]) -> list[str]:
    """Return the arguments without a DSN's password, nor what `harden up` was given."""
    shown = list(arguments)
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--dsn" and equals:
            shown[place] = f"--dsn={shown_dsn(value)}"
        elif place and arguments[place - 1] == "--dsn":
            shown[place] = shown_dsn(argument)
        elif name == "--up" and equals:
            shown[place] = "--up=..."
        elif place and arguments[place - 1] == "--up":
            shown[place] = "..."
    return shown


def _write(file: Path, text: str, progress: Progress) -> None:
    try:
        write_atomically(file, text)
    except WriteError as error:
        raise CommandError(str(error)) from None
    progress(f"wrote {file}")
