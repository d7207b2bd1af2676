"""`harden plan --measure`: calibrate, predict, recommend; and with --check measure, to see whether that holds."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.description import Description
from deploy.plan_sizes import sizes

from ..atomic import WriteError, write_atomically
from ..bench.output import refuse_missing_folders
from ..capacity.advise import advise
from ..capacity.calibrated import Calibrated, CalibrationError, calibrate
from ..capacity.paper import on_paper
from ..capacity.predict import predict
from ..capacity.system import System
from ..demo.sides import THREADS, start
from ..errors import CommandError
from ..load import Scenario, read_scenario
from ..load.serving import Served, of_sides, served
from ..load.site import address_of, parse_site
from ..progress import Progress
from ..stack import Stack
from . import measure_check, measure_page, measure_text, measure_write
from .described import described
from .measure_answer import Answer, paper_as_dict
from .measure_kept import kept, read_kept
from .measure_metrics import from_metrics
from .measure_processes import Usage
from .measure_target import Run, measure, postmaster

POOL_SIZE = 20  # of the demo's PgBouncer
NO_RESTARTS = "--max-requests 0"  # a worker that is replaced just then would be taken for the mix
MOST_DATABASE_CORES = 128


@dataclass(frozen=True)
class Basis:
    """What predictions stand on.

    Attributes:
        calibrated: the demands.
        measured_on: the system of the calibration, with its generator; None where nothing was run.
        said: lines about where it came from.
    """

    calibrated: Calibrated
    measured_on: System | None
    said: list[str]


def run(options: argparse.Namespace) -> int:
    """Do what the flags say; returns the exit code."""
    progress = Progress()
    refuse_missing_folders(options.html, options.calibration)
    if options.check and not options.measure:
        raise CommandError("--check measures, so it needs --measure TARGET")
    try:
        with _based(options, progress) as (basis, server):
            points = _checked(options, basis, server, progress) if options.check else []
    except CalibrationError as error:
        raise CommandError(str(error)) from None
    return _answer(options, basis, points, progress)


def _checked(
    options: argparse.Namespace, basis: Basis, server: Served | None, progress: Progress
) -> list[measure_check.Point]:
    if server is None or basis.measured_on is None:
        raise CommandError("--check measures a server that runs: give its URL, or shop, not a kept calibration")
    scenario, site = _loaded(options, server)
    usage = Usage(address_of(site)[1], postmaster(server.dsn))
    return measure_check.points(basis.calibrated, basis.measured_on, scenario, site, usage, progress)


def _answer(
    options: argparse.Namespace, basis: Basis, points: list[measure_check.Point], progress: Progress
) -> int:
    alone = basis.calibrated.without_generator()
    if options.paper is not None:
        plans = [on_paper(alone, users, options.paper) for users in options.users]
        if options.json:
            print(json.dumps(paper_as_dict(alone, plans, options.paper), indent=1))
        else:
            print("\n".join([*basis.said, "", *measure_text.paper(alone, plans, options.paper)]))
        return 0
    planned = _system(described(options).description)
    if basis.measured_on is not None:
        planned = replace(planned, boot=basis.measured_on.boot)
    system, users = basis.measured_on or planned, max(options.users)
    answer = Answer(
        basis.calibrated, system, [predict(basis.calibrated, system, each) for each in options.users], points,
        users, options.target_p95, planned,
        advise(alone, users, options.target_p95, planned, MOST_DATABASE_CORES),
    )  # fmt: skip
    if options.json:
        print(json.dumps(answer.as_dict(), indent=1))
    else:
        print("\n".join([*basis.said, "", *measure_text.answer(answer)]), flush=True)
    if options.html:
        _write(options.html, measure_page.page(basis.calibrated, system, points, basis.said), progress)
    if options.write:
        if answer.advice is None:
            raise CommandError("there is nothing to write: no configuration meets the target")
        progress(measure_write.write(options.file or Path("harden.toml"), answer.advice.system))
    return 0 if answer.is_good else 1


@contextmanager
def _based(options: argparse.Namespace, progress: Progress) -> Iterator[tuple[Basis, Served | None]]:
    """Give the basis, and the server while it runs."""
    if options.metrics:
        calibrated, said = from_metrics(options.metrics, options.dsn or "", options.database_ms, options.think)
        yield Basis(calibrated, None, said), None
        return
    if "://" not in options.measure and options.measure != "shop" and Path(options.measure).is_file():
        calibrated, system = read_kept(Path(options.measure))
        yield Basis(calibrated, system, [f"calibration: {options.measure}"]), None
        return
    with _serving(options, progress) as server:
        scenario, site = _loaded(options, server)
        measured = measure(
            scenario, site, server.dsn, progress,
            is_new="://" not in options.measure, allow_remote=options.allow_remote,
        )  # fmt: skip
        yield _basis(options, scenario, measured, progress), server


@contextmanager
def _serving(options: argparse.Namespace, progress: Progress) -> Iterator[Served]:
    """Serve the target; the shop's workers stay, so that each run is of the same ones."""
    if options.measure != "shop":
        with served(options.measure, options.dsn or "", [], progress) as server:
            yield server
        return
    with Stack(progress) as stack:
        sides = start(stack, "small", 20, progress, {"GUNICORN_CMD_ARGS": NO_RESTARTS})
        yield of_sides(sides, "shop", "", stack)


def _basis(options: argparse.Namespace, scenario: Scenario, measured: Run, progress: Progress) -> Basis:
    known = THREADS if options.measure == "shop" else described(options).description.server.threads
    threads = options.threads or known
    system = System(
        hosts=1, cores=len(os.sched_getaffinity(0)), workers=max(measured.workers, 1), threads=threads,
        pool=threads, bouncers=1 if "bouncer" in measured.parts else 0, pool_size=POOL_SIZE, is_shared=True,
        boot=measured.boot,
    )  # fmt: skip
    think = scenario.think
    spread = {"uniform": (think.low, think.high), "constant": (think.low, think.low)}.get(think.kind)
    progress("fitting the model")
    calibrated = calibrate(measured.levels, system, {}, think.mean, spread)
    if options.calibration:
        _write(options.calibration, json.dumps(kept(calibrated, system), indent=1) + "\n", progress)
    said = [
        f"calibrated on {system}, at {', '.join(f'{level.rate:.0f}' for level in measured.levels)} requests/s",
        *measure_text.demands(calibrated),
    ]  # fmt: skip
    return Basis(calibrated, system, said)


def _loaded(options: argparse.Namespace, server: Served) -> tuple[Scenario, str]:
    """Return the scenario and the address."""
    scenario = read_scenario(options.scenario) if options.scenario else server.scenario
    if scenario is None:
        raise CommandError("say what people do: --scenario FILE (docs/load.md)")
    return scenario, parse_site(server.url, options.allow_remote)


def _system(description: Description) -> System:
    plan = sizes(description)
    return System(
        hosts=len(description.hosts.app), cores=description.hosts.cores, workers=plan.workers,
        threads=plan.threads, pool=plan.pool_max, bouncers=plan.bouncers, pool_size=max(plan.pool_size, 1),
        database_cores=description.database.cores, max_requests=description.server.max_requests,
    )  # fmt: skip


def _write(file: Path, text: str, progress: Callable[[str], None]) -> None:
    try:
        write_atomically(file, text)
    except WriteError as error:
        raise CommandError(str(error)) from None
    progress(f"wrote {file}")
