"""H508: an index that another one begins with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.doctor.advice import Advice
from scripts.doctor.rules.indexes.redundant_index import RULE

Look = Callable[..., list[Advice]]
T = "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c int);"


@pytest.mark.parametrize("sql", [
    "CREATE INDEX i ON t (a); CREATE INDEX j ON t (a, c)",
    "CREATE INDEX i ON t (a); ALTER TABLE t ADD UNIQUE (a, c)",
    "CREATE INDEX i ON t (a, c); CREATE INDEX j ON t (a, c) INCLUDE (b)",
    "CREATE INDEX i ON t (a) INCLUDE (c); CREATE INDEX j ON t (a, c)",
    "CREATE INDEX i ON t (a) WHERE c > 0; CREATE INDEX j ON t (a, b) WHERE c > 0",
])  # fmt: skip
def test_the_shorter_one_is_told(sql: str, look: Look) -> None:
    (found,) = look(RULE, T + sql)
    assert found.place.path == "public.i"
    assert found.change is not None
    assert found.change.down[0].startswith("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.t USING btree (a")


@pytest.mark.parametrize("sql", [
    "CREATE INDEX ON t (a); CREATE INDEX ON t (c, a)",
    "CREATE UNIQUE INDEX ON t (a); CREATE INDEX ON t (a, c)",
    "ALTER TABLE t ADD UNIQUE (a); CREATE INDEX ON t (a, c)",
    "CREATE INDEX ON t (id, a)",
    "CREATE INDEX i ON t (a); CREATE INDEX ON t (a, c); ALTER TABLE t CLUSTER ON i",
    "CREATE INDEX ON t (a DESC); CREATE INDEX ON t (a, c)",
    "CREATE INDEX ON t (b text_pattern_ops); CREATE INDEX ON t (b, c)",
    "CREATE INDEX ON t (a); CREATE INDEX ON t (a, c) WHERE c > 0",
    "CREATE INDEX ON t (a) INCLUDE (b); CREATE INDEX ON t (a, c)",
    "CREATE INDEX ON t USING hash (a); CREATE INDEX ON t (a, c)",
    "INSERT INTO t SELECT n, n % 5, repeat('x', 200) || n FROM generate_series(1, 2000) n;"
    "CREATE INDEX ON t (a); CREATE INDEX ON t (a, b); ANALYZE t",
])  # fmt: skip
def test_others_are_left_alone(sql: str, look: Look) -> None:
    assert look(RULE, T + sql) == []
