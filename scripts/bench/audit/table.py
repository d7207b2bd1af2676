"""The report of a run, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ..output import WIDTH, Bar, judged
from .result import OURS, Reached, Result
from .scoring import LEFT_OUT, RuleScore, Score

NAME, LABELS, CELL = 25, 5, 20
LEGEND = (
    "all: share of the labels found; repo: mean of the repositories' shares; prec: right reports of those that"
    " count; tr: traps stepped into; -: no report; *: not in the totals"
)


def render_table(result: Result, bars: Sequence[Bar]) -> str:
    """Return the whole report as text, at most 110 columns wide."""
    lines = [*_scores(result), "", *textwrap.wrap(LEGEND, WIDTH, subsequent_indent="  "), *_amended(result),
             *judged(bars), "", *_notes(result)]  # fmt: skip
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _scores(result: Result) -> Iterator[str]:
    yield " " * (NAME + LABELS) + "".join(name.rjust(CELL) for name in result.tools)
    yield "rule".ljust(NAME) + "n".rjust(LABELS) + "    all repo prec tr".rjust(CELL) * len(result.tools)
    ours = next(iter(result.tools.values())).raw
    for rule, found in ours.rules.items():
        name = f"{rule}{' *' if rule in LEFT_OUT else ''}"
        cells = [_cell(each.raw.rules[rule]) for each in result.tools.values()]
        yield name.ljust(NAME) + str(found.labels).rjust(LABELS) + "".join(cells)
    yield "all".ljust(NAME) + str(ours.total.labels).rjust(LABELS) + "".join(
        _cell(each.raw.total) for each in result.tools.values()
    )
    yield _times(result)


def _cell(rule: RuleScore) -> str:
    if not rule.right + rule.wrong and not rule.hit:
        return "-".rjust(CELL)
    shares = [_share(each) for each in (rule.recall, rule.macro, rule.precision)]
    return (" ".join(each.rjust(4) for each in shares) + str(rule.traps).rjust(3)).rjust(CELL)


def _share(value: float | None) -> str:
    if value is None:
        return "-"
    shown = f"{value:.2f}"
    if shown == "1.00" and value < 1:  # only what is whole may look whole
        shown = ".99"
    return shown.removeprefix("0") if value < 1 else "1.0"


def _times(result: Result) -> str:
    base = result.tools[OURS].total_seconds if OURS in result.tools else None
    line = "seconds".ljust(NAME + LABELS)
    for each in result.tools.values():
        ratio = f" x{each.total_seconds / base:.2f}" if base else ""
        line += f"{each.total_seconds:.1f}{ratio}".rjust(CELL)
    return line


def _amended(result: Result) -> Iterator[str]:
    """Yield what our amendments change, for each tool."""
    if not result.amendments:
        return
    yield ""
    yield f"with our {result.amendments} amendments to the labels"
    for name, reached in result.tools.items():
        changed = [rule for rule in reached.raw.rules if _changes(reached, rule)]
        for rule in changed:
            yield f"  {name}: {rule}: {_change(reached.raw, rule)} -> {_change(reached.amended, rule)}"


def _changes(reached: Reached, rule: str) -> bool:
    return reached.raw.rules[rule] != reached.amended.rules.get(rule, RuleScore(rule))


def _change(score: Score, rule: str) -> str:
    found = score.rules.get(rule, RuleScore(rule))
    macro, precision = _share(found.macro), _share(found.precision)
    return f"{found.hit} of {found.labels} (repo {macro}, prec {precision}, traps {found.traps})"


def _notes(result: Result) -> Iterator[str]:
    for name, reason in result.absent.items():
        yield f"without {name}: {reason}"
    yield "versions: " + ", ".join(f"{name} {each.version}" for name, each in result.tools.items())
    yield f"{result.repositories} repositories, one after the other; {result.date} with {result.command}"


def render_missed(result: Result) -> str:
    """Return the labels that ours missed, a line each."""
    missed = result.tools[OURS].raw.missed
    return "".join(f"missed {repo} {each.rule} {each.path}:{each.line} {each.note}\n" for repo, each in missed)


def render_wrong(result: Result) -> str:
    """Return ours' wrong reports, a line each."""
    wrong = result.tools[OURS].raw.wrong
    return "".join(f"wrong {each.repo} {each.rule} {each.path}:{each.line}\n" for each in wrong)
