"""Fills a `Catalog`: five questions to pg_catalog, each for all tables at once."""

from __future__ import annotations

from typing import Any

from .catalog import Catalog, Column, ForeignKey, Index, Key, Sequence, Statistics, Table
from .session import Session

_OURS = """
    n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'
    AND n.nspname NOT LIKE 'pg\\_temp\\_%%'
    AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid
                    AND x.deptype = 'e')
"""
_TABLES = f"""
    SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
           c.reltuples::float AS rows, c.relpages AS pages, c.relispartition AS is_partition,
           COALESCE(c.reloptions, '{{}}') AS options, c.relpersistence::text AS persistence,
           COALESCE(obj_description(c.oid, 'pg_class'), '') AS comment
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND {_OURS}
    ORDER BY 2, 3
"""
_COLUMNS = f"""
    SELECT c.oid::bigint AS oid, a.attnum AS number, a.attname AS name,
           format_type(a.atttypid, a.atttypmod) AS type, COALESCE(b.typname, t.typname)::text AS base,
           a.attnotnull AS not_null,
           COALESCE((SELECT l.collname::text FROM pg_collation l WHERE l.oid = a.attcollation
                     AND l.collname <> 'default'), '') AS collation,
           COALESCE(pg_get_expr(d.adbin, d.adrelid), '') AS "default", a.attidentity::text AS identity,
           COALESCE(col_description(c.oid, a.attnum), '') AS comment
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind IN ('r', 'p', 'm') AND {_OURS}
    ORDER BY 1, 2
"""
_INDEXES = f"""
    SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, i.indrelid::bigint AS "table",
           m.amname::text AS method, c.relpages AS pages, c.reltuples::float AS rows,
           c.relispartition AS is_partition, i.indisunique AS is_unique, i.indisprimary AS is_primary,
           i.indisexclusion AS is_exclusion, i.indisvalid AND i.indisready AS is_valid,
           i.indisreplident AS is_replica_identity, i.indisclustered AS is_clustered,
           COALESCE(pg_get_expr(i.indpred, i.indrelid), '') AS predicate, pg_get_indexdef(c.oid) AS definition,
           COALESCE(k.conname::text, '') AS "constraint",
           COALESCE(pg_stat_get_numscans(c.oid), 0) AS scans,
           COALESCE(obj_description(c.oid, 'pg_class'), '') AS comment,
           ARRAY(SELECT json_build_array(COALESCE(a.attname::text, ''),
                   COALESCE(quote_ident(a.attname), pg_get_indexdef(c.oid, p, true)),
                   CASE WHEN o.opcdefault THEN '' ELSE o.opcname::text END,
                   (i.indoption[p - 1] & 1) > 0, (i.indoption[p - 1] & 2) > 0,
                   COALESCE((SELECT l.collname::text FROM pg_collation l WHERE l.oid = i.indcollation[p - 1]
                             AND l.oid IS DISTINCT FROM a.attcollation AND l.collname <> 'default'), ''))
                 FROM generate_series(1, i.indnkeyatts) p
                 LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p - 1]
                   AND i.indkey[p - 1] > 0
                 LEFT JOIN pg_opclass o ON o.oid = i.indclass[p - 1]
                 ORDER BY p) AS keys,
           ARRAY(SELECT a.attname::text FROM generate_series(i.indnkeyatts, i.indnatts - 1) p
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p] ORDER BY p) AS included
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_am m ON m.oid = c.relam
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
    WHERE {_OURS}
    ORDER BY 2, 3
"""
_FOREIGN_KEYS = f"""
    SELECT k.conname AS name, k.conrelid::bigint AS "table", k.confrelid::bigint AS target,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (number, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place)
             AS columns,
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place)
             AS target_columns,
           k.confdeltype::text AS on_delete, k.convalidated AS is_validated
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND {_OURS}
    ORDER BY n.nspname, c.relname, k.conname
"""
_SEQUENCES = f"""
    SELECT n.nspname AS schema, c.relname AS name, format_type(s.seqtypid, NULL) AS type,
           CASE WHEN has_sequence_privilege(c.oid, 'SELECT') OR has_sequence_privilege(c.oid, 'USAGE')
                THEN pg_sequence_last_value(c.oid) END AS last,
           s.seqmin AS lowest, s.seqmax AS highest, s.seqincrement AS increment, s.seqcycle AS cycles,
           COALESCE(d.refobjid, 0)::bigint AS "table", COALESCE(a.attname::text, '') AS "column"
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
      AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE {_OURS}
    ORDER BY 1, 2
"""
_STATISTICS = """
    SELECT relid::bigint AS oid, COALESCE(seq_scan, 0) AS seq_scans, COALESCE(seq_tup_read, 0) AS seq_rows,
           COALESCE(idx_scan, 0) AS index_scans, n_tup_ins AS inserts, n_tup_upd AS updates, n_tup_del AS deletes,
           n_live_tup AS live, n_dead_tup AS dead, n_mod_since_analyze AS changed,
           EXTRACT(EPOCH FROM now() - GREATEST(last_vacuum, last_autovacuum))::float AS vacuumed,
           EXTRACT(EPOCH FROM now() - GREATEST(last_analyze, last_autoanalyze))::float AS analyzed
    FROM pg_stat_user_tables
"""
_COMMENT = """
    SELECT COALESCE(shobj_description(d.oid, 'pg_database'), '') AS comment
    FROM pg_database d WHERE d.datname = current_database()
"""


