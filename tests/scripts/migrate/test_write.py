"""`harden migrate write`: files that psql runs and squawk passes, written once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import cli

from .conftest import DROP, INDEX, Shop, change, report

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
GIN = """CREATE INDEX CONCURRENTLY orders_lower_idx ON public.orders USING gin (lower(status) gin_trgm_ops)
    WHERE status <> 'done'"""
KINDS = [
    change(probes=["SELECT id FROM public.orders WHERE customer_id = $1"]),
    change(up=GIN, down="DROP INDEX public.orders_lower_idx", name="public.orders_lower_idx"),
    change(up='CREATE UNIQUE INDEX CONCURRENTLY "it\'s ""q" ON "Wü"."T" ("a b" DESC NULLS LAST) INCLUDE (c)',
           down='DROP INDEX "Wü"."it\'s ""q"', name='"Wü"."it\'s ""q"', table='"Wü"."T"'),
    change("drop index", up="DROP INDEX public.old_idx", name="public.old_idx",
           down="CREATE INDEX CONCURRENTLY old_idx ON public.orders (status)"),
    change("rebuild index", up="REINDEX INDEX public.orders_pkey", down="", name="public.orders_pkey"),
    change("validate constraint", up="ALTER TABLE public.orders VALIDATE CONSTRAINT fk", down="", name="fk"),
]  # fmt: skip


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_files_of_an_index(write: Write) -> None:
    folder = write()
    assert _names(folder) == [f"0001_create_orders_customer_id_idx.{way}.sql" for way in ("down", "up")]
    assert (
        (folder / "0001_create_orders_customer_id_idx.up.sql").read_text()
        == f"""\
-- Written by scripts/harden migrate write.
-- H501 missing-foreign-key-index at public.orders: orders.customer_id refers to customers and has no index
-- Not inside a transaction: CONCURRENTLY is refused there.

-- Waits behind older transactions; readers and writers do not wait for it, other DDL and VACUUM do.
SET lock_timeout = '60s';
-- Large tables take hours; a role's own limit would cancel it.
SET statement_timeout = '14400s';

{INDEX};
DO $check$
BEGIN
    IF NOT (SELECT indisvalid FROM pg_catalog.pg_index
            WHERE indexrelid = 'public.orders_customer_id_idx'::pg_catalog.regclass) THEN
        RAISE EXCEPTION 'public.orders_customer_id_idx is invalid; DROP INDEX CONCURRENTLY it, and run this again';
    END IF;
