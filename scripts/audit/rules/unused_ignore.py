"""H902: a comment that ignores nothing, or does not say why.

The check finds the comments without a reason; those that hit nothing are found by `run.py`, which alone knows what
the other rules found.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding, Severity
from ..ignores import ignores
from ..model.project import Project
from ..rule import Rule


def _check(project: Project) -> Iterator[Finding]:
    for each in ignores(project):
        if not each.words:
            yield RULE.at(each.place, "this comment names no rule: write ignore[RULE] and the reason")
        elif not each.reason:
            yield RULE.at(each.place, f"{', '.join(each.words)} is ignored without a reason")


_READ = (
    "import psycopg2.extras\n\n\ndef read(cursor, column):\n"
    '    cursor.execute(f"SELECT * FROM users ORDER BY {{column}} LIMIT 20")  {}\n'
)
RULE = Rule(
    id="H902",
    name="unused-ignore",
    finds="A `harden: ignore[...]` comment that hits nothing, names no rule that there is, or gives no reason.",
    why="A comment that outlives its finding hides the next one on that line; one without a reason cannot be"
    " judged by whoever reads it in a year.",
    fix="Take the comment away, or write behind the bracket why the finding may stay.",
    leaves_alone=(
        "Comments for rules that this run did not select.",
        "`# noqa` and `# nosec`, which are others' comments.",
    ),
    severity=Severity.low,
    check=_check,
    example=_READ.format("# harden: ignore[H301]"),
    instead=_READ.format("# harden: ignore[H301] the caller has it from a list of ours"),
)
