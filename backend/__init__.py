"""The runtime: what runs inside a Flask + psycopg2 app in production. Copy this folder, under any name."""

from .database_helper import close_pool, get_db_connection, get_pool, install, transaction, uninstall
from .database_pool import SimpleConnectionPool, ThreadedConnectionPool
from .errors import (
    AppLoadError,
    BatchError,
    CursorError,
    HardenError,
    NodeError,
    PageError,
    PoolClosed,
    PoolTimeout,
    PoolTooBusy,
    SchemaError,
    SessionStateError,
    SettingsError,
    StreamError,
)
from .extension import Hardening
from .nested import many, one
from .pool_options import PoolOptions

__all__ = [
    "AppLoadError",
    "BatchError",
    "CursorError",
    "HardenError",
    "Hardening",
    "NodeError",
    "PageError",
    "PoolClosed",
    "PoolOptions",
    "PoolTimeout",
    "PoolTooBusy",
    "SchemaError",
    "SessionStateError",
    "SettingsError",
    "SimpleConnectionPool",
    "StreamError",
    "ThreadedConnectionPool",
    "close_pool",
    "get_db_connection",
    "get_pool",
    "install",
    "many",
    "one",
    "transaction",
    "uninstall",
]
