"""The ways to a profile that are compared, each from a DSN to a function that gives the bytes of an HTTP body.

All but the legacy twin's keep one connection in autocommit, so that what is compared is the asking: BEGIN and
COMMIT would be two more round trips for each, and connecting costs more than most of them. What is parsed in
Python is written by Flask's own JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from . import statements, stitching


@dataclass(frozen=True)
class Route:
    """Where a method's connection leads.

    Attributes:
        dsn: as libpq spells it.
        shared: whether sessions are shared by transactions, as PgBouncer does.
    """

    dsn: str
    shared: bool = False


@dataclass(frozen=True)
class Handle:
    """An open method.

    Attributes:
        profile: gives a customer's profile as the bytes of an HTTP body.
        close: ends its connection.
        plans: tells how many plans its connection keeps.
    """

    profile: Callable[[int], bytes]
    close: Callable[[], object]
    plans: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Method:
    """One line of the tables.

    Attributes:
        key: as --methods names it.
        label: as the tables do.
        open: given a route.
        packages: what it needs beyond psycopg2, as pip names it.
    """

    key: str
    label: str
    open: Callable[[Route], Handle]
    packages: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it is the project's own."""
        return self.key in OURS


def _dumps(value: Any) -> bytes:
    return str(_app().json.dumps(value)).encode()


def _app() -> Any:
    global _flask
    if _flask is None:
        _flask = import_module("flask").Flask("bench")
        _flask.app_context().push()  # for good: this process does nothing else
    return _flask


_flask: Any = None


def _connect(route: Route) -> Any:
    conn = import_module("psycopg2").connect(route.dsn)
    conn.autocommit = True
    return conn


def _stitched(make: Callable[[stitching.Ask, int], stitching.Row]) -> Callable[[Route], Handle]:
    def open_method(route: Route) -> Handle:
        conn = _connect(route)
        kind = import_module("psycopg2.extras").RealDictCursor

        def ask(statement: str, values: Any) -> list[stitching.Row]:
            with conn.cursor(cursor_factory=kind) as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())

        return Handle(lambda customer_id: _dumps(make(ask, customer_id)), conn.close)

    return open_method


def _twin(route: Route) -> Handle:
    """Open the way of the legacy twin: a connection per call, and what it asks in a transaction."""
    connect, kind = import_module("psycopg2").connect, import_module("psycopg2.extras").RealDictCursor

    def profile(customer_id: int) -> bytes:
        conn = connect(route.dsn, cursor_factory=kind)
        try:
            cursor = conn.cursor()

            def ask(statement: str, values: Any) -> list[stitching.Row]:
                cursor.execute(statement, values)
                return list(cursor.fetchall())

            return _dumps(stitching.row_by_row(ask, customer_id))
        finally:
            conn.close()

    return Handle(profile, lambda: None)


def _by_hand(statement: str) -> Callable[[Route], Handle]:
    def open_method(route: Route) -> Handle:
        conn = _connect(route)

        def profile(customer_id: int) -> bytes:
            with conn.cursor() as cursor:
                cursor.execute(statement, (customer_id,))
                return str(cursor.fetchone()[0]).encode()

        return Handle(profile, conn.close)

    return open_method


def _node() -> Any:
    return import_module("backend.shop.queries").CUSTOMER_WITH_APPOINTMENTS


def _ours(route: Route) -> Handle:
    conn, node = _connect(route), _node()
    return Handle(lambda customer_id: bytes(node.json(conn, id=customer_id)), conn.close)


def _ours_leased(route: Route) -> Handle:
    """Open the way of an app: a lease for each call, as `get_db_connection(autocommit=True)` takes it."""
    backend, node = import_module("backend"), _node()
    options = backend.PoolOptions(reset="pgbouncer") if route.shared else backend.PoolOptions()
    pool = import_module("backend.database_helper").SharedPool(1, 1, route.dsn, pool_options=options)

    def profile(customer_id: int) -> bytes:
        with pool.getconn_for_reads() as conn:
            return bytes(node.json(conn, id=customer_id))

    def plans() -> int:
        with pool.getconn_for_reads() as conn:
            return int(_count_plans(conn))

    return Handle(profile, pool.closeall, plans)


def _count_plans(conn: Any) -> int:
    with conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return int(cursor.fetchone()[0])


def _ours_function(route: Route) -> Handle:
    conn = _connect(route)
    return Handle(partial(call_function, conn), conn.close)


def call_function(conn: Any, customer_id: int) -> bytes:
    """Return a profile by the function that `function_ddl` makes."""
    return bytes(_stored().json(conn, id=customer_id))


def function_ddl() -> str:
    """Return the statement that makes the function: a session plans a function's query once and keeps the plan."""
    return str(_stored().up)


def _stored() -> Any:
    return import_module("backend.shop.queries").PROFILE


def _sqlalchemy(way: str) -> Callable[[Route], Handle]:
    def open_method(route: Route) -> Handle:
        ask, close = import_module("scripts.bench.queries.orm").profile(route.dsn, way)
        return Handle(lambda customer_id: _dumps(ask(customer_id)), close)

    return open_method


def _psycopg(route: Route) -> Any:
    """Connect by psycopg 3; it prepares by itself what is asked five times, which shared sessions cannot keep."""
    conn = import_module("psycopg").connect(route.dsn, autocommit=True)
    if route.shared:
        conn.prepare_threshold = None
    return conn


def _psycopg_n_plus_1(route: Route) -> Handle:
    conn = _psycopg(route)
    as_dict = import_module("psycopg.rows").dict_row

    def ask(statement: str, values: Any) -> list[stitching.Row]:
        with conn.cursor(row_factory=as_dict) as cursor:
            return list(cursor.execute(statement, values).fetchall())

    return Handle(lambda customer_id: _dumps(stitching.row_by_row(ask, customer_id)), conn.close)


def _psycopg_one(route: Route) -> Handle:
    conn, statement = _psycopg(route), _node().sql
    import_module("psycopg.types.json").set_json_loads(bytes, conn)

    def profile(customer_id: int) -> bytes:
        return bytes(conn.execute(statement, {"id": customer_id}).fetchone()[0])

    return Handle(profile, conn.close, partial(_count_plans, conn))


PSYCOPG = ("psycopg[binary]",)
OURS = ("ours", "ours-kept", "ours-function")
METHODS = (
    Method("ours", "ours", _ours),
    Method("ours-kept", "ours, leased, kept plan", _ours_leased),
    Method("ours-function", "ours, SQL function", _ours_function),
    Method("twin", "N+1, connect per call", _twin),
    Method("n-plus-1", "N+1", _stitched(stitching.row_by_row)),
    Method("batched", "batched ANY, stitched", _stitched(stitching.level_by_level)),
    Method("join", "JOIN, grouped", _stitched(stitching.grouped)),
    Method("correlated", "correlated, by hand", _by_hand(statements.CORRELATED)),
    Method("lateral", "LATERAL, by hand", _by_hand(statements.LATERAL)),
    Method("cte", "CTE per level, by hand", _by_hand(statements.PER_LEVEL)),
    Method("selectinload", "SQLAlchemy selectinload", _sqlalchemy("selectin"), ("sqlalchemy",)),
    Method("joinedload", "SQLAlchemy joinedload", _sqlalchemy("joined"), ("sqlalchemy",)),
    Method("psycopg3-n-plus-1", "psycopg 3, N+1", _psycopg_n_plus_1, PSYCOPG),
    Method("psycopg3", "psycopg 3, our statement", _psycopg_one, PSYCOPG),
)
BY_KEY = {method.key: method for method in METHODS}
