"""PgBouncer's files are those in golden/, hold no key that a version lacks, and no value becomes a line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.description import App, Bouncer, Database, Description, Hosts, Timeouts
from deploy.errors import InputError
from deploy.files import File
from deploy.pgbouncer_files import files
from deploy.pgbouncer_process import SOCKETS, check_values, service
from deploy.pgbouncer_verifiers import read_userlist
from deploy.pgbouncer_versions import entry_keys_of, keys_of, read_version
from deploy.plan_sizes import sizes

from .golden_files import assert_golden
from .pgbouncer_reader import read_hba, read_ini
from .samples import VERIFIER

NETWORK = {
    "hosts": Hosts(app=("10.0.0.5", "[2001:db8::5]")),
    "database": Database("app", "app", host="db.example.com", sslmode="verify-full", ca="/etc/ssl/ca.pem"),
}
SAMPLES = {
    "1.18.0": {},
    "1.21.0": {**NETWORK, "pgbouncer": Bouncer(version="1.21.0", place="database", processes=2)},
    "1.24.1": {
        "pgbouncer": Bouncer(version="1.24.1", auth="query", session_pool=0, port=6543),
        "timeouts": Timeouts(connect=3, query_wait=9, worker=45, proxy=50),
    },
    "1.25.2": {
        **NETWORK,
        "hosts": Hosts(app=("web1.example.com", "web2.example.com")),
        "pgbouncer": Bouncer(version="1.25.2", place="database", processes=3, auth="query", mode="session"),
    },
}  # fmt: skip


def described(**sections: Any) -> Description:
    return Description(**{"app": App("shop", "shop:app"), "database": Database("app", "app"), **sections})


def rendered(description: Description, **options: Any) -> dict[str, File]:
    """Return the files by their names, with a password where one is needed."""
    options = {"verifiers": {description.database.role: VERIFIER}, "lookup_password": 'look"up \\', **options}
    found = files(description, sizes(description), **options)
    return {file.path.rpartition("/")[2]: file for file in found}


@pytest.mark.parametrize("version", SAMPLES)
def test_files_are_the_golden_ones(version: str) -> None:
    """To accept a change: GOLDEN=write scripts/test tests/deploy, then read the diff."""
    description = described(**SAMPLES[version])
    found = rendered(description)
    assert rendered(description) == found
    assert_golden(f"pgbouncer-{version}", found.values())


@pytest.mark.parametrize("version", ["1.17.0", "1.18.0", "1.19.0", "1.21.0", "1.23.1", "1.24.1", "1.25.2", "9.9"])
@pytest.mark.parametrize("auth", ["file", "query"])
@pytest.mark.parametrize("place", ["app", "database"])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_no_key_is_written_that_a_version_lacks(version: str, auth: str, place: str, mode: str) -> None:
    bouncer = Bouncer(version=version, auth=auth, place=place, mode=mode, processes=2)
    for sections in ({}, NETWORK):
        found = read_ini(rendered(described(**{**sections, "pgbouncer": bouncer}))["pgbouncer-1.ini"].text)
        numbers = read_version(version)
        assert found.keys.keys() <= keys_of(numbers)
        for pairs in found.entries["databases"].values():
            assert pairs.keys() <= entry_keys_of(numbers)
        assert ("peers" in found.entries) == ("peer_id" in found.keys)
        assert ("peer_id" in found.keys) == (bool(sections) and place == "database" and numbers >= (1, 19, 0))
        assert ("auth_dbname" in found.keys) == (auth == "query" and numbers >= (1, 19, 0))


def test_a_key_that_a_version_lacks_stops_the_render_and_not_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.pgbouncer_files.keys_of", lambda version: keys_of(version) - {"listen_backlog"})
    with pytest.raises(InputError, match=r"PgBouncer 1\.18\.0 has no listen_backlog"):
        rendered(described())


def test_all_connections_together_are_the_plans_and_each_entry_has_its_cap() -> None:
    for version in ("1.18.0", "1.24.1"):
        for auth in ("file", "query"):
            description = described(pgbouncer=Bouncer(version=version, auth=auth, session_pool=3))
            found = read_ini(rendered(description)["pgbouncer-1.ini"].text)
            caps = [
                int(pairs.get("max_db_connections", found.keys["max_db_connections"]))
                for pairs in found.entries["databases"].values()
            ]
            assert sum(caps) == sizes(description).max_db_connections
            assert found.entries["databases"]["app_session"]["pool_mode"] == "session"
            assert int(found.keys["default_pool_size"]) + int(found.keys["reserve_pool_size"]) <= caps[0]


def test_each_directive_has_its_reason_beside_it_or_before_its_group() -> None:
    for sections in SAMPLES.values():
        text = rendered(described(**sections))["pgbouncer-1.ini"].text
        for group in text.rstrip("\n").partition("[pgbouncer]\n")[2].split("\n\n"):
            assert group.startswith(";"), group


def test_on_one_machine_there_is_no_network_and_only_the_apps_role_gets_in() -> None:
    for place in ("app", "database"):
        found = rendered(described(pgbouncer=Bouncer(place=place)))
        keys = read_ini(found["pgbouncer-1.ini"].text).keys
        assert "listen_addr" not in keys
        assert (keys["unix_socket_dir"], keys["listen_port"]) == ("/run/shop-pgbouncer/1", "6432")
        assert (keys["auth_type"], keys["admin_users"]) == ("hba", "")
        assert not {"logfile", "pidfile", "syslog"} & keys.keys()
        (rule,) = read_hba(found["hba.conf"].text)
        assert rule == ["local", '"app', ",", '"app_session', ",", '"pgbouncer', '"app', "scram-sha-256"]


def test_over_a_network_clients_speak_tls_from_the_apps_addresses() -> None:
    found = rendered(described(**{**NETWORK, "pgbouncer": Bouncer(place="database")}))
    keys = read_ini(found["pgbouncer-1.ini"].text).keys
    assert (keys["listen_addr"], keys["client_tls_sslmode"]) == ("*", "require")
    assert keys["client_tls_ciphers"].startswith("ECDHE-")
    rules = read_hba(found["hba.conf"].text)
    assert [(rule[0], rule[-2]) for rule in rules] == [("hostssl", "10.0.0.5/32"), ("hostssl", "2001:db8::5/128")]


def test_beside_the_server_it_comes_by_the_socket_and_before_it_over_the_network_by_tls() -> None:
    beside, before = (
        read_ini(rendered(described(**{**NETWORK, "pgbouncer": Bouncer(place=place)}))["pgbouncer-1.ini"].text)
        for place in ("database", "app")
    )
    assert (beside.entries["databases"]["app"]["host"], beside.keys["server_tls_sslmode"]) == (SOCKETS, "disable")
    assert before.entries["databases"]["app"]["host"] == "db.example.com"
    assert before.keys["server_tls_sslmode"] == "verify-full"
    assert before.keys["server_tls_ca_file"] == "/etc/ssl/ca.pem"


def test_a_database_that_is_named_by_its_address_is_listened_on_there() -> None:
    database = Database("app", "app", host="[2001:db8::1]")
    found = rendered(described(**{**NETWORK, "database": database, "pgbouncer": Bouncer(place="database")}))
    ini = read_ini(found["pgbouncer-1.ini"].text)
    assert ini.keys["listen_addr"] == "2001:db8::1"


def test_a_name_of_an_app_host_admits_anybody_who_speaks_tls_and_nobody_without() -> None:
    sections = {**NETWORK, "hosts": Hosts(app=("10.0.0.5", "web1")), "pgbouncer": Bouncer(place="database")}
    found = rendered(described(**sections))["hba.conf"].text
    assert [(rule[0], rule[-2]) for rule in read_hba(found)] == [("hostssl", "0.0.0.0/0"), ("hostssl", "::/0")]
    assert "a firewall should" in found
    open_to_all = Database("app", "app", host="db.example.com", sslmode="disable")
    with pytest.raises(InputError, match=r"hosts\.app has the name web1"):
        rendered(described(**{**sections, "database": open_to_all}))


def test_without_pgbouncer_there_is_nothing_to_write() -> None:
    assert rendered(described(pgbouncer=Bouncer(enabled=False))) == {}


def test_secrets_are_readable_by_pgbouncer_alone_and_marked() -> None:
    for auth in ("file", "query"):
        found = rendered(described(**{**NETWORK, "pgbouncer": Bouncer(auth=auth)}))
        assert found["userlist.txt"].is_secret
        for name in ("userlist.txt", "hba.conf", "pgbouncer-1.ini"):
            assert (found[name].mode, found[name].owner, found[name].group) == (0o640, "root", "shop-pgbouncer")
            assert found[name].reload.startswith("systemctl reload ")
            assert (VERIFIER in found[name].text) == (name == "userlist.txt" and auth == "file")
        secret = VERIFIER if auth == "file" else 'look"up \\'
        assert read_userlist(found["userlist.txt"].text) == {"app" if auth == "file" else "shop-pgbouncer": secret}


def test_by_a_socket_a_lookup_needs_no_password_and_so_no_file() -> None:
    found = rendered(described(pgbouncer=Bouncer(auth="query")), verifiers={}, lookup_password="")
    assert sorted(found) == ["auth_query.sql", "hba.conf", "pgbouncer-1.ini", "pgbouncer-2.ini"]
    assert "auth_file" not in read_ini(found["pgbouncer-1.ini"].text).keys
    assert 'local app "app"' not in found["auth_query.sql"].text
    assert '--   local "app" "shop-pgbouncer" peer\n' in found["auth_query.sql"].text


@pytest.mark.parametrize(("version", "users"), [("1.18.0", ""), ("1.19.0", "app")])
def test_figures_are_nobodys_where_their_users_would_be_looked_up_in_the_console(version: str, users: str) -> None:
    """PgBouncer before 1.19 hangs such a client until client_login_timeout."""
    found = rendered(described(pgbouncer=Bouncer(version=version, auth="query")))
    assert read_ini(found["pgbouncer-1.ini"].text).keys["stats_users"] == users
    (rule,) = read_hba(found["hba.conf"].text)
    assert ('"pgbouncer' in rule) == bool(users)


@pytest.mark.parametrize(
    ("sections", "options", "reason"),
    [
        ({}, {"verifiers": {}}, "no verifier for the role app"),
        ({}, {"verifiers": {"app": "md5" + "0" * 32}}, "SCRAM verifier cannot stand"),
        ({}, {"verifiers": {"app": "hunter2"}}, "SCRAM verifier cannot stand"),
        ({**NETWORK, "pgbouncer": Bouncer(auth="query")}, {"lookup_password": ""}, "needs a password"),
        ({**NETWORK, "pgbouncer": Bouncer(auth="query")}, {"lookup_password": "hunter2\n"}, "needs a password"),
        ({**NETWORK, "pgbouncer": Bouncer(auth="query")}, {"lookup_password": "x" * 201}, "1 to 200 characters"),
        ({"pgbouncer": Bouncer(version="1.16.1")}, {}, "is older than 1.17.0"),
        ({"database": Database("pgbouncer", "app")}, {}, "is PgBouncer's console"),
        ({"database": Database("a" * 60, "app")}, {}, "has 68 characters of 63"),
        ({"database": replace(NETWORK["database"], ca="")}, {}, "database.ca is missing"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_cannot_work_is_refused_in_one_line_that_shows_no_secret(
    sections: dict[str, Any], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        rendered(described(**sections), **options)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_role_that_is_called_like_a_key_word_is_a_name() -> None:
    for word in ("all", "sameuser", "replication", "local", "pgbouncer-x"):
        found = rendered(described(database=Database("all" if word == "all" else "app", word)))
        (rule,) = read_hba(found["hba.conf"].text)
        assert rule[-2] == f'"{word}'


ENDS = ("\n", "\r", "\0", '"', "'", "]", " ", ";", "#", "%", "=", "\n[x]", "\n%include /x", "' user=x")
endings = [word + end for word in ("app", "/x", "10.0.0.1") for end in ENDS]
texts = st.text(max_size=70) | st.sampled_from(endings) | st.from_regex(r"[A-Za-z0-9_./-]{1,70}", fullmatch=True)
VALUES: dict[tuple[str, str], Any] = {
    ("app", "name"): texts, ("database", "name"): texts, ("database", "role"): texts, ("database", "host"): texts,
    ("database", "ca"): texts, ("database", "sslmode"): texts, ("database", "port"): st.integers() | texts,
    ("pgbouncer", "port"): st.integers() | st.booleans() | texts, ("pgbouncer", "mode"): texts,
    ("pgbouncer", "version"): texts, ("pgbouncer", "auth"): texts, ("pgbouncer", "place"): texts,
    ("hosts", "app"): st.tuples(texts),
}  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(data=st.data(), base=st.sampled_from(sorted(SAMPLES)))
def test_no_value_ever_becomes_a_line_a_section_or_a_rule(data: st.DataObject, base: str) -> None:
    """What is not refused comes out of a strict reader as it went in, among the keys of the sample alone."""
    section, name = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[section, name])
    before = described(**SAMPLES[base])
    hostile = replace(before, **{section: replace(getattr(before, section), **{name: value})})
    try:
        check_values(hostile)
        found = rendered(hostile)
    except InputError as error:
        assert "\n" not in str(error)
        return
    where = service(hostile, sizes(hostile))
    ini = read_ini(found["pgbouncer-1.ini"].text)
    assert ini.keys.keys() <= keys_of(where.version)
    assert list(ini.entries["databases"]) == [entry.alias for entry in where.entries()]
    for pairs in ini.entries["databases"].values():
        assert pairs["host"] in (hostile.database.host.strip("[]"), SOCKETS)
        assert (pairs["port"], pairs["dbname"]) == (str(hostile.database.port), hostile.database.name)
    assert ini.keys["unix_socket_dir"] == f"/run/{hostile.app.name}-pgbouncer/1"
    assert ini.keys["stats_users"] in ("", hostile.database.role)
    assert ini.keys.get("server_tls_ca_file", hostile.database.ca) == hostile.database.ca
    for rule in read_hba(found["hba.conf"].text):
        names = [token for token in rule if token != ","][1:]
        assert names[: len(where.aliases)] == [f'"{alias}' for alias in where.aliases]
        assert (names[len(where.aliases)], names[-1]) == (f'"{hostile.database.role}', "scram-sha-256")
    if "userlist.txt" in found:
        assert list(read_userlist(found["userlist.txt"].text)) == [where.lookup_role or hostile.database.role]


printable = st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"])


@settings(deadline=None, max_examples=100)
@given(password=st.text(printable, min_size=1, max_size=200))
def test_a_lookup_password_of_any_characters_is_one_field_of_one_line(password: str) -> None:
    description = described(**{**NETWORK, "pgbouncer": Bouncer(auth="query")})
    text = rendered(description, lookup_password=password)["userlist.txt"].text
    assert read_userlist(text) == {"shop-pgbouncer": password}
    assert text.count("\n") == 1
