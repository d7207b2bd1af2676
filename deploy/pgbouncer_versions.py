"""What each version of PgBouncer knows, and which holes it has: a key that it lacks stops its start.

Read from the tables of upstream's own parser (`src/main.c`, `src/loader.c`) at each tag, and from its changelog.
Knows versions and names, not values. If this is wrong, a host's PgBouncer does not start after a render.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import InputError

Version = tuple[int, int, int]

OLDEST: Version = (1, 17, 0)
NEWEST: Version = (1, 26, 1)
VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:-\d{1,3}(?:\+(deb\d{1,3})u(\d{1,3}))?\S{0,40})?")

# Of [pgbouncer], by the version that brought it.
SINCE: Mapping[str, Version] = {
    "auth_dbname": (1, 19, 0), "cancel_wait_timeout": (1, 19, 0), "peer_id": (1, 19, 0),
    "track_extra_parameters": (1, 20, 0),
    "max_prepared_statements": (1, 21, 0),
    "auth_ident_file": (1, 23, 0),
    "max_db_client_connections": (1, 24, 0), "max_user_client_connections": (1, 24, 0),
    "auth_ldap_options": (1, 25, 0), "client_tls13_ciphers": (1, 25, 0), "query_wait_notify": (1, 25, 0),
    "scram_iterations": (1, 25, 0), "server_tls13_ciphers": (1, 25, 0), "transaction_timeout": (1, 25, 0),
    "login_notify_message": (1, 26, 0), "pool_idle_timeout": (1, 26, 0),
}  # fmt: skip
ALWAYS = frozenset({
    "admin_users", "application_name_add_host", "auth_file", "auth_hba_file", "auth_query", "auth_type",
    "auth_user", "autodb_idle_timeout", "client_idle_timeout", "client_login_timeout", "client_tls_ca_file",
    "client_tls_cert_file", "client_tls_ciphers", "client_tls_dheparams", "client_tls_ecdhcurve",
    "client_tls_key_file", "client_tls_protocols", "client_tls_sslmode", "conffile", "default_pool_size",
    "disable_pqexec", "dns_max_ttl", "dns_nxdomain_ttl", "dns_zone_check_period", "idle_transaction_timeout",
    "ignore_startup_parameters", "job_name", "listen_addr", "listen_backlog", "listen_port", "log_connections",
    "log_disconnections", "log_pooler_errors", "log_stats", "logfile", "max_client_conn", "max_db_connections",
    "max_packet_size", "max_user_connections", "min_pool_size", "pidfile", "pkt_buf", "pool_mode",
    "query_timeout", "query_wait_timeout", "reserve_pool_size", "reserve_pool_timeout", "resolv_conf",
    "sbuf_loopcnt", "server_check_delay", "server_check_query", "server_connect_timeout", "server_fast_close",
    "server_idle_timeout", "server_lifetime", "server_login_retry", "server_reset_query",
    "server_reset_query_always", "server_round_robin", "server_tls_ca_file", "server_tls_cert_file",
    "server_tls_ciphers", "server_tls_key_file", "server_tls_protocols", "server_tls_sslmode", "service_name",
    "so_reuseport", "stats_period", "stats_users", "suspend_timeout", "syslog", "syslog_facility",
    "syslog_ident", "tcp_defer_accept", "tcp_keepalive", "tcp_keepcnt", "tcp_keepidle", "tcp_keepintvl",
    "tcp_socket_buffer", "tcp_user_timeout", "unix_socket_dir", "unix_socket_group", "unix_socket_mode", "user",
    "verbose",
})  # fmt: skip
# Of an entry of [databases].
ENTRY_SINCE: Mapping[str, Version] = {
    "auth_dbname": (1, 19, 0), "auth_query": (1, 22, 0), "server_lifetime": (1, 23, 0),
    "load_balance_hosts": (1, 24, 0), "max_db_client_connections": (1, 24, 0), "reserve_pool_size": (1, 24, 0),
    "query_wait_timeout": (1, 26, 0),
}  # fmt: skip
ENTRY_ALWAYS = frozenset({
    "application_name", "auth_user", "client_encoding", "connect_query", "datestyle", "dbname", "host",
    "max_db_connections", "min_pool_size", "password", "pool_mode", "pool_size", "port", "reserve_pool",
    "timezone", "user",
})  # fmt: skip
TLS_OF_OPENSSL: Version = (1, 21, 0)  # before it, its own list of ciphers has some that nobody should use


@dataclass(frozen=True)
class Finding:
    """A hole of a version.

    Attributes:
        cve: its name.
        text: what somebody can do with it, and which version has it no more.
        mitigation: what the rendered files do about it, or what a person has to.
    """

    cve: str
    text: str
    mitigation: str


@dataclass(frozen=True)
class _Hole:
    finding: Finding
    since: Version
    fixed: Version
    # By package: the number after `u` from which Debian's has the fix.
    debian: Mapping[tuple[Version, str], int] = field(default_factory=dict)


def _hole(
    cve: str, since: Version, fixed: Version, text: str, mitigation: str, deb12: int = 0, deb13: int = 0
) -> _Hole:
    named = {((1, 18, 0), "deb12"): deb12, ((1, 24, 1), "deb13"): deb13}
    packages = {package: patch for package, patch in named.items() if patch}
    places = [".".join(map(str, fixed)), *(_package(*package, patch) for package, patch in packages.items())]
    return _Hole(Finding(cve, f"{text}; fixed in {' and '.join(places)}", mitigation), since, fixed, packages)


def _package(version: Version, suite: str, patch: int) -> str:
    return f"Debian's {'.'.join(map(str, version))}-1+{suite}u{patch}"


# Which of Debian's packages has a fix stands in its debian/changelog.
HOLES = (
    _hole("CVE-2025-2291", OLDEST, (1, 24, 1),
          "auth_query lets a role in whose password has expired",
          "the function that is rendered for auth = \"query\" looks at VALID UNTIL; with auth = \"file\" take the "
          "role's line out of userlist.txt", deb12=1),
    _hole("CVE-2025-12819", OLDEST, (1, 25, 1),
          "before logging in, a client can have its own SQL run by auth_query with a search_path",
          "track_extra_parameters is left alone, and auth_query names its function with its schema",
          deb12=1, deb13=1),
    _hole("CVE-2026-6664", OLDEST, (1, 25, 2),
          "anybody who reaches the port can crash it with one SCRAM packet",
          "a Unix socket with place = \"app\"; over a network let the firewall admit the app's hosts alone; "
          "systemd starts it again", deb13=2),
    _hole("CVE-2026-6665", OLDEST, (1, 25, 2),
          "somebody who plays the server can overflow its stack",
          "a Unix socket to the server, or database.sslmode = \"verify-full\"", deb13=2),
    _hole("CVE-2026-6666", OLDEST, (1, 25, 2),
          "somebody who plays the server can crash it",
          "a Unix socket to the server, or database.sslmode = \"verify-full\"", deb13=2),
    _hole("CVE-2026-6667", (1, 24, 0), (1, 25, 2),
          "whoever may see the console's figures may end clients with KILL_CLIENT",
          "the app's role alone is in stats_users, and its are all clients", deb13=2),
    _hole("CVE-2026-107349", (1, 20, 0), (1, 26, 1),
          "a start-up packet makes it spin for ever where ignore_startup_parameters lacks `options`",
          "`options` stands there"),
    _hole("CVE-2026-107350", OLDEST, (1, 26, 1),
          "a client that knows one password can log in as any other role with a SCRAM verifier",
          "one role is in the file and in hba.conf, admin_users is empty, and the console is for the process's "
          "own user by socket; never give this PgBouncer a superuser's verifier"),
)  # fmt: skip


def read_version(text: str) -> Version:
    """Return a version's numbers; one that is newer than all that is known here counts as the newest known.

    Args:
        text: upstream's, such as "1.18.0" or "1.25", or Debian's package's, such as "1.18.0-1+deb12u1".

    Raises:
        InputError: it is none, or older than the oldest that is known here.
    """
    found = VERSION.fullmatch(text)
    if found is None:
        raise InputError(f"PgBouncer's version {text[:60]!r} is none; write it like 1.18.0")
    version = (int(found[1]), int(found[2]), int(found[3] or 0))
    if version < OLDEST:
        raise InputError(
            f"PgBouncer {text} is older than {'.'.join(map(str, OLDEST))}, the oldest that can be configured; "
            "Debian 12 has 1.18.0"
        )
    return min(version, NEWEST)


def keys_of(version: Version) -> frozenset[str]:
    """Return the keys that [pgbouncer] may have."""
    return ALWAYS | {key for key, since in SINCE.items() if version >= since}


def entry_keys_of(version: Version) -> frozenset[str]:
    """Return the keys that an entry of [databases] may have."""
    return ENTRY_ALWAYS | {key for key, since in ENTRY_SINCE.items() if version >= since}


def findings(version: str) -> tuple[Finding, ...]:
    """Return the known holes of a version.

    Args:
        version: as for `read_version`; with Debian's own, its patches count.

    Raises:
        InputError: as for `read_version`.
    """
    numbers = read_version(version)
    found = VERSION.fullmatch(version)
    assert found is not None  # read_version has refused it otherwise
    package, patch = (numbers, found[4] or ""), int(found[5] or 0)
    return tuple(
        hole.finding
        for hole in HOLES
        if hole.since <= numbers < hole.fixed and not 0 < hole.debian.get(package, 0) <= patch
    )
