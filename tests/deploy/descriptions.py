"""Descriptions that the tests of sizing start from."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from deploy.description import App, Bouncer, Database, Description, Hosts, Server, Timeouts


def described(**sections: dict[str, Any]) -> Description:
    """Return the smallest description, with some keys of its sections given."""
    return Description(
        app=App("shop", "shop:app"),
        database=Database("shop", "shop", **sections.get("database", {})),
        hosts=Hosts(**sections.get("hosts", {})),
        server=Server(**sections.get("server", {})),
        pgbouncer=Bouncer(**sections.get("pgbouncer", {})),
        timeouts=Timeouts(**sections.get("timeouts", {})),
    )


def hosts(count: int) -> tuple[str, ...]:
    """Return so many names of hosts."""
    return tuple(f"app{number}" for number in range(1, count + 1))


# Half of each range near what people have, so that many of the descriptions fit.
DESCRIPTIONS = st.builds(
    lambda **sections: described(**sections),
    hosts=st.fixed_dictionaries({
        "app": (st.integers(1, 5) | st.integers(1, 400)).map(hosts),
        "cores": st.integers(1, 8) | st.integers(1, 512),
    }),
    server=st.fixed_dictionaries({
        "workers": st.just(0) | st.integers(1, 512),
        "threads": st.integers(1, 16) | st.integers(1, 256),
        "worker_class": st.sampled_from(["gthread", "sync"]),
    }),
    database=st.fixed_dictionaries({
        "version": st.integers(13, 18),
        "cores": st.integers(1, 16) | st.integers(1, 1024),
        "max_connections": st.integers(10, 500) | st.integers(10, 10_000),
        "superuser_reserved": st.integers(0, 100),
        "reserved": st.just(0) | st.integers(0, 100),
        "direct": st.integers(0, 20) | st.integers(0, 5000),
    }),
    pgbouncer=st.fixed_dictionaries({
        "enabled": st.booleans(),
        "place": st.sampled_from(["app", "database"]),
        "mode": st.sampled_from(["transaction", "transaction", "session"]),
        "processes": st.integers(1, 3) | st.integers(1, 64),
        "session_pool": st.integers(0, 4) | st.integers(0, 100),
        "auth": st.sampled_from(["file", "query"]),
    }),
)  # fmt: skip
