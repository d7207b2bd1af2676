"""What a rule is, in words: for `--explain`, `--list-rules` and docs/audit-rules.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ..rule import Rule

WIDTH = 100


def listed(rules: Iterable[Rule]) -> str:
    """Return a line for each rule."""
    rules = list(rules)
    width = max(len(rule.name) for rule in rules)
    return "".join(
        f"{rule.id}  {rule.name:<{width}}  {rule.severity.name:<8}  {_first(rule.finds)}\n" for rule in rules
    )


def explained(rule: Rule) -> str:
    """Return all that is known of a rule."""
    alone = "\n".join(_wrapped(f"- {each}", "  ") for each in rule.leaves_alone)
    parts = [
        f"{rule.id} {rule.name} [{rule.severity.name}]",
        _wrapped(rule.finds),
        f"why:\n{_wrapped(rule.why)}",
        f"what to do:\n{_wrapped(rule.fix)}",
        f"left alone:\n{alone}",
        *(f"{word}:\n{textwrap.indent(code.rstrip(), '    ')}" for word, code in _examples(rule)),
        rule.ignoring.format(id=rule.id),
    ]
    return "\n\n".join(parts) + "\n"


def page(rules: Sequence[Rule]) -> str:
    """Return the rules as Markdown, the table first."""
    rows = ["| ID | rule | severity | finds |", "| --- | --- | --- | --- |"]
    rows += [_row(rule) for rule in rules]
    return "\n".join([*rows, *("\n" + _section(rule) for rule in rules)])


def _row(rule: Rule) -> str:
    link = f"[{rule.name}](#{rule.id.lower()}-{rule.name})"
    return f"| {rule.id} | {link} | {rule.severity.name} | {_cell(rule.finds)} |"


def _section(rule: Rule) -> str:
    alone = "\n".join(f"- {each}" for each in rule.leaves_alone)
    shown = "".join(
        f"\n\n{word.capitalize()}:\n\n```{rule.language}\n{code.strip()}\n```" for word, code in _examples(rule)
    )
    return (
        f"## {rule.id} {rule.name}\n\n{rule.finds}\n\n**Why.** {rule.why}\n\n**What to do.** {rule.fix}\n\n"
        f"**Left alone.**\n\n{alone}{shown}"
    )


def _examples(rule: Rule) -> list[tuple[str, str]]:
    return [(word, code) for word, code in (("reported", rule.example), ("instead", rule.instead)) if code]


def _wrapped(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first(text: str) -> str:
    """Return the first sentence, as a list has room for."""
    return textwrap.shorten(text.partition(". ")[0], WIDTH, placeholder=" ...")
