"""What a run says: tables with their rows, notes, what is missing, what stops it; as text or JSON."""

from __future__ import annotations

import json
from typing import Any

from .ddl import create_table, extras
from .importing import Outcome
from .plan import Plan


def as_text(plan: Plan, outcome: Outcome | None, missing: list[str]) -> str:
    """Return the report for people."""
    lines = []
    for table in plan.tables:
        done = f", equal ({outcome.sums[table.name].checksum[:8]})" if outcome and outcome.committed else ""
        lines.append(f"{table.source.name}: {table.rows:,} rows{done}")
    lines += [f"note: {text}" for text in plan.notes]
    lines += [f"missing: {text}" for text in missing]
    lines += [f"problem: {text}" for text in plan.problems]
    return "\n".join(lines)


def as_json(plan: Plan, outcome: Outcome | None, missing: list[str]) -> str:
    """Return the same for programs."""
    tables: list[dict[str, Any]] = [
        {
            "source": table.source.name, "name": table.name, "rows": table.rows,
            "columns": {column.name: column.type for column in table.columns},
            "checksum": outcome.sums[table.name].checksum if outcome and table.name in outcome.sums else None,
        }
        for table in plan.tables
    ]  # fmt: skip
    found = {
        "committed": bool(outcome and outcome.committed), "tables": tables,
        "made": outcome.made if outcome else [], "notes": plan.notes,
        "missing": missing, "problems": plan.problems,
    }  # fmt: skip
    return json.dumps(found, indent=2, ensure_ascii=False)


def as_ddl(plan: Plan) -> str:
    """Return every statement that a run would give."""
    first = [f"{create_table(plan, table)};" for table in plan.tables]
    rest = [f"{extra.statement};" for extra in extras(plan) if extra.statement]
    return "\n".join([*first, *rest])
