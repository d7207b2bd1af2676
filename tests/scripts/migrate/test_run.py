"""`harden migrate run`, `status` and `undo` on a real server: done, done again, taken back, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import cli
from scripts.stack.postgres import Cluster

from .conftest import DROP, INDEX, Shop, change, until

Write = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
PROBE = "SELECT id FROM public.orders WHERE customer_id = $1"


def test_an_index_is_made_and_its_probe_uses_it(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write(change(probes=[PROBE]))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    said = capsys.readouterr()
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert "public.orders_customer_id_idx is valid" in said.out
    assert "the plan uses it" in said.out
    assert "about " in said.err and "on disk" in said.err


def test_a_second_run_does_nothing(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    before = shop.execute("SELECT 'public.orders_customer_id_idx'::regclass::oid")
    capsys.readouterr()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert capsys.readouterr().out == "0 run, 1 done before\n"
    assert shop.execute("SELECT 'public.orders_customer_id_idx'::regclass::oid") == before


def test_undo_drops_what_run_made(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write()
    for word in ("run", "undo"):
        assert cli.main(["migrate", word, str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {}
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_undo_leaves_an_index_that_stood_there_before(shop: Shop, write: Write, capsys: Capture) -> None:
    shop.execute(INDEX)
    folder = write()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert "stood there before" in capsys.readouterr().out
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}


def test_a_dropped_index_comes_back_by_undo(shop: Shop, write: Write) -> None:
    shop.execute(INDEX)
    comment = "COMMENT ON INDEX public.orders_customer_id_idx IS 'it''s ours'"
    finding = change("drop index", up=DROP)
    finding["change"]["down"] = [INDEX, comment]
    folder = write(finding)
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {}
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert shop.execute("SELECT obj_description('orders_customer_id_idx'::regclass)") == [("it's ours",)]


def test_an_index_is_rebuilt_and_leftovers_of_a_rebuild_go(shop: Shop, write: Write, capsys: Capture) -> None:
    shop.execute(INDEX)
    shop.execute(INDEX.replace("_idx", "_idx_ccnew"))
    shop.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer_id_idx_ccnew'::regclass"
    )
    node = shop.execute("SELECT pg_relation_filenode('orders_customer_id_idx')")
    up = "REINDEX INDEX CONCURRENTLY public.orders_customer_id_idx"
    folder = write(change("rebuild index", up=up, down=""))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert shop.execute("SELECT pg_relation_filenode('orders_customer_id_idx')") != node
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    assert "has nothing to take back" in capsys.readouterr().out


def test_a_constraint_is_validated(shop: Shop, write: Write) -> None:
    shop.execute("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer_id) REFERENCES customers NOT VALID")
    up = "ALTER TABLE public.orders VALIDATE CONSTRAINT fk"
    folder = write(change("validate constraint", up=up, down="", name="fk"))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'fk'") == [(True,)]


def test_a_constraint_that_rows_break_says_so(shop: Shop, write: Write, capsys: Capture) -> None:
    shop.execute("ALTER TABLE orders ADD CONSTRAINT small CHECK (customer_id < 50) NOT VALID")
    up = "ALTER TABLE public.orders VALIDATE CONSTRAINT small"
    folder = write(change("validate constraint", up=up, down="", name="small"))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 2
    assert "violated by some row (SQLSTATE 23514)" in capsys.readouterr().err


def test_an_invalid_leftover_is_dropped_and_made_anew(shop: Shop, write: Write, capsys: Capture) -> None:
    shop.execute(INDEX)
    shop.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer_id_idx'::regclass")
    folder = write()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert shop.indexes() == {"orders_customer_id_idx": True}
    assert "drops the invalid leftover public.orders_customer_id_idx" in capsys.readouterr().err


def test_another_index_of_that_name_is_refused_before_anything(shop: Shop, write: Write, capsys: Capture) -> None:
    shop.execute("CREATE INDEX orders_customer_id_idx ON orders (customer_id DESC)")
    folder = write()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 2
    assert "is there, and another thing: CREATE INDEX orders_customer_id_idx" in capsys.readouterr().err
    assert shop.execute("SELECT to_regclass('public.harden_migrations')") == [(None,)]


def test_casts_that_the_server_adds_are_no_other_index(shop: Shop, write: Write, capsys: Capture) -> None:
    up = ("CREATE INDEX CONCURRENTLY IF NOT EXISTS open_idx ON public.orders (customer_id, lower(status)) "
          "WHERE status = 'open'")  # fmt: skip
    shop.execute(up)
    folder = write(change(up=up, down="DROP INDEX CONCURRENTLY IF EXISTS public.open_idx", name="public.open_idx"))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert "stood there before" in capsys.readouterr().out


def test_duplicates_end_a_unique_index_and_leave_nothing(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write(change(up=INDEX.replace("CREATE INDEX", "CREATE UNIQUE INDEX")))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 2
    said = capsys.readouterr().err
    assert "rows have equal values" in said
    assert "(customer_id)=" not in said  # a row's data
    assert shop.indexes() == {}


def test_a_file_that_was_run_may_not_change(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write()
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    path = folder / "0001_create_orders_customer_id_idx.up.sql"
    path.write_text(path.read_text().replace("(customer_id)", "(status)"))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 2
    assert "has changed since it was run" in capsys.readouterr().err
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 2
    assert cli.main(["migrate", "status", str(folder), "--dsn", shop.dsn]) == 1
    path.write_text("-- another comment is no change\n" + path.read_text().replace("(status)", "(customer_id)"))
    assert cli.main(["migrate", "status", str(folder), "--dsn", shop.dsn]) == 0


def test_status_counts_how_often_an_index_was_used(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write()
    status = ["migrate", "status", str(folder), "--dsn", shop.dsn, "--format", "json"]
    assert cli.main(status) == 1
    assert json.loads(capsys.readouterr().out)["migrations"][0]["state"] == "pending"
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    capsys.readouterr()
    shop.execute("SELECT count(*) FROM orders WHERE customer_id = 7")
    used = "SELECT 1 FROM pg_stat_all_indexes WHERE indexrelname = 'orders_customer_id_idx' AND idx_scan > 0"
    until(lambda: shop.execute(used))  # the session that used it reports when it ends
    assert cli.main(status) == 0
    (shown,) = json.loads(capsys.readouterr().out)["migrations"]
    assert (shown["state"], shown["made"], shown["index"]) == ("done", True, "public.orders_customer_id_idx")
    assert shown["size_bytes"] > 0 and shown["scans"] > 0
    shop.execute("DROP INDEX orders_customer_id_idx")
    assert cli.main(status) == 1
    assert json.loads(capsys.readouterr().out)["migrations"][0]["state"] == "gone"


def test_tables_of_others_are_refused_before_anything(shop: Shop, write: Write, capsys: Capture) -> None:
    folder = write()
    dsn = shop.cluster.dsn(shop.name, "app")
    assert cli.main(["migrate", "run", str(folder), "--dsn", dsn]) == 2
    said = capsys.readouterr().err
    assert "nothing was done" in said
    assert "public.orders belongs to postgres, and app is no member" in said
    assert shop.indexes() == {}


def test_a_missing_table_and_a_partitioned_one_are_said_together(
    shop: Shop, write: Write, capsys: Capture
) -> None:
    shop.execute("CREATE TABLE parts (a int) PARTITION BY LIST (a)")
    one = change(up="CREATE INDEX CONCURRENTLY a ON public.parts (a)", down="DROP INDEX CONCURRENTLY public.a",
                 name="public.a")  # fmt: skip
    two = change(up="CREATE INDEX CONCURRENTLY b ON public.gone (a)", down="DROP INDEX CONCURRENTLY public.b",
                 name="public.b")  # fmt: skip
    assert cli.main(["migrate", "run", str(write(one, two)), "--dsn", shop.dsn]) == 2
    said = capsys.readouterr().err
    assert "public.parts is partitioned" in said
    assert "there is no table public.gone" in said


def test_names_with_quotes_and_unicode(shop: Shop, write: Write) -> None:
    shop.execute('CREATE SCHEMA "Wüste "" Düne"')
    table = '"Wüste "" Düne"."o\'r %%d:er"'
    shop.execute(f'CREATE TABLE {table.replace("%%", "%")} ("a b" int, "c\'d" int)')
    table, name = table.replace("%%", "%"), '"i\'d$check$ %x :y ""q"""'
    up = f'CREATE INDEX CONCURRENTLY {name} ON {table} ("a b", "c\'d")'
    down = f'DROP INDEX "Wüste "" Düne".{name}'
    folder = write(change(up=up, down=down, name=f'"Wüste "" Düne".{name}', table=table))
    for _ in range(2):
        assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0
    assert cli.main(["migrate", "undo", str(folder), "--dsn", shop.dsn]) == 0
    shop.execute(up.replace("%", "%"))
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 0


