"""The runtime: what runs inside a Flask + psycopg2 app in production. Copy this folder, under any name."""

from .database_helper import close_pool, get_db_connection, get_pool, install, transaction, uninstall
from .database_pool import SimpleConnectionPool, ThreadedConnectionPool
from .errors import (
    AppLoadError,
    HardenError,
    NodeError,
    PoolClosed,
    PoolTimeout,
    PoolTooBusy,
    SessionStateError,
    SettingsError,
)
from .extension import Hardening
from .nested import many, one
from .pool_options import PoolOptions

__all__ = [
    "AppLoadError",
    "HardenError",
    "Hardening",
    "NodeError",
    "PoolClosed",
    "PoolOptions",
    "PoolTimeout",
    "PoolTooBusy",
    "SessionStateError",
    "SettingsError",
    "SimpleConnectionPool",
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