def read_catalog(session: Session) -> Catalog:
    """Ask for everything.

    Raises:
        NotSeen, Lost: as `Session.rows`.
    """
    made = Catalog()
    columns: dict[int, list[Column]] = {}
    told: list[tuple[int, str, str]] = []
    for row in session.rows(_COLUMNS, ()):
        columns.setdefault(row.oid, []).append(Column(*row[1:-1]))
        if row.comment:
            told.append((row.oid, row.name, row.comment))
    for row in session.rows(_TABLES, ()):
        made.tables[row.oid] = _table(row, columns.get(row.oid, []))
    made.column_comments = {made.tables[oid].column(name): text for oid, name, text in told if oid in made.tables}
    made.indexes = [_index(row) for row in session.rows(_INDEXES, ()) if row.table in made.tables]
    made.foreign_keys = [
        ForeignKey(row.name, row.table, tuple(row.columns), row.target, tuple(row.target_columns), row.on_delete,
                   row.is_validated)
        for row in session.rows(_FOREIGN_KEYS, ())
    ]  # fmt: skip
    made.sequences = [Sequence(*row) for row in session.rows(_SEQUENCES, ())]
    made.statistics = {row.oid: Statistics(**_without_oid(row)) for row in session.rows(_STATISTICS)}
    made.database_comment = session.row(_COMMENT).comment
    return made


def _table(row: Any, columns: list[Column]) -> Table:
    options = dict(each.partition("=")[::2] for each in row.options)
    rows = -1.0 if row.rows == 0 and row.pages == 0 else row.rows  # before 14, never counted is 0
    return Table(row.oid, row.schema, row.name, row.kind, rows, row.pages, row.is_partition, options,
                 row.persistence, row.comment, tuple(columns))  # fmt: skip


def _index(row: Any) -> Index:
    return Index(
        row.oid, row.schema, row.name, row.table, row.method, tuple(Key(*each) for each in row.keys),
        tuple(row.included), row.predicate, row.is_unique, row.is_primary, row.is_exclusion, row.is_valid,
        row.constraint, row.definition, row.pages, row.rows, row.scans, row.is_partition, row.is_replica_identity,
        row.comment, row.is_clustered,
    )  # fmt: skip


def _without_oid(row: Any) -> dict[str, Any]:
    fields: dict[str, Any] = row._asdict()
    del fields["oid"]
    return fields