def test_the_journal_goes_where_the_role_may_write(
    cluster: Cluster, shop: Shop, write: Write, capsys: Capture
) -> None:
    shop.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    shop.execute("CREATE SCHEMA own AUTHORIZATION app")
    shop.execute("CREATE TABLE own.t (a int); ALTER TABLE own.t OWNER TO app")
    folder = write(
        change(up="CREATE INDEX CONCURRENTLY t_idx ON own.t (a)", down="DROP INDEX own.t_idx", name="own.t_idx")
    )
    dsn = cluster.dsn(shop.name, "app")
    assert cli.main(["migrate", "run", str(folder), "--dsn", dsn]) == 2
    assert "name a schema by --journal" in capsys.readouterr().err
    for word in ("run", "status", "undo"):
        assert cli.main(["migrate", word, str(folder), "--dsn", dsn, "--journal", "own"]) == 0


@pytest.mark.parametrize("statement", [
    "ALTER TABLE public.orders ADD COLUMN a int", "CREATE INDEX a ON public.orders (id)", "DROP INDEX public.a",
    "DELETE FROM public.orders", "DO $$ BEGIN DELETE FROM orders; END $$", "SET search_path = x",
    "VACUUM FULL orders", "CREATE INDEX CONCURRENTLY a ON orders (id)", "not SQL",
    "REINDEX TABLE CONCURRENTLY public.orders",
])  # fmt: skip
def test_statements_that_lock_readers_or_writers_out_are_refused(
    statement: str, shop: Shop, write: Write, capsys: Capture
) -> None:
    folder = write()
    (folder / "0002_by_hand.up.sql").write_text(f"{statement};\n")
    (folder / "0002_by_hand.down.sql").write_text("")
    assert cli.main(["migrate", "run", str(folder), "--dsn", shop.dsn]) == 2
    assert "0002_by_hand.up.sql" in capsys.readouterr().err
    assert shop.indexes() == {}
