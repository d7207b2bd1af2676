"""`harden plan`: how many of everything, from hosts x workers x threads to PostgreSQL's `max_connections`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from deploy import ladder
from deploy.description import Description
from deploy.plan_problems import problems
from deploy.plan_rows import rows
from deploy.plan_sizes import Plan, sizes
from deploy.plan_warnings import warnings

from . import findings, measure_flags, server, table
from .described import Described, add_flags, changed, described

EXAMPLES = """\
examples:
  scripts/harden plan --hosts 3 --cores 4 --max-connections 100    a quick answer, without a file
  scripts/harden plan                                              of ./harden.toml
  scripts/harden plan --measure shop --users 200,500 --target-p95 300ms    how many it carries
  scripts/harden plan --dsn 'host=db1 dbname=shop user=shop'       of what a server really has
"""
WIDTH = 120  # where the output is no terminal: the same bytes everywhere
FROM_SERVER = {
    ("database", "max_connections"): "max_connections",
    ("database", "superuser_reserved"): "superuser_reserved_connections",
    ("database", "reserved"): "reserved_connections",
}


@dataclass(frozen=True)
class Report:
    """A plan and all that is to be said about it.

    Attributes:
        notes: about the server that was asked.
        found: its differences.
    """

    source: str
    description: Description
    plan: Plan
    problems: list[str]
    warnings: list[str]
    notes: list[str]
    found: list[findings.Finding]

    @property
    def worst(self) -> int:
        """Connections that are open at the most, everybody's together."""
        return self.plan.server_connections + self.description.database.direct


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "scripts/harden plan [FILE] [--hosts N] [--cores N] [... N] [--dsn [DSN]] [--json]"
    parser.epilog = (
        "exit codes: 0 it fits; 1 it cannot, or the server differs; 2 wrong usage, or no answer.\n"
        "A flag goes before the file's key of that name. The DSN's password is read from\n"
        "PGPASSWORD or ~/.pgpass; --dsn alone uses DATABASE_URL.\n\n"
        f"{EXAMPLES}"
    )
    parser.add_argument("file", metavar="FILE", nargs="?", type=Path,
                        help="a description (default: harden.toml, if there)")  # fmt: skip
    add_flags(parser)
    parser.add_argument("--dsn", nargs="?", const="", help="compare with this live server; alone: DATABASE_URL")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    measure_flags.add_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan; returns the exit code."""
    if options.measure or options.metrics:
        from . import measure  # Locust's and SimPy's imports are not needed for a table

        return measure.run(options)
    asked = described(options)
    seen = _look(options.dsn, asked) if options.dsn is not None else None
    report = _report(asked, seen)
    if options.json:
        print(json.dumps(_data(report), indent=1))
    else:
        print("\n".join(_lines(report, _width())))
    return 1 if report.problems or report.found else 0


def _look(given: str, asked: Described) -> server.Server | server.Console:
    dsn = server.dsn_of(given, os.environ)
    database = asked.description.database
    return server.look(dsn, *((database.role, database.name) if asked.is_from_file else (None, None)))


def _report(asked: Described, seen: server.Server | server.Console | None) -> Report:
    description = asked.description
    if seen is not None and not asked.is_from_file:
        description = _filled(description, seen, asked)
    plan = sizes(description)
    found = [*problems(description, plan), *ladder.problems(description)]
    warned = warnings(description, plan)
    if seen is None:
        return Report(asked.source, description, plan, found, warned, [], [])
    if isinstance(seen, server.Console):
        differences = findings.of_console(seen, description, plan)
    else:
        differences = findings.of_server(seen, description, plan)
    return Report(asked.source, description, plan, found, warned, _notes(seen), differences)


def _filled(description: Description, seen: server.Server | server.Console, asked: Described) -> Description:
    """Return the description with the server's own names, and its numbers where nobody gave others."""
    if isinstance(seen, server.Console):
        name = next((entry["database"] for entry in seen.entries), description.database.name)
        return changed(description, {("database", "name"): name})
    values: dict[tuple[str, str], Any] = {
        where: seen.numbers[name]
        for where, name in FROM_SERVER.items()
        if name in seen.numbers and where not in asked.given
    }
    if ("database", "version") not in asked.given:
        values["database", "version"] = seen.version
    named = changed(description, values)
    return replace(named, database=replace(named.database, name=seen.database, role=seen.role_name))


def _notes(seen: server.Server | server.Console) -> list[str]:
    if isinstance(seen, server.Console):
        return [f"the DSN is PgBouncer's console ({seen.version}); PostgreSQL itself was not asked"]
    number = seen.numbers["server_version_num"]
    lines = [f"PostgreSQL {number // 10_000}.{number % 10_000}; {seen.others} connections of other roles now"]
    if seen.is_pooled:
        lines.append(
            "the DSN leads through PgBouncer or another pooler: the figures are PostgreSQL's; for the pooler's "
            "own give its console (dbname=pgbouncer)"
        )
    return lines


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def _lines(report: Report, width: int) -> list[str]:
    plan = report.plan
    counts = {"host": len(report.description.hosts.app), "worker": plan.workers, "thread": plan.threads}
    head = " x ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items())
    shown = [f"{head} ({report.source})", "", *table.lines(rows(report.description), width)]
    shown.append(table.total(report.worst, plan.server_limit))
    shown += [f"problem: {line}" for line in report.problems]
    shown += [f"warning: {line}" for line in report.warnings]
    shown += [f"server: {line}" for line in report.notes]
    for finding in report.found:
        shown += [f"differs: {finding.text}", f"    {finding.mend}"]
    return shown


def _data(report: Report) -> dict[str, Any]:
    return {
        "source": report.source,
        "fits": not report.problems,
        "worst_case": report.worst,
        "limit": report.plan.server_limit,
        "plan": asdict(report.plan),
        "rows": [asdict(row) for row in rows(report.description)],
        "problems": report.problems,
        "warnings": report.warnings,
        "server": {"notes": report.notes, "differences": [asdict(finding) for finding in report.found]},
    }
