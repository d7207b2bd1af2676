"""Fills templates in: strict about undefined names, the same bytes for the same inputs, atomic writes.

Knows how to render and write, not what the values should be: that is `inputs.py`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2

from .inputs import PgBouncer
from .quoting import double_quoted, single_quoted

ROOT = Path(__file__).resolve().parent.parent


def environment(folder: Path, **options: Any) -> jinja2.Environment:
    """Return what fills a folder's templates in: strict about undefined names, the same bytes for the same values.

    Args:
        folder: of the templates.
        **options: more of jinja2's.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # not HTML; every value is checked or quoted for its file
        **options,
    )


def pgbouncer_environment() -> jinja2.Environment:
    """Return what fills PgBouncer's templates in."""
    made = environment(ROOT / "pgbouncer" / "templates")
    made.filters.update(ini_value=single_quoted, user_name=double_quoted, sql_text=single_quoted)
    return made


def render_pgbouncer(inputs: PgBouncer) -> dict[str, str]:
    """Return pgbouncer.ini and userlist.txt by name; both hold what only PgBouncer may read."""
    templates = pgbouncer_environment()
    values = asdict(inputs)
    return {
        name: templates.get_template(f"{name}.j2").render(values) for name in ("pgbouncer.ini", "userlist.txt")
    }


def write_files(
    folder: Path, files: Mapping[str, str], mode: int = 0o600, owner: tuple[int, int] | None = None
) -> None:
    """Write files into a folder, each whole or not at all, never readable by others meanwhile.

    Args:
        folder: must exist.
        files: texts by name.
        mode: permission bits.
        owner: user and group id; the process's own when None.

    Raises:
        OSError: a file could not be written.
    """
    for name, text in files.items():
        handle, place = tempfile.mkstemp(prefix=f".{name}.", dir=folder)  # 0600 from the start
        temporary = Path(place)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(mode)
            if owner is not None:
                os.chown(temporary, *owner)
            temporary.replace(folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
