"""Writes a small project and says what a rule finds in it, as "path:line:col"."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from scripts.audit.finding import Finding, in_order
from scripts.audit.model.build import build
from scripts.audit.rule import Rule


def findings(rule: Rule, folder: Path, files: dict[str, str]) -> list[Finding]:
    """Return what a rule finds in a project of these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return in_order(rule.check(build(folder)))


def places(rule: Rule, folder: Path, files: dict[str, str]) -> list[str]:
    """Return where a rule finds something."""
    return [f"{each.place.path}:{each.place.line}:{each.place.col}" for each in findings(rule, folder, files)]
