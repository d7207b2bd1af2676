"""An Alembic revision that does as the SQL files do, invalid leftovers included, without this kit at hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .alembic_chain import MARK
from .changes import Wanted
from .statements import Statement

_TEMPLATE = '''\
{docstring}

from __future__ import annotations

from alembic import op

# {mark}
revision = {revision!r}
down_revision = {below!r}
branch_labels = None
depends_on = None

UP = [
{up}]
DOWN = [
{down}]


def upgrade() -> None:
    """The change."""
    _run(UP)


def downgrade() -> None:
    """The way back."""
    _run(DOWN)


def _run(statements: list[tuple[str, str]]) -> None:
    """Run statements outside a transaction, which CONCURRENTLY asks for.

    Each comes with the index that it makes: when a build was cancelled, an invalid one stands in its place, which
    IF NOT EXISTS would take for done.
    """
    with op.get_context().autocommit_block():
        for statement, index in statements:
            if index and not op.get_context().as_sql and _is_invalid(index):
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {{index}}")
            op.execute(statement)
        op.execute("RESET lock_timeout")
        op.execute("RESET statement_timeout")


def _is_invalid(index: str) -> bool:
    name = index.replace("\\\\:", ":").replace("'", "''")
    found = op.get_bind().exec_driver_sql(
        "SELECT 1 FROM pg_catalog.pg_index WHERE NOT indisvalid AND indexrelid = pg_catalog.to_regclass("
        f"'{{name}}')".replace("%", "%%")
    )
    return found.first() is not None
'''


def text_of(revision: str, below: str | None, mark: str, change: Wanted, up: Sequence[Statement],
            down: Sequence[Statement]) -> str:  # fmt: skip
    """Return a revision's file.

    Args:
        below: the revision before it; None for the first.
        mark: tells this change from others.
        up, down: as the SQL files have them.
    """
    title = f"{change.kind} {change.name}"
    lines = [title, "", f"Revision ID: {revision}", f"Revises: {below or ''}", "", *change.reasons,
             "Written by scripts/harden migrate write."]  # fmt: skip
    return _TEMPLATE.format(
        docstring=_docstring([" ".join(each.split()) for each in lines]), mark=f"{MARK} {mark}", revision=revision,
        below=below, up=_listed(up), down=_listed(down),
    )  # fmt: skip


def _docstring(lines: list[str]) -> str:
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{text}\n"""'


def _listed(statements: Sequence[Statement]) -> str:
    kept = [each for each in statements if each.kind not in ("begin", "commit")]
    return "".join(
        f"    ({_escaped(each.text.replace('SET LOCAL', 'SET'))!r}, {_made(each)!r}),\n" for each in kept
    )


def _made(statement: Statement) -> str:
    return _escaped(statement.full) if statement.kind == "create index" else ""


def _escaped(text: str) -> str:
    """Return SQL for SQLAlchemy's text(), to which `:word` is a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", text)
