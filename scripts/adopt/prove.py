"""The proof of a branch: `harden verify` of its work tree beside the commit that it starts from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..errors import CommandError
from ..verify import command as verify
from ..verify.report import Report
from .story import Proof


def proof(folder: Path, start: str, arguments: Sequence[str]) -> Proof:
    """Verify a work tree.

    Args:
        folder: It, or the part of it that is adopted.
        start: The commit to compare with.
        arguments: For `harden verify` besides.
    """
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    try:
        report = verify.compared(parser.parse_args([str(folder.resolve()), "--against", start, *arguments]))
    except CommandError as error:
        return Proof(False, "", reason=error.line())
    return Proof(report.is_same, _summary(report), report.text())


def _summary(report: Report) -> str:
    return report.totals().strip() or report.summary
