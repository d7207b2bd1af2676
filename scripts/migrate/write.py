"""`harden migrate write`: the doctor's advice as SQL files, and as Alembic revisions where there are some."""

from __future__ import annotations

import argparse
import hashlib
import re
from pathlib import Path

from ..arguments import seconds_for
from ..atomic import write_atomically
from ..doctor.command import add_database
from ..errors import CommandError
from ..progress import Progress
from . import alembic_chain, alembic_revision
from .changes import Wanted, from_database, from_file
from .folder import names_in, text_of
from .sqltext import KINDS, LOCK_TIMEOUT, STATEMENT_TIMEOUT, Timeouts, Unfit, files_of
from .statements import Statement, read

SUMMARY = "write what the doctor advises as SQL, up and down, and as Alembic revisions"
EXAMPLES = """\
examples:
  scripts/harden migrate write --dsn "$DATABASE_URL" --code .
  scripts/harden migrate write --from doctor.json --out migrations
  scripts/harden migrate write --from doctor.json --select H501 --alembic no
"""
_VERBS = {"create index": "create", "drop index": "drop", "rebuild index": "rebuild",
          "validate constraint": "validate"}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.usage = "scripts/harden migrate write [--dsn DSN | --from FILE] [--out FOLDER] ..."
    parser.epilog = EXAMPLES
    parser.add_argument("--from", dest="source", metavar="FILE", type=Path,
                        help="a doctor's report (JSON), in place of looking")  # fmt: skip
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("migrations"),
                        help="(default: migrations)")  # fmt: skip
    parser.add_argument("--select", metavar="RULES", type=_words, default=[], help="these only: H501,H5")
    parser.add_argument("--alembic", choices=("auto", "yes", "no"), default="auto",
                        help="revisions too (default: auto, where there is an alembic.ini)")  # fmt: skip
    parser.add_argument("--lock-timeout", metavar="S", type=seconds_for("a lock", 0.1, 3600), default=LOCK_TIMEOUT,
                        help=f"(default: {LOCK_TIMEOUT:g})")  # fmt: skip
    parser.add_argument("--statement-timeout", metavar="S", type=seconds_for("a statement", 1, 864000),
                        default=STATEMENT_TIMEOUT, help=f"(default: {STATEMENT_TIMEOUT:g})")  # fmt: skip
    add_database(parser)


def _words(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def run(options: argparse.Namespace) -> int:
    """Write; returns the exit code."""
    root = options.code or Path()
    chain = alembic_chain.found(root if root.is_dir() else root.parent, options.alembic)  # refused before looking
    wanted = from_file(options.source, options.select) if options.source else from_database(options)
    timeouts = Timeouts(options.lock_timeout, options.statement_timeout)
    written, left = _written(wanted, options.out, timeouts)
    for name in written:
        print(options.out / f"{name}.up.sql")
    if chain is not None:
        for path in _revisions(wanted, chain, timeouts):
            print(path)
    for change, reason in left:
        print(f"by hand ({reason}): {'; '.join(change.up)};")
        print(f"    {change.reasons[0]}")
    Progress()(f"{len(written)} written, {len(wanted) - len(written) - len(left)} there before, "
               f"{len(left)} by hand")  # fmt: skip
    return 0


Left = list[tuple[Wanted, str]]


def _written(wanted: list[Wanted], folder: Path, timeouts: Timeouts) -> tuple[list[str], Left]:
    """Write pairs for what the folder has not yet; return their names, and what has to be done by hand."""
    names = names_in(folder) if folder.is_dir() else []
    known = {_deeds(read(text_of(folder / f"{name}.up.sql"), name)): name for name in names}
    number = int(names[-1].partition("_")[0]) if names else 0
    texts: dict[str, tuple[str, str]] = {}
    left: Left = []
    for change in wanted:
        try:
            pair = pair_of(change, timeouts)
        except Unfit as error:
            left.append((change, str(error)))
            continue
        deeds = _deeds(read(pair[0], change.name))
        if deeds in known:
            continue
        number += 1
        name = f"{number:04d}_{slug(change)}"
        known[deeds] = name
        texts[name] = pair
    _save(folder, texts)
    return list(texts), left


def _save(folder: Path, texts: dict[str, tuple[str, str]]) -> None:
    if not texts:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (up, down) in texts.items():
            write_atomically(folder / f"{name}.down.sql", down)  # first: an .up.sql never lacks its way back
            write_atomically(folder / f"{name}.up.sql", up)
    except OSError as error:
        raise CommandError(str(error)) from None


def pair_of(change: Wanted, timeouts: Timeouts) -> tuple[str, str]:
    """Return the texts of both files of a change.

    Raises:
        Unfit: it has to be done by hand.
    """
    if change.kind not in KINDS:
        raise Unfit(f"no migration for {change.kind!r}")
    pair = files_of(change.kind, change.up, change.down, change.reasons, change.probes, timeouts)
    try:
        for text in pair:
            read(text, change.name)
    except CommandError as error:
        raise Unfit(str(error)) from None
    return pair


def _deeds(statements: tuple[Statement, ...]) -> tuple[str, ...]:
    """Return what tells changes apart: statements without timeouts and checks."""
    return tuple(each.text for each in statements if each.kind in KINDS)


def slug(change: Wanted) -> str:
    """Return a file's words: the deed and the thing, in ASCII; eight digits of a hash for what has no letters."""
    name = re.sub(r"[^a-z0-9]+", "_", change.name.lower().rpartition(".")[2]).strip("_")[:60].rstrip("_")
    return f"{_VERBS[change.kind]}_{name or hashlib.sha256(change.name.encode()).hexdigest()[:8]}"


def _revisions(wanted: list[Wanted], chain: alembic_chain.Chain, timeouts: Timeouts) -> list[Path]:
    """Write a revision for each change that the chain has not yet; return their files."""
    head, made = chain.head, []
    for change in wanted:
        try:
            up, down = (read(text, change.name) for text in pair_of(change, timeouts))
        except Unfit:
            continue
        mark = hashlib.sha256("\0".join(_deeds(up)).encode()).hexdigest()[:16]
        if mark in chain.marks:
            continue
        revision = hashlib.sha256(f"{head}\0{mark}".encode()).hexdigest()[:12]
        text = alembic_revision.text_of(revision, head, mark, change, up, down)
        path = chain.folder / f"{revision}_{slug(change)}.py"
        try:
            write_atomically(path, text)
        except OSError as error:
            raise CommandError(str(error)) from None
        made.append(path)
        head = revision
    return made
