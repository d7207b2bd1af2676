"""`harden bench WHAT`: one word more on the command line, then the benchmark's own options."""

from __future__ import annotations

import argparse

from .audit import command as audit
from .audits import command as audits
from .cache import command as cache
from .doctor import command as doctor
from .matrix import command as matrix
from .monitor import command as monitor
from .pool import command as pool
from .queries import command as queries
from .rows import command as rows

BENCHMARKS = {
    "audit": audit, "audits": audits, "cache": cache, "doctor": doctor, "matrix": matrix, "monitor": monitor,
    "pool": pool, "queries": queries, "rows": rows,
}  # fmt: skip
EXAMPLES = """\
examples:
  scripts/harden bench audit --fetch         the audit beside bandit, ruff and semgrep
  scripts/harden bench audits --quick        a minute and a half
  scripts/harden bench cache --quick         a minute and a half
  scripts/harden bench doctor --quick        a minute
  scripts/harden bench matrix --quick        half a minute
  scripts/harden bench monitor --quick       half a minute
  scripts/harden bench pool --quick          a minute
  scripts/harden bench queries --quick       a minute and a half
  scripts/harden bench queries --html out.html
  scripts/harden bench rows --quick          some seconds
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare each benchmark and its arguments."""
    parser.epilog = EXAMPLES
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, benchmark in BENCHMARKS.items():
        shape = argparse.RawDescriptionHelpFormatter
        own = kinds.add_parser(
            name, help=benchmark.SUMMARY, description=benchmark.SUMMARY, formatter_class=shape
        )
        benchmark.add_arguments(own)


def run(options: argparse.Namespace) -> int:
    """Run the benchmark that was named."""
    return BENCHMARKS[options.what].run(options)
