"""Runs fixers over a working copy of a repository, stage by stage, until nothing changes.

The repository itself is only read. In each pass the copy is audited, the stage's fixers answer, and the changes
that do not collide are made if their files pass `checks.py`; what collides waits for the next pass. A change that
its finding survives is taken back. Same repository, same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..audit.finding import Finding, Place
from ..audit.model.build import build
from ..audit.rules import RULES, broken_file, unused_ignore
from ..audit.run import Result as Audit
from ..audit.run import deep, examined
from .apply import collide
from .checks import Refused
from .fixer import Change, Context, Fixer, Left
from .kit import kit_name
from .merge import make
from .result import Changed, Result
from .tree import Tree, working_copy

STAGES = (1, 2, 3, 4, 5)
ROUNDS = 3  # of all stages; a later stage rarely makes work for an earlier one
PASSES = 25  # of a stage
Key = tuple[str, str, int]  # rule, path, line in the repository's file


@dataclass(frozen=True)
class Options:
    """What is fixed.

    Attributes:
        fixers: Those that look.
        rules: The slugs whose findings are answered; all when empty.
        kit: What the vendored runtime is imported as; found when empty.
        is_unsafe: Whether changes are made that may change answers.
        exclude: Patterns of relative paths that nobody looks at.
    """

    fixers: Sequence[Fixer]
    rules: frozenset[str] = frozenset()
    kit: str = ""
    is_unsafe: bool = False
    exclude: tuple[str, ...] = ()


def fix(root: Path, options: Options, say: Callable[[str], None] = lambda _: None) -> Result:
    """Return what the fixers make of a repository; nothing is written to it.

    Args:
        say: Told what is under way.

    Raises:
        OSError: The repository cannot be read.
    """
    with working_copy(root, options.exclude) as tree, deep():
        run = _Run(tree, options, say)
        for _ in range(ROUNDS):
            changed = [number for number in STAGES if run.stage(number)]
            if not changed:
                break
        return run.result()


@dataclass
class _Answers:
    """What the fixers say of one pass: what can be made at once, what cannot, and the findings of both."""

    now: list[Change] = field(default_factory=list)
    unsafe: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


class _Run:
    def __init__(self, tree: Tree, options: Options, say: Callable[[str], None]) -> None:
        self._tree, self._options, self._say = tree, options, say
        self._made: list[Change] = []
        self._banned: set[Key] = set()
        self._seen: tuple[Context, Audit] | None = None

    def stage(self, number: int) -> bool:
        """Run a stage until nothing changes; returns whether anything did."""
        fixers = [each for each in self._options.fixers if each.stage == number]
        if not fixers:
            return False
        before, count = self._tree.snapshot(), len(self._made)
        while survivors := self._passes(fixers, number):
            self._banned |= survivors
            self._tree.restore(before)
            self._seen = None
            del self._made[count:]
        return len(self._made) > count

    def _passes(self, fixers: Sequence[Fixer], number: int) -> set[Key]:
        """Make changes until none is left; returns the findings that survived theirs, and were not banned."""
        allowed: Counter[Key] | None = None
        done: Counter[Key] = Counter()
        for count in range(1, PASSES + 1):
            self._say(f"stage {number} of {len(STAGES)}, pass {count}")
            context = self._look()[0]
            if allowed is None:
                allowed = Counter(map(self._key, context.findings))
            answers = self._answers(fixers)
            known = {id(each): self._as_before(each) for each in answers.now}  # lines move when changes are made
            keys = {id(each): {self._key(finding) for finding in each.findings} for each in answers.now}
            made = self._make(context, answers.now)
            if not made:
                return set()
            self._seen = None
            self._made += [known[id(each)] for each in made]
            last = {key for each in made for key in keys[id(each)]}
            done.update(last)
            survivors = {key for key in last if done[key] > max(2, allowed[key] + 1)}
            if survivors or count == PASSES:
                return survivors or last
        return set()

    def _look(self) -> tuple[Context, Audit]:
        """Return what fixers look at, for the copy as it is now."""
        if self._seen is None:
            project = build(self._tree.root, self._options.exclude)
            project.origin = self._tree.origin
            audit = examined(project, RULES)
            kit = self._options.kit or kit_name(project, self._tree.root)
            self._seen = Context(self._tree.root, project, audit.findings, kit), audit
        return self._seen

    def _answers(self, fixers: Iterable[Fixer]) -> _Answers:
        """Ask fixers about the copy as it is now."""
        context = self._look()[0]
        found = _Answers()
        for fixer in fixers:
            for answer in _asked(fixer, context):
                if isinstance(answer, Left):
                    if self._is_wanted(answer.finding):
                        found.left.append(answer)
                elif not any(map(self._is_wanted, answer.findings)):
                    continue
                elif any(self._key(each) in self._banned for each in answer.findings):
                    reason = "the change would not make the finding go away"
                    found.left += [Left(each, reason) for each in answer.findings]
                elif answer.is_safe or self._options.is_unsafe:
                    found.now.append(answer)
                else:
                    found.unsafe.append(answer)
        found.now.sort(key=_order)
        found.unsafe.sort(key=_order)
        return found

    def _make(self, context: Context, changes: Sequence[Change], left: list[Left] | None = None) -> list[Change]:
        """Make what does not collide and passes; refusals are added to `left`."""
        chosen: list[Change] = []
        for change in changes:
            if not collide(change, chosen):
                chosen.append(change)
        if not chosen or self._is_made(context, chosen):
            return chosen
        alone = [each for each in chosen if self._is_tried(context, [each], left)]
        if not alone or self._is_made(context, alone):
            return alone
        made: list[Change] = []
        for change in alone:  # two of them do not go together
            if self._is_tried(context, [*made, change], left):
                made.append(change)
        return made if self._is_made(context, made) else []

    def _is_tried(self, context: Context, changes: Sequence[Change], left: list[Left] | None) -> bool:
        """Whether changes pass; nothing is changed."""
        before = self._tree.snapshot()
        is_made = self._is_made(context, changes, left)
        self._tree.restore(before)
        return is_made

    def _is_made(self, context: Context, changes: Sequence[Change], left: list[Left] | None = None) -> bool:
        try:
            make(self._tree, context, changes)
        except Refused as refused:
            if left is not None:
                left += [Left(each, f"the change was refused: {refused}") for each in changes[-1].findings]
            return False
        return True

    def result(self) -> Result:
        """Ask everybody once more, for what is left."""
        context, audit = self._look()
        answers = self._answers(self._options.fixers)
        before = self._tree.snapshot()
        left = answers.left
        again = self._make(context, answers.now, left)
        self._tree.restore(before)
        left += [Left(each, "more can be done here in another run") for one in again for each in one.findings]
        told = {each.finding for each in left} | {each for one in answers.unsafe for each in one.findings}
        left += [_unanswered(each) for each in context.findings if self._is_wanted(each) and each not in told]
        left = sorted(dict.fromkeys(left), key=lambda each: (each.finding.place, each.finding.rule, each.reason))
        return Result(self._changed(), tuple(sorted(self._made, key=_order)), tuple(left), tuple(answers.unsafe),
                      context.kit, audit, dict(self._tree.lines))  # fmt: skip

    def _changed(self) -> tuple[Changed, ...]:
        found = [Changed(path, before, self._tree.read(path) or b"") for path, before in self._tree.before.items()]
        return tuple(sorted((each for each in found if each.before != each.after), key=lambda each: each.path))

    def _is_wanted(self, finding: Finding) -> bool:
        return not self._options.rules or finding.name in self._options.rules

    def _key(self, finding: Finding) -> Key:
        return finding.name, finding.place.path, self._tree.line(finding.place.path, finding.place.line)

    def _as_before(self, change: Change) -> Change:
        """Return a change with its place in the repository's file."""
        place = change.place
        line, end = (self._tree.line(place.path, each) for each in (place.line, place.end_line))
        return replace(change, place=replace(place, line=line, end_line=max(line, end)))


def _asked(fixer: Fixer, context: Context) -> list[Change | Left]:
    """Return a fixer's answers; one that fails leaves its findings alone."""
    try:
        return list(fixer.fix(context))
    except Exception as error:
        reason = f"the fixer failed here ({type(error).__name__})"
        return [Left(each, reason) for each in context.of(*fixer.rules)]


def _unanswered(finding: Finding) -> Left:
    is_ours = finding.rule in (broken_file.RULE.id, unused_ignore.RULE.id)
    return Left(finding, finding.message if is_ours else f"no automatic fix: {finding.fix}")


def _order(change: Change) -> tuple[Place, str, tuple[str, ...]]:
    return change.place, change.title, tuple(each.text for each in change.edits)
