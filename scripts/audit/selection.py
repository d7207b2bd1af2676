"""Which rules a word means: a slug, an ID, or the beginning of IDs (`H2`).

The same words stand in `--select`, `--ignore`, `--explain` and in `# harden: ignore[...]`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from ..errors import CommandError
from .rule import Rule


def named(word: str, rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules that a word stands for; none when it stands for nothing."""
    is_prefix = re.fullmatch(r"[Hh]\d{0,3}", word) is not None
    return [
        rule for rule in rules if word.lower() == rule.name or (is_prefix and rule.id.startswith(word.upper()))
    ]


def chosen(rules: Sequence[Rule], select: Sequence[str], ignore: Sequence[str]) -> tuple[Rule, ...]:
    """Return the selected rules (all of them when none is selected) without the ignored ones.

    Raises:
        CommandError: A word stands for no rule, or none is left.
    """
    wanted = [rule for word in select for rule in known(word, rules)] if select else list(rules)
    dropped = [rule.id for word in ignore for rule in known(word, rules)]
    left = tuple(rule for rule in rules if rule in wanted and rule.id not in dropped)
    if not left:
        raise CommandError("--select and --ignore leave no rule; see --list-rules")
    return left


def known(word: str, rules: Sequence[Rule]) -> list[Rule]:
    """Return what a word stands for.

    Raises:
        CommandError: It stands for no rule; the closest name is said.
    """
    found = named(word, rules)
    if not found:
        raise CommandError(f"there is no rule {word!r}{closest(word, rules)}; see --list-rules")
    return found


def closest(word: str, rules: Iterable[Rule]) -> str:
    """Return the name that was probably meant, as " (did you mean ...?)"; empty when none is near."""
    names = {each: each for rule in rules for each in (rule.name, rule.id)}
    near = difflib.get_close_matches(word.lower(), [*names, *(each.lower() for each in names)], 1)
    return f" (did you mean {near[0]}?)" if near else ""
