"""pgbench on our statement: what PostgreSQL itself delivers on this machine, with nobody parsing or serving it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from psycopg2.extensions import parse_dsn

from ...errors import CommandError
from ...stack.binaries import Binaries
from ...stack.child import clean_environment
from ...stack.runfolder import RunFolder

RATE = re.compile(r"^tps = ([0-9.]+) \(without", re.MULTILINE)


class PgBench:
    """One statement under pgbench's load.

    Args:
        program: pgbench.
        run: the folder of the run.
        dsn: the database.
        statement: with `%(id)s`.
        ids: the first and the last customer to ask for.
    """

    def __init__(self, program: Path, run: RunFolder, dsn: str, statement: str, ids: tuple[int, int]) -> None:
        self._program = program
        self._file = run.path / "statement.pgbench"
        text = " ".join(statement.replace("%(id)s", ":id").replace("%%", "%").split())
        self._file.write_text(f"\\set id random({ids[0]}, {ids[1]})\n{text};\n", encoding="utf-8")
        where = parse_dsn(dsn)
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
                 "dbname": "PGDATABASE"}  # fmt: skip
        self._environ = clean_environment(run, {names[name]: where[name] for name in names})

    def rate(self, seconds: float, clients: int, threads: int) -> float:
        """Return statements a second by the simple protocol, connecting aside.

        Raises:
            CommandError: pgbench failed.
        """
        command = [
            str(self._program), "--no-vacuum", "--protocol", "simple", "--client", str(clients),
            "--jobs", str(threads), "--time", str(max(1, round(seconds))), "--file", str(self._file),
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, env=self._environ
        )
        found = RATE.search(done.stdout)
        if done.returncode or found is None:
            last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
            raise CommandError(f"pgbench failed: {last}")
        return float(found[1])


def find_pgbench(binaries: Binaries) -> Path | None:
    """Return pgbench, which comes with most servers; None where it did not."""
    beside = binaries.postgres / "pgbench"
    if beside.exists():
        return beside
    found = shutil.which("pgbench")
    return Path(found) if found else None
