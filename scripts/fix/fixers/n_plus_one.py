"""Announces what a loop over rows is going to ask, so that it is asked once: only the loop's header changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...audit.model.code import Loop
from ...audit.model.project import Project
from ...audit.rules.batch_advice import kind
from ...audit.rules.repetition import Repeat, repeats
from ..fixer import Change, Context, Edit, Fixer, Import, Left
from ..loops.batches import batched
from ..loops.heads import NAME, Head
from ..loops.layout import Pair, code, wrapped
from ..loops.naming import Names
from ..loops.plan import Plan, Planner, Said
from ..loops.suggestions import suggestion

RULES = ("n-plus-one", "query-in-loop")
WRITTEN = ("INSERT", "UPDATE", "DELETE", "MERGE")
ONLY_WRITES = "each turn writes, and the loop is no single execute of a constant text with its row's values"
NO_KIT = "the runtime is not there; vendor it first (`harden vendor`)"


@dataclass
class _Group:
    """Findings whose loops' headers change together."""

    plans: list[Plan] = field(default_factory=list)
    heads: dict[Loop, Head] = field(default_factory=dict)
    said: dict[Loop, Said] = field(default_factory=dict)


def _fix(context: Context) -> Iterator[Change | Left]:
    planner, found = Planner(context.project), _by_place(context.project)
    groups: list[_Group] = []
    for finding in context.of(*RULES):
        repeat = found.get((finding.place.path, finding.place.line, finding.place.col))
        if repeat is None:
            yield Left(finding, "it calls itself; each level needs the one before", suggestion(finding, None))
            continue
        batch = batched(context, finding, repeat)
        if isinstance(batch, Change):
            yield batch
            continue
        if batch:
            yield Left(finding, batch, suggestion(finding, repeat))
            continue
        if all(kind(each) in WRITTEN for each in repeat.queries):
            yield Left(finding, ONLY_WRITES, suggestion(finding, repeat))
            continue
        plan = planner.plan(finding, repeat)
        if plan.heads and context.kit:
            _join(groups, plan)
        else:
            yield Left(finding, _why(plan, context.kit), suggestion(finding, repeat))
    names = Names(context)
    for group in groups:
        yield _change(context, group, names)


def _by_place(project: Project) -> dict[tuple[str, int, int], Repeat]:
    return {(each.place.path, each.place.line, each.place.col): each for each in repeats(project)}


def _why(plan: Plan, kit: str) -> str:
    if plan.heads and not kit:
        return NO_KIT
    return _reasons(plan) or "nothing of it can be said in advance"


def _reasons(plan: Plan) -> str:
    return "; ".join(f"{name}: {reason}" if name else reason for name, reason in plan.reasons.items())


def _join(groups: list[_Group], plan: Plan) -> None:
    """Put a plan to those that change one of its headers."""
    same = [each for each in groups if each.heads.keys() & plan.heads.keys()]
    group = _Group()
    for each in same:
        groups.remove(each)
        group.plans += each.plans
        _merge(group, each.heads, each.said)
    group.plans.append(plan)
    _merge(group, plan.heads, plan.said)
    groups.append(group)


def _merge(group: _Group, heads: dict[Loop, Head], said: dict[Loop, Said]) -> None:
    group.heads |= heads
    for loop, each in said.items():
        group.said.setdefault(loop, {}).update(each)


def _change(context: Context, group: _Group, names: Names) -> Change:
    edits: dict[Edit, None] = {}
    for loop, head in group.heads.items():
        edits.update(dict.fromkeys(_edits(context, head, group.said[loop], names)))
    findings = tuple(each.finding for each in group.plans)
    place = findings[0].place
    needed = (Import(place.path, context.kit, NAME),)
    return Change(findings, place, _title(group), _at_one_place(edits), imports=needed, note=_note(group))


def _edits(context: Context, head: Head, said: Said, names: Names) -> Iterator[Edit]:
    module = head.loop.function.module
    source = context.source(module.path)
    pairs = []
    for each in said.values():
        sql, made = names.name(head.loop.function, each, head.rows)
        if made is not None:
            yield made
        pairs.append(Pair(sql, f"lambda {head.parameter}: {code(each.values, source)}"))
    before, behind = wrapped(source, head.rows, pairs)
    start, end = source.span(head.rows)
    yield Edit(module.path, start, start, before)
    yield Edit(module.path, end, end, behind)


def _at_one_place(edits: dict[Edit, None]) -> tuple[Edit, ...]:
    """Join the edits that stand at one place."""
    found: dict[tuple[str, int, int], list[str]] = {}
    for each in edits:
        found.setdefault((each.path, each.start, each.end), []).append(each.text)
    return tuple(Edit(*place, _joined(texts)) for place, texts in found.items())


def _joined(texts: list[str]) -> str:
    """Return lines for one place: definitions without the space between them that follows the last."""
    return "".join([*(each.rstrip("\n") + "\n" for each in texts[:-1]), texts[-1]])


def _title(group: _Group) -> str:
    count = sum(len(each) for each in group.said.values())
    what = "a statement is" if count == 1 else f"{count} statements are"
    return f"{what} asked once for all turns of the loop, before they are needed"


def _note(group: _Group) -> str:
    parts = []
    if any(plan.repeat.depth > 1 and plan.repeat.loop in plan.heads for plan in group.plans):
        parts.append("What the inner loop asks is asked once for each turn of the outer one.")
    said = [each for one in group.said.values() for each in one.values()]
    helpers = sorted({f"{each.helper}()" for each in said if each.is_own})
    if helpers:
        parts.append(f"The header repeats SQL of {', '.join(helpers)}; change both together.")
    left = [_reasons(plan) for plan in group.plans if plan.reasons]
    if left:
        parts.append(f"Still sent in each turn: {'; '.join(left)}.")
    return " ".join(parts)


FIXER = Fixer(
    rules=RULES,
    title="Announces in a loop's header what its turns are going to ask, so that it is asked once; writes are sent"
    " in batches.",
    stage=5,
    leaves_alone=(
        "Loops that write: what was asked in advance is forgotten at each write.",
        "Statements whose text or values depend on what the same turn asked before.",
        "`while` loops, `map`, generators, rows of a DataFrame, a cursor that is read and executed on at once.",
        "Functions that call themselves: one `WITH RECURSIVE` query answers those.",
        "Statements that lock, write, answer anew each time, or call functions that may write.",
    ),
    fix=_fix,
)