END
$check$;
"""
    )
    assert f"{DROP};\n" in (folder / "0001_create_orders_customer_id_idx.down.sql").read_text()


def test_squawk_passes_on_every_kind_of_file(write: Write) -> None:
    squawk = shutil.which("squawk", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if squawk is None:
        pytest.skip("squawk is not installed (pip install squawk-cli)")
    folder = write(*KINDS)
    files = [folder / name for name in _names(folder)]
    assert len(files) == 2 * len(KINDS)
    done = subprocess.run([squawk, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_indexes_are_made_before_any_is_dropped(write: Write) -> None:
    drop, create = KINDS[3], KINDS[0]
    assert [name.split("_")[1] for name in _names(write(drop, create))] == ["create", "create", "drop", "drop"]


def test_two_findings_with_one_change_become_one_file_with_both_reasons(write: Write) -> None:
    second = {**change(probes=["SELECT 1"]), "rule": "H502", "name": "missing-filter-index"}
    folder = write(change(), second)
    assert len(_names(folder)) == 2
    text = (folder / "0001_create_orders_customer_id_idx.up.sql").read_text()
    assert "-- H501 " in text and "-- H502 " in text and "-- probe: SELECT 1\n" in text


def test_what_is_there_already_is_not_written_again(write: Write) -> None:
    folder = write()
    before = {name: (folder / name).read_bytes() for name in _names(folder)}
    write()
    assert {name: (folder / name).read_bytes() for name in _names(folder)} == before
    write(*KINDS[:2])
    assert _names(folder)[2:] == [f"0002_create_orders_lower_idx.{way}.sql" for way in ("down", "up")]


def test_same_findings_same_bytes(write: Write) -> None:
    folder = write(*KINDS)
    before = {name: (folder / name).read_bytes() for name in _names(folder)}
    shutil.rmtree(folder)
    assert {name: (write(*KINDS) / name).read_bytes() for name in before} == before


def test_an_expression_index_is_analyzed(write: Write) -> None:
    folder = write(KINDS[1])
    assert "ANALYZE public.orders;" in (folder / "0001_create_orders_lower_idx.up.sql").read_text()


@pytest.mark.parametrize("kind, up", [
    ("maintain", "VACUUM public.orders"), ("setting", "ALTER SYSTEM SET work_mem = '8MB'"),
    ("create index", "CREATE INDEX ON public.orders (id)"), ("create index", "CREATE INDEX a ON public.p (id)"),
    ("create index", "CREATE INDEX a ON public.orders (id); DROP TABLE public.orders"), ("create index", "no SQL"),
    ("drop index", "DROP INDEX public.a, public.b"), ("drop index", "DROP INDEX a"), ("create index", ""),
    ("validate constraint", "ALTER TABLE public.orders DROP COLUMN a, VALIDATE CONSTRAINT b"),
])  # fmt: skip
def test_what_is_not_safe_is_said_to_be_for_hands(kind: str, up: str, tmp_path: Path, capsys: Capture) -> None:
    source = report(tmp_path, change(kind, up=up))
    arguments = ["migrate", "write", "--from", str(source), "--out", str(tmp_path / "out"), "--alembic", "no"]
    assert cli.main(arguments) == 0
    assert f": {up};\n" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_message_cannot_end_its_comment(write: Write) -> None:
    finding = change()
    finding["message"] = finding["path"] = "x\nDROP TABLE orders;\r-- \u2028 y"
    text = (write(finding) / "0001_create_orders_customer_id_idx.up.sql").read_text()
    assert all(line.startswith("--") for line in text.splitlines() if "DROP TABLE" in line)


def test_a_probe_cannot_end_its_comment(write: Write) -> None:
    text = (
        write(change(probes=["SELECT 1\n; DROP TABLE x"])) / "0001_create_orders_customer_id_idx.up.sql"
    ).read_text()
    assert "-- probe: SELECT 1 ; DROP TABLE x\n" in text


def test_only_selected_rules_are_written(write: Write) -> None:
    other = {**KINDS[3], "rule": "H507", "name": "duplicate-index"}
    assert len(_names(write(change(), other, more=("--select", "H507")))) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"findings": 1}', '{"findings": [{"change": {"kind": "x"}}]}'])
def test_a_file_that_is_no_report_is_refused(text: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "doctor.json"
    path.write_text(text)
    assert cli.main(["migrate", "write", "--from", str(path), "--alembic", "no"]) == 2
    assert "is no report of the doctor" in capsys.readouterr().err


def test_psql_runs_what_is_written(shop: Shop, write: Write) -> None:
    """Plain SQL, without this kit; an invalid leftover ends it with an error."""
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("psql is not installed (apt-get install postgresql-client)")
    path = write() / "0001_create_orders_customer_id_idx.up.sql"

    def run() -> Any:
        return subprocess.run(
            [psql, "-v", "ON_ERROR_STOP=1", "-f", str(path), shop.dsn], capture_output=True, text=True
        )

    assert run().returncode == 0
    shop.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer_id_idx'::regclass")
    assert "is invalid; DROP INDEX CONCURRENTLY it" in run().stderr


def test_without_a_file_the_doctor_is_asked(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    shop.execute("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers")
    out = tmp_path / "migrations"
    arguments = ["--dsn", shop.dsn, "--out", str(out), "--select", "H501", "--prove", "off", "--alembic", "no"]
    assert cli.main(["migrate", "write", *arguments]) == 0
    assert _names(out) == [f"0001_create_orders_customer_id_idx.{way}.sql" for way in ("down", "up")]
    capsys.readouterr()
    assert cli.main(["migrate", "run", str(out), "--dsn", shop.dsn]) == 0
    assert "the plan uses it" in capsys.readouterr().out
