"""The error tree: caught by clauses written for psycopg2, stable codes, and whole after pickling."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import psycopg2
import psycopg2.pool
import pytest

from backend import errors
from backend.errors import (
    AppLoadError,
    BatchError,
    CacheError,
    CursorError,
    DecryptError,
    HardenError,
    MonitorError,
    NodeError,
    OneTimeRefused,
    OneTimeUnavailable,
    PageError,
    ParameterError,
    PoolClosed,
    PoolTimeout,
    PoolTooBusy,
    QueryCountError,
    RepeatsError,
    SchemaError,
    SessionStateError,
    SettingsError,
    SQLiteRefused,
    StreamBusy,
    StreamError,
    TokenRefused,
)

from .conftest import MakePool

FIGURES = {"used": 2, "idle": 0, "waiting": 3, "maxconn": 2, "longest_lease": 1.25}
EXAMPLES = [
    SettingsError(["one", "two"]),
    AppLoadError("no module 'x'"),
    SQLiteRefused("SQLite file x.db opened"),
    NodeError("{a} has no child"),
    SchemaError("two keys fit", ["a_fkey", "b_fkey"]),
    BatchError("ids of two types"),
    PageError("size must be 1 to 100"),
    CursorError("not a cursor of this list"),
    StreamError("no rows"),
    ParameterError("parameter days is missing"),
    DecryptError("row 3 cannot be decrypted", 3, "phone"),
    CacheError("ttl=0 is no life"),
    TokenRefused("expired"),
    OneTimeRefused("oauth", "used"),
    OneTimeUnavailable("away"),
    StreamBusy("2 streams are open"),
    RepeatsError("20 repeated queries", ["one"]),
    QueryCountError("5 queries, 4 at most", 5),
    MonitorError("no metrics"),
    PoolTimeout("late", FIGURES),
    PoolTooBusy("busy", FIGURES, [{"thread": "t"}]),
    SessionStateError("a lock", what="an advisory lock", where="app.py:3 in f"),
    PoolClosed("closed"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_pickling_keeps_the_text_and_the_data(error: Any) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (SettingsError, (ValueError,)),
        (NodeError, (ValueError,)),
        (SchemaError, (LookupError,)),
        (BatchError, (ValueError,)),
        (PageError, (ValueError,)),
        (CursorError, (PageError, ValueError)),
        (StreamBusy, (StreamError,)),
        (PoolTimeout, (psycopg2.pool.PoolError, psycopg2.OperationalError, psycopg2.Error)),
        (PoolTooBusy, (psycopg2.pool.PoolError, psycopg2.OperationalError, psycopg2.Error)),
        (PoolClosed, (psycopg2.pool.PoolError, psycopg2.Error)),
        (SessionStateError, (psycopg2.NotSupportedError, psycopg2.DatabaseError)),
    ],
)
def test_existing_except_clauses_catch_them(kind: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    assert issubclass(kind, HardenError)
    for parent in parents:
        assert issubclass(kind, parent)


def test_each_code_is_there_once_and_in_the_tree_at_the_top_of_the_module() -> None:
    classes = [
        kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, HardenError) and not name.startswith("_")
    ]
    assert len({kind.code for kind in classes}) == len(classes) == len(EXAMPLES) + 1
    for kind in classes:
        assert any(kind.__name__ in line and kind.code in line for line in (errors.__doc__ or "").splitlines())


def test_settings_error_lists_every_problem() -> None:
    error = SettingsError(["one", "two"])
    assert (str(error), error.problems) == ("one; two", ["one", "two"])


def test_a_pool_error_keeps_copies_of_what_it_was_given() -> None:
    figures, held = {"used": 1}, [{"thread": "t", "seconds": 2.0}]
    error = PoolTimeout("late", figures, held)
    figures.clear()
    held.clear()
    assert (error.figures, error.holders) == ({"used": 1}, [{"thread": "t", "seconds": 2.0}])
    assert (PoolClosed("closed").figures, PoolClosed("closed").holders) == ({}, [])


def test_the_error_of_a_real_pool_survives_pickling(make_pool: MakePool) -> None:
    pool = make_pool(0, 1)
    held = pool.getconn()
    with pytest.raises(PoolTimeout) as caught:
        pool.getconn(timeout=0)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.holders, again.figures) == (
        str(caught.value), caught.value.holders, caught.value.figures,
    )  # fmt: skip
    assert again.holders[0]["state"] == "idle"
    assert held is not None
