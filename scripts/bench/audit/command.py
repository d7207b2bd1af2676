"""`harden bench audit`: the audit beside other tools, on repositories whose faults are known."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from ...errors import CommandError
from ...progress import Progress
from ..output import refuse_missing_folders, write
from ..queries.command import list_of
from . import checkouts, tools
from .bars import judge
from .labels import AMENDMENTS, LABELS, Repository, amended, read_amendments, read_labels
from .result import OURS, Reached, Result, render_json
from .scoring import Row, score
from .table import render_missed, render_table, render_wrong
from .tools import Tool

SUMMARY = "what the audit finds of faults that are known, beside bandit, ruff and semgrep"
TOOLS = (OURS, "bandit", "ruff", "semgrep")
EXAMPLES = """\
examples:
  scripts/harden bench audit --fetch                 get the repositories from GitHub once, then score
  scripts/harden bench audit --tool ours --misses    what the audit does not see
  scripts/harden bench audit --check                 exit 1 when a bar is missed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmark's arguments."""
    parser.epilog = EXAMPLES
    parser.add_argument("--fetch", action="store_true", help="fetch what the cache lacks from GitHub")
    parser.add_argument("--checkouts", type=Path, metavar="DIR", help="folders OWNER+NAME at the labelled commits")
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="other labels than the kit's own")
    parser.add_argument("--tool", type=list_of("tool", TOOLS), metavar="A,B",
                        help=f"of {', '.join(TOOLS)} (default: all that can run here)")  # fmt: skip
    parser.add_argument("--semgrep-rules", type=Path, metavar="DIR", help="semgrep's rules; it has none without")
    parser.add_argument("--misses", action="store_true", help="show each label that the audit missed")
    parser.add_argument("--false", action="store_true", help="show each wrong report of the audit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is missed")


def run(options: argparse.Namespace) -> int:
    """Score, print, write; returns the exit code."""
    progress = Progress()
    refuse_missing_folders(options.json)
    _refuse_useless(options)
    repositories = read_labels(options.corpus or LABELS)
    folders = _folders(options, repositories, progress)
    chosen, absent = _chosen(options)
    found = {tool.name: _looked(tool, folders, progress) for tool in chosen}
    amendments = () if options.corpus else read_amendments(AMENDMENTS)
    others = amended(repositories, amendments)
    result = Result(
        date=date.today().isoformat(), command=f"scripts/harden {shlex.join(sys.argv[1:])}",
        repositories=len(repositories), amendments=len(amendments), absent=absent,
        tools={tool.name: Reached(tools.version(tool), tool.seconds, score(repositories, found[tool.name]),
                                  score(others, found[tool.name])) for tool in chosen},
    )  # fmt: skip
    bars = judge(result.tools[OURS].raw) if OURS in result.tools else []
    shown = (render_missed(result) if options.misses else "") + (render_wrong(result) if options.false else "")
    print(shown + render_table(result, bars), end="", flush=True)
    write(options.json, render_json(result, bars), progress)
    return int(options.check and not all(bar.holds for bar in bars))


def _refuse_useless(options: argparse.Namespace) -> None:
    """Check, before anything is run, that what is asked can be answered.

    Raises:
        CommandError: It cannot.
    """
    of_ours = [name for name in ("misses", "false", "check") if getattr(options, name)]
    if of_ours and options.tool and OURS not in options.tool:
        raise CommandError(f"--{of_ours[0]} is about the audit; add {OURS} to --tool")
    if options.fetch and options.checkouts:
        raise CommandError("--fetch fills the cache and --checkouts reads another folder; give one of them")
    if options.semgrep_rules and not options.semgrep_rules.exists():
        raise CommandError(f"there is no {options.semgrep_rules}; give a folder of semgrep's rules")


def _folders(
    options: argparse.Namespace, repositories: Sequence[Repository], progress: Progress
) -> dict[str, Path]:
    folder = options.checkouts or checkouts.cache_folder()
    if options.fetch:
        checkouts.fetch(repositories, folder, progress)
    return checkouts.present(repositories, folder, given=options.checkouts is not None)


def _chosen(options: argparse.Namespace) -> tuple[list[Tool], dict[str, str]]:
    """Return the tools that run, ours first, and why the others do not.

    Raises:
        CommandError: A tool that was asked for cannot run here.
    """
    wanted = options.tool or TOOLS
    peers = {name: tool for name, tool in tools.peers(options.semgrep_rules).items() if name in wanted}
    absent = {name: tool for name, tool in peers.items() if isinstance(tool, str)}
    if options.tool and absent:
        raise CommandError(next(iter(absent.values())))
    found = [tool for tool in peers.values() if isinstance(tool, Tool)]
    return ([tools.ours()] if OURS in wanted else []) + found, absent


def _looked(tool: Tool, folders: dict[str, Path], progress: Progress) -> list[Row]:
    rows: list[Row] = []
    for number, (repo, folder) in enumerate(folders.items()):
        progress.bar(number, len(folders), tool.name)
        rows += tool.look(repo, folder)
    progress.clear()
    return rows
