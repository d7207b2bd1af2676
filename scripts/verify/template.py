"""The template database: schema, dump, set-up, the app's own tables, seeds, and rows for what is still empty.

Made once; both sides and all runs get copies of it. In this order: SQL files, a dump, the set-up command, one
import of the app (many apps make their tables then), seeds, generated rows.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ..audit.schema.script import ddl
from ..errors import CommandError
from ..init.repository import NOT_LOOKED_AT
from .databases import Databases
from .rows import TABLES, fill

INSIDE = Path(__file__).resolve().parent / "inside"
SUFFIXES = (".sql", ".psql", ".pgsql", ".ddl")
SETUP_SECONDS = 120


@dataclass(frozen=True)
class Wanted:
    """What the template is made of.

    Attributes:
        schema, seeds: files to load, in order; None for `schema` looks for SQL files in `folder`.
        dump: a dump to load; None for none.
        setup: a shell command; "" for none.
        seed_sql: SQL text.
        rows: generated for each table that stays empty; 0 for none.
        folder: the older version's code.
    """

    folder: Path
    schema: list[Path] | None = None
    dump: Path | None = None
    setup: str = ""
    seeds: list[Path] = field(default_factory=list)
    seed_sql: str = ""
    rows: int = 20


def build(
    databases: Databases, wanted: Wanted, environ: Callable[[str], dict[str, str]],
    imported: Callable[[str], object],
) -> tuple[str, list[str]]:  # fmt: skip
    """Make the template.

    Args:
        databases: the server.
        wanted: what it is made of.
        environ: returns the environment of the set-up command for a database's name.
        imported: imports the app once over a database.

    Returns:
        Its name, and notes for the report.

    Raises:
        CommandError: something could not be loaded, or there is no table at all.
    """
    name = databases.create("template")
    notes = _load_schema(databases, wanted, name)
    if wanted.dump is not None:
        databases.load(wanted.dump, name)
    if wanted.setup:
        _set_up(wanted, environ(name))
    imported(name)
    for file in wanted.seeds:
        notes += _load_or_note(databases, file, name)
    if wanted.seed_sql:
        databases.execute(wanted.seed_sql, name)
    with closing(databases.connect(name)) as conn:
        if not _has_tables(conn):
            raise CommandError(
                "the database has no table after all SQL files and an import of the app; give --schema FILE, "
                "--dump FILE or --setup COMMAND"
            )
        notes += fill(conn, wanted.rows) if wanted.rows else []
    return name, notes


def sql_files(folder: Path) -> list[Path]:
    """Return a repository's SQL files that make tables or fill them, those that make tables first."""
    making, filling = [], []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES or NOT_LOOKED_AT.intersection(parts) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if any(True for _ in ddl(text)):
            making.append(path)
        elif "insert into" in text.lower() or "\ncopy " in text.lower():
            filling.append(path)
    return [*making, *filling]


def _load_schema(databases: Databases, wanted: Wanted, name: str) -> list[str]:
    if wanted.schema is not None:
        return [note for file in wanted.schema for note in _load_or_note(databases, file, name)]
    if wanted.dump is not None or wanted.setup:
        return []
    return _load_found(databases, sql_files(wanted.folder), name)


def _load_found(databases: Databases, files: list[Path], name: str) -> list[str]:
    """Load files in whatever order the server takes them; of one that it never takes, what works."""
    waiting, refused = files, list[Path]()
    while waiting:
        refused = []
        for file in waiting:
            try:
                databases.load(file, name)
            except CommandError:
                refused.append(file)
        if len(refused) == len(waiting):
            break
        waiting = refused
    return [note for file in refused for note in _load_or_note(databases, file, name)]


def _load_or_note(databases: Databases, file: Path, name: str) -> list[str]:
    """Load a file, or what works of it: prototypes' scripts have statements that no server takes."""
    try:
        databases.load(file, name)
    except CommandError:
        errors = databases.load_what_works(file, name)
        return [f"{file.name}: {len(errors)} statements failed, the first with: {errors[0]}"] if errors else []
    return []


def _set_up(wanted: Wanted, environ: dict[str, str]) -> None:
    python_path = os.pathsep.join(filter(None, (str(INSIDE), environ.get("PYTHONPATH", ""))))
    try:
        done = subprocess.run(
            wanted.setup, shell=True, cwd=wanted.folder, env={**environ, "PYTHONPATH": python_path},
            capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=SETUP_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandError(f"the set-up command did not end within {SETUP_SECONDS} s: {wanted.setup}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise CommandError(f"the set-up command {wanted.setup!r} ended with code {done.returncode}: {last}")


def _has_tables(conn: object) -> bool:
    with conn.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(TABLES)
        return cursor.fetchone() is not None
