"""When a server has to be restarted or must not be touched, what is asked of it, and where its logins are."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.description import Bouncer, Database, Description
from deploy.host import database
from deploy.host.errors import HostError
from deploy.host.places import Places
from deploy.scram import make_verifier, verify

from ..unit_samples import one_host, three_hosts

OURS = "pg_stat_statements,auto_explain"


class Server:
    """Answers as a server with these settings and databases does."""

    def __init__(self, libraries: str = OURS, others: str = "", source: str = "", **settings: str) -> None:
        self.held = ""
        self.ran: list[str] = []
        found = {"max_connections": "100", "superuser_reserved_connections": "3", "listen_addresses": "localhost"}
        rows = {**found, **settings}
        self.settings = "\n".join(f"{name}|{value}|" for name, value in rows.items())
        self.settings += f"\nshared_preload_libraries|{libraries}|{source}\n"
        self.others = others

    def ask(self, description: Description, sql: str, *more: str, database: str = "postgres") -> str:
        self.ran.append(sql)
        named = {"pg_settings\nWHERE": self.settings, "datistemplate": self.others, "rolpassword, ''": self.held}
        return next((answer for part, answer in named.items() if part in sql), "")


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Server:
    return use(monkeypatch, Server())


def use(monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    monkeypatch.setattr(database, "ask", server.ask)
    monkeypatch.setattr(database, "answers", lambda _: True)
    return server


def test_a_server_that_has_all_is_left_alone(served: Server) -> None:
    served.others = "other\n"
    database.require_no_surprise(one_host(), may_restart=False)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_connections": "300"}, "max_connections 300 -> 100"),
        ({"superuser_reserved_connections": "5"}, "superuser_reserved_connections 5 -> 3"),
        ({"libraries": ""}, "lacks auto_explain, pg_stat_statements"),
    ],
)
def test_a_restart_of_a_server_of_others_is_a_persons_decision(
    settings: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Server(others="wiki\nshop2\n", **settings))
    with pytest.raises(HostError, match=f"{reason}.*serves wiki, shop2 too; say --restart-postgresql"):
        database.require_no_surprise(one_host(), may_restart=False)
    database.require_no_surprise(one_host(), may_restart=True)
    use(monkeypatch, Server(**settings))
    database.require_no_surprise(one_host(), may_restart=False)


def test_reserved_connections_are_asked_for_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Server(others="wiki\n", reserved_connections="2"))
    newer = one_host(database=Database("shop", "shop", version=17))
    with pytest.raises(HostError, match="reserved_connections 2 -> 0"):
        database.require_no_surprise(newer, may_restart=False)


def test_libraries_of_somebody_else_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    early = "/etc/postgresql/15/main/postgresql.conf"
    use(monkeypatch, Server(libraries=f"timescaledb, {OURS}", source=early))
    with pytest.raises(HostError, match=r"loads timescaledb, which 50-shop\.conf would replace.*90-local\.conf"):
        database.require_no_surprise(one_host(), may_restart=True)
    for late in ("/etc/postgresql/15/main/conf.d/90-local.conf", "/var/lib/data/postgresql.auto.conf"):
        use(monkeypatch, Server(libraries=f"timescaledb, {OURS}", source=late))
        database.require_no_surprise(one_host(), may_restart=False)


def test_a_server_that_does_not_run_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "answers", lambda _: False)
    database.require_no_surprise(one_host(), may_restart=False)
    assert database.held_verifier(one_host()) == ""


def test_a_password_of_somebody_else_is_not_overwritten(
    served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.held = make_verifier("of somebody else") + "\n"
    places = Places("shop", tmp_path)
    with pytest.raises(HostError, match="with another password"):
        database.set_up(places, one_host(), make_verifier("ours"))
    assert not any("CREATE" in sql for sql in served.ran)


def test_logins_are_written_once_and_whose_the_file_is_stays(tmp_path: Path) -> None:
    path = database.hba_path(one_host(), tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("local all all peer\n")
    path.chmod(0o640)
    own = 'local "shop" "shop" scram-sha-256\n'
    text = database.wanted_hba(one_host(), own, tmp_path)
    assert text.splitlines()[1] == own.strip()
    database.rewrite(path, text)
    assert path.stat().st_mode & 0o777 == 0o640
    assert database.wanted_hba(one_host(), own, tmp_path) == ""


def test_a_verifier_that_userlist_lacks_is_found(served: Server, tmp_path: Path) -> None:
    verifier = make_verifier("word")
    served.held = f"{verifier}\n"
    database.require_same_verifier(one_host(), verifier, tmp_path)
    userlist = tmp_path / "etc/shop/pgbouncer/userlist.txt"
    userlist.parent.mkdir(parents=True)
    userlist.write_text(f'"shop" "{verifier}"\n')
    database.require_same_verifier(one_host(), verifier, tmp_path)
    userlist.write_text(f'"shop" "{make_verifier("word")}"\n')
    with pytest.raises(HostError, match=r"userlist\.txt has another verifier of shop"):
        database.require_same_verifier(one_host(), verifier, tmp_path)
    with pytest.raises(HostError, match="PostgreSQL has another verifier of shop"):
        database.require_same_verifier(one_host(), make_verifier("word"), tmp_path)


QUERY = three_hosts(pgbouncer=Bouncer(auth="query"))


class Roles(Server):
    """Answers, and keeps what it is told of the role that looks verifiers up."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.held_lookup, self._file = "", folder / "run/harden-web-shop/verifier"

    def ask(self, description: Description, sql: str, *more: str, database: str = "postgres") -> str:
        said = super().ask(description, sql, *more, database=database)
        if ':"lookup" PASSWORD' in sql:
            assert self._file.stat().st_mode & 0o777 == 0o600
            self.held_lookup = self._file.read_text()
        return self.held_lookup if sql.endswith("rolname = :'lookup'") else said


def test_the_role_that_looks_up_over_a_network_gets_its_password_once_as_a_verifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, places = Roles(tmp_path), Places("web-shop", tmp_path)
    use(monkeypatch, server)
    ours = SimpleNamespace(pw_uid=os.geteuid(), pw_gid=os.getegid())
    monkeypatch.setattr(database.pwd, "getpwnam", lambda _: ours)
    real = database.sql_files
    monkeypatch.setattr(database, "sql_files", lambda description, root=tmp_path: real(description, root))
    for path in ("etc/web-shop/postgresql/roles.sql", "etc/web-shop/postgresql/auth_query.sql", "run/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("SELECT 1;")
    places.state.mkdir(parents=True)
    verifier = make_verifier("word")
    database.set_up(places, QUERY, verifier, "look it up")
    assert verify("look it up", server.held_lookup)
    assert not any("look it up" in sql for sql in server.ran)
    assert database.is_set_up(places, QUERY, verifier, "look it up")
    assert not database.is_set_up(places, QUERY, verifier, "another")
    held = server.held_lookup
    database.set_up(places, QUERY, verifier, "look it up")
    assert server.held_lookup == held
    database.set_up(places, QUERY, verifier, "another")
    assert verify("another", server.held_lookup)
    assert not (tmp_path / "run/harden-web-shop").exists()


def test_with_lookups_userlist_is_nobodys_verifier(served: Server, tmp_path: Path) -> None:
    verifier = make_verifier("word")
    served.held = f"{verifier}\n"
    userlist = tmp_path / "etc/web-shop/pgbouncer/userlist.txt"
    userlist.parent.mkdir(parents=True)
    userlist.write_text('"web-shop-pgbouncer" "look it up"\n')
    database.require_same_verifier(QUERY, verifier, tmp_path)
