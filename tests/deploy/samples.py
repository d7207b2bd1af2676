"""Inputs that the tests of rendering start from."""

from __future__ import annotations

from typing import Any

from deploy.inputs import Database, PgBouncer, User

# Of the password `secret` with the salt `sixteen bytes!!!`, as any PostgreSQL makes it.
VERIFIER = (
    "SCRAM-SHA-256$4096:c2l4dGVlbiBieXRlcyEhIQ==$"
    "mHK4cNCqY9RGbFFHBDAUV0G1vVSTZK5yrF5VTYFqIOM=:jmCI5MBhAvJA9ZzLmXhKvD5Jl6Tbza0ZLjZcYeN8f5c="
)


def pgbouncer(**values: Any) -> PgBouncer:
    """Return inputs of the simplest kind, with some of them given."""
    return PgBouncer(
        **{
            "databases": (Database("app", "127.0.0.1", 5432, "app"),),
            "users": (User("app", VERIFIER),),
            "listen_addr": "127.0.0.1",
            "listen_port": 6432,
            "unix_socket_dir": "/run/pgbouncer",
            "auth_file": "/etc/pgbouncer/userlist.txt",
            "logfile": "/var/log/pgbouncer/pgbouncer.log",
            "pidfile": "/run/pgbouncer/pgbouncer.pid",
            **values,
        }
    )


def many() -> PgBouncer:
    """Return inputs where every field is given, and the names are hostile."""
    return pgbouncer(
        databases=(
            Database("app", "/run/postgresql", 5433, "it's; a \"100 %\" [name]"),
            Database("app_session", "db1.example.com,db2.example.com", 5432, "app", 5, "session"),
            Database("my-app.2", "::1", 1, "größe", pool_size=3),
        ),
        users=(User("app", VERIFIER), User('o"brien; the \\ 1%', VERIFIER)),
        listen_addr="127.0.0.1,::1",
        listen_port=65535,
        pool_mode="session",
        default_pool_size=11,
        min_pool_size=2,
        reserve_pool_size=3,
        max_db_connections=14,
        max_client_conn=212,
        query_wait_timeout=5,
        idle_transaction_timeout=15,
        stats_users=("app", "stats.2"),
    )
