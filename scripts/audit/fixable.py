"""The rules that `harden fix` has a fixer for; a test holds this to the fixers.

The audit knows no fixers. If this is wrong, it promises what `harden fix` does not do.
"""

from __future__ import annotations

from dataclasses import replace

from .finding import Finding

FIXABLE = frozenset({
    "connect-per-request",
    "debug-on",
    "dev-server",
    "global-shared-connection",
    "hardcoded-credentials",
    "insecure-cookie",
    "leaked-connection",
    "missing-rollback",
    "n-plus-one",
    "no-connect-timeout",
    "no-statement-timeout",
    "pool-at-import",
    "pool-too-large",
    "query-in-loop",
    "random-secret-key",
    "sql-injection",
    "unbounded-select",
})  # fmt: skip


def marked(finding: Finding) -> Finding:
    """Return a finding that says whether there is a fixer for it: for its rule, in Python."""
    return replace(finding, fixable=finding.name in FIXABLE and finding.place.path.endswith(".py"))
