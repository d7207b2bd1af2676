"""Reading `harden.toml`: what is refused, with which words, and that no secret is repeated."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import settings
from deploy.description import Description
from deploy.description_environment import WRITTEN
from deploy.description_text import LARGEST_BYTES
from deploy.load_description import DescriptionError, load, parse, warnings_of

SMALLEST = """
[app]
name = "shop"
target = "app:app"
[database]
name = "shop"
role = "shop"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        parse(text)
    assert str(caught.value) == "; ".join(caught.value.problems)
    assert all("\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


def with_key(section: str, line: str) -> str:
    """Return the smallest description with a line more in a section."""
    if f"[{section}]\n" in SMALLEST:
        return SMALLEST.replace(f"[{section}]\n", f"[{section}]\n{line}\n")
    return f"{SMALLEST}[{section}]\n{line}\n"


def test_smallest_description_loads_with_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "harden.toml"
    path.write_text("\ufeff" + SMALLEST, encoding="utf-8")  # as some editors save it
    description = load(path)
    assert (description.app.name, description.server.threads) == ("shop", 8)
    assert description == parse(SMALLEST)


def test_values_and_variables_are_taken() -> None:
    text = f"""{SMALLEST}
[hosts]
app = ["web1", "10.0.0.2"]
[front]
balancer = true
balancer_from = ["10.0.0.9"]
[environment]
FEATURE_SEARCH = "on; 'quoted' \\"twice\\" 100%"
DB_SLOW_QUERY_MS = "250"
"""
    description = parse(text.replace('role = "shop"', 'role = "shop"\nhost = "db.example.com"'))
    assert description.hosts.app == ("web1", "10.0.0.2")
    assert description.front.balancer is True
    assert description.environ["FEATURE_SEARCH"] == "on; 'quoted' \"twice\" 100%"


def test_every_problem_is_listed_with_its_line() -> None:
    text = '[app]\nnmae = "shop"\ntarget = 5\nkeep = 1\n[databse]\nname = "x"\n[front]\nkind = "apache"\n'
    found = problems(text)
    assert "harden.toml:2: app.nmae is no key of [app]; did you mean name?" in found
    assert "harden.toml:3: app.target is a whole number (5); it must be text in quotes" in found
    assert "harden.toml:4: app.keep is 1; it must be 2 to 50" in found
    assert "harden.toml:5: databse is no section; did you mean database?" in found
    assert "harden.toml:8: front.kind is 'apache'; it must be nginx or none" in found
    assert any(problem.startswith("harden.toml:1: app.name is missing") for problem in found)
    assert any(problem.startswith("harden.toml: database.role is missing") for problem in found)


def test_rules_between_keys_are_told_beside_other_problems() -> None:
    text = SMALLEST.replace('target = "app:app"', 'target = "app:app"\nkeep = "5"')
    found = problems(text + '[front]\ncertificate = "/etc/shop.pem"\n')
    assert found == [
        "harden.toml:5: app.keep is text ('5'); it must be a whole number without quotes",
        "harden.toml:9: front.certificate_key is missing; TLS needs the certificate and its key",
    ]


@pytest.mark.parametrize(("text", "said"), [
    ('[front]\ncertificate = "/a"\ncertificate_key = "b"\n', "front.certificate_key is 'b'; it must be"),
    ('[front]\ncertificate = "/a"\ncertificat_key = "/b"\n', "did you mean certificate_key?"),
    ('[fornt]\ncertificate_key = "/b"\n[front]\ncertificate = "/a"\n', "fornt is no section; did you mean front?"),
    ('[hosts]\napp = "a"\n[front]\nbalancer = true\nbalancer_from = ["10.0.0.1"]\n', "hosts.app is 'a'"),
])  # fmt: skip
def test_what_follows_from_another_problem_is_not_told(text: str, said: str) -> None:
    found = problems(SMALLEST + text)
    assert any(said in problem for problem in found)
    assert not any("is missing" in problem or "with one host" in problem for problem in found)


@pytest.mark.parametrize(("section", "line", "said"), [
    ("server", 'threads = "8"', "is text ('8'); it must be a whole number without quotes"),
    ("server", "threads = 8.0", "is a number with a point (8.0)"),
    ("server", "threads = true", "is a truth value (true)"),
    ("server", "threads = 0", "is 0; it must be 1 to 256"),
    ("server", "threads = 1979-05-27", "is a date or time"),
    ("server", "threads = {a = 1}", "is a table (not shown)"),
    ("front", 'balancer = "true"', "must be true or false, without quotes"),
    ("front", "domains = 'shop.example.com'", "must be a list, such as ['shop.example.com']"),
    ("front", 'domains = ["Shop.Example.com"]', "(in small letters)"),
    ("front", 'domains = ["a.example", "a.example"]', "front.domains has a.example twice"),
    ("front", "domains = ['a.example', 5]", "has an entry 2 that is a whole number"),
    ("front", "certificate = '/etc/a.pem'", "front.certificate_key is missing"),
    ("front", "certificate_key = '/etc/a.pem'", "front.certificate is missing"),
    ("front", "balancer = true\nbalancer_from = ['10.0.0.1']", "with one host in hosts.app"),
    ("front", "port = 80", "is no key of [front]; it is one of [database] and [pgbouncer]"),
    ("hosts", "app = []", "is an empty list"),
    ("hosts", 'app = ["web1", "web2"]', "database.host is a socket folder of one host, and hosts.app has 2"),
    ("app", 'migrate = "a\\nrm -rf /"', "app.migrate holds a line end"),
    ("app", 'migrate = "a\\u0000"', "holds the control character U+0000"),
    ("app", 'migrate = "a\\u202Eb"', "holds the control character U+202E"),
    ("app", 'static = "static"\nstatic_url = "/"', "must be a folder with / at both ends"),
    ("app", 'static = "static"\nhealth = "/static/ok"', "below app.static_url"),
    ("app", 'health = "/a/../b"', "must be a plain path"),
    ("app", f'migrate = "{"a" * 1001}"', "has 1001 characters; 1000 are the most"),
    ("database", 'host = "db;include /etc/passwd"', "it must be a socket folder such as /run/postgresql, or a"),
    ("database", 'host = "db.example"\nsslmode = "verify-full"', "database.ca is missing"),
    ("database", "reserved = 3", "PostgreSQL 15 has no reserved_connections"),
    ("database", 'host = "localhost"\nport = 6432', "pgbouncer.port is 6432, as database.port"),
    ("watch", 'scrape_from = ["10.0.0.5/24"]', "has host bits set"),
    ("watch", 'scrape_from = ["1:2:3"]', "watch.scrape_from has '1:2:3'"),
    ("pgbouncer", "version = 1.18", "is a number with a point (1.18); it must be text in quotes"),
])  # fmt: skip
def test_what_cannot_be_used_is_said(section: str, line: str, said: str) -> None:
    found = problems(with_key(section, line))
    assert len(found) == 1
    assert said in found[0]
    assert found[0].startswith("harden.toml")


@pytest.mark.parametrize(("hosts", "said"), [
    ('["localhost", "web2"]', "harden.toml:10: hosts.app has localhost beside other hosts"),
    ('["web1", "WEB1"]', "harden.toml:10: hosts.app has web1 twice"),
])  # fmt: skip
def test_hosts_are_named_once_and_as_others_reach_them(hosts: str, said: str) -> None:
    text = SMALLEST.replace('role = "shop"', 'role = "shop"\nhost = "db.example"')
    assert said in problems(f"{text}[hosts]\napp = {hosts}\n")[0]


@pytest.mark.parametrize("name", ["root", "nginx", "www-data", "shop-pgbouncer", "shop-health", "systemd-shop"])
def test_names_of_something_else_are_refused(name: str) -> None:
    assert "choose another" in problems(SMALLEST.replace('name = "shop"', f'name = "{name}"', 1))[0]


def test_a_certificate_of_pgbouncers_comes_with_its_key() -> None:
    text = f'{SMALLEST}[pgbouncer]\ncertificate = "/etc/ssl/db.crt"\n'
    assert "pgbouncer.certificate_key is missing" in problems(text)[0]
    assert parse(f'{text}certificate_key = "/etc/ssl/db.key"\n').pgbouncer.certificate == "/etc/ssl/db.crt"


@pytest.mark.parametrize("pool", [0, 1])
def test_migrations_that_go_through_pgbouncer_have_a_session_beside_their_locks(pool: int) -> None:
    text = SMALLEST.replace('target = "app:app"', 'target = "app:app"\nmigrate = "true"')
    afar = text.replace('role = "shop"', 'role = "shop"\nhost = "db.example"')
    bouncer = f'[pgbouncer]\nplace = "database"\nsession_pool = {pool}\n'
    assert f"pgbouncer.session_pool is {pool}" in problems(f"{afar}{bouncer}")[0]
    assert parse(f"{text}{bouncer}").pgbouncer.session_pool == pool  # on one host they go past it


def test_a_superuser_is_no_role_for_an_app() -> None:
    assert "a superuser" in problems(SMALLEST.replace('role = "shop"', 'role = "postgres"'))[0]


def test_balancer_without_nginx_on_the_hosts_is_refused() -> None:
    text = SMALLEST.replace('role = "shop"', 'role = "shop"\nhost = "db.example"')
    text += '[hosts]\napp = ["web1", "web2"]\n'
    text += '[front]\nkind = "none"\nbalancer = true\nbalancer_from = ["10.0.0.9"]\n'
    assert "speaks to nginx on each host" in problems(text)[0]


@pytest.mark.parametrize(("text", "said"), [
    ("[app\n", "harden.toml:1: this is not TOML: "),
    ("\n\nname = \n", "harden.toml:3: this is not TOML: Invalid value, column 8"),
    ("[app]\n[app]\n", "harden.toml:2: this is not TOML: "),
    ("a = '", "harden.toml:1: this is not TOML: "),
    ("a = " + "9" * 5000, "this is not TOML"),
    ("a = " + "[" * 100_000, "this is not TOML"),
    ("name = 'x'", "name stands before any section; it belongs into [app]"),
    ("zzz = 1", "zzz stands before any section and is no key of one"),
    ("app = 5", "app is 5; it must be a section, [app]"),
    ("environment = 5", "environment is 5; it must be a section"),
    ('"a\\nb" = {}', "'a\\nb' is no section"),
    ("", "app.name is missing"),
])  # fmt: skip
def test_text_that_is_no_description_is_said_to_be_none(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text))


@pytest.mark.parametrize(("section", "line"), [
    ("app", "password = 'hunter2'"), ("database", "password = 'hunter2'"), ("database", "dbPassword = 'hunter2'"),
    ("app", "secret_key = 'hunter2'"), ("front", "token = 'hunter2'"),
    ("app", "migrate = 'PGPASSWORD=hunter2 flask db upgrade'"), ("database", "host = 'postgres://a:hunter2@b/c'"),
    ("front", "domains = ['https://a:hunter2@b.example']"), ("server", "threads = 'postgres://a:hunter2@b/c'"),
    ("environment", "API_KEY = 'hunter2'"), ("environment", "DB_PASSWORD = 'hunter2'"),
    ("environment", "CACHE = 'redis://:hunter2@b/0'"), ("environment", "DATABASE_URL = 'hunter2'"),
    ("environment", "HARDEN_OPS_TOKEN = 'hunter2'"), ("environment", "CACHE = ['redis://:hunter2@b/0']"),
    ("environment", "HARDEN_LOG_FORMAT = 'postgres://a:hunter2@b/c'"), ("environment", "A = {b = 'hunter2'}"),
    ("app", "keep = {password = 'hunter2'}"),
])  # fmt: skip
def test_secrets_are_refused_and_never_repeated(section: str, line: str) -> None:
    found = problems(with_key(section, line))
    assert len(found) == 1
    assert "hunter2" not in found[0]
    assert "secrets file" in found[0] or "not shown" in found[0]


def test_a_secret_before_any_section_is_not_repeated() -> None:
    assert not any("hunter2" in problem for problem in problems(f"password = 'hunter2'\n{SMALLEST}"))


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_variables_that_the_kit_writes_are_refused_with_the_key_to_use(name: str) -> None:
    assert problems(with_key("environment", f"{name} = '3'")) == [
        f"harden.toml:9: environment.{name} cannot stand here: the kit writes it; {WRITTEN[name]}"
    ]


def test_what_the_rendered_environment_sets_is_refused_but_for_what_may_be_set_otherwise() -> None:
    """The description's variables come after the kit's in one file, and the last one holds."""
    template = (Path(__file__).resolve().parents[2] / "deploy" / "templates" / "app.env.j2").read_text()
    rendered = set(re.findall(r"^([A-Z][A-Z_]+)=", template, re.MULTILINE))
    assert rendered - set(WRITTEN) == {"DB_POOL_PEER_TIMEOUT", "HARDEN_LOG_FORMAT"}


def test_every_setting_of_the_runtime_is_written_a_secret_or_free() -> None:
    free = {name for name in settings.BY_NAME if name not in WRITTEN and name not in settings.SECRETS}
    for name in sorted(free):
        default = settings.BY_NAME[name].default
        value = str(default).lower() if default is not None else ""
        if value:
            assert parse(with_key("environment", f"{name} = '{value}'")).environ == {name: value}


@pytest.mark.parametrize(("line", "said"), [
    ("feature = 'on'", "is no name of a variable"),
    ("A = 5", "is a whole number (5); it must be text in quotes"),
    ("A = 'a\\nb'", None),
    ('A = "a\\nb"', "holds a line end"),
    ("DB_SLOW_QUERY_S = '5'", "did you mean DB_SLOW_QUERY_MS?"),
    ("DB_SLOW_QUERY_MS = 'x'", "is not a number"),
])  # fmt: skip
def test_variables_are_checked_as_the_start_would(line: str, said: str | None) -> None:
    text = with_key("environment", line)
    if said is None:
        parse(text)  # TOML's single quotes take a backslash as it is
    else:
        assert said in problems(text)[0]


def test_files_that_cannot_be_read_are_said_so(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"[app]\nname = 'caf\xe9'\n")
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (LARGEST_BYTES + 1))
    for path, said in (
        (tmp_path / "none.toml", "does not exist; make one with: scripts/harden init"),
        (tmp_path, "cannot be read: Is a directory"),
        (latin, "latin.toml:2: byte 17 is no UTF-8"),
        (large, "is larger than 256 kB"),
    ):
        with pytest.raises(DescriptionError, match=said):
            load(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_others_own_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "harden.toml"
    path.write_text(SMALLEST)
    path.chmod(0)
    with pytest.raises(DescriptionError, match="cannot be read: Permission denied"):
        load(path)


@pytest.mark.parametrize(("lines", "said"), [
    ('host = "db.example.com"', "database.sslmode is 'prefer' over a network"),
    ('ca = "/etc/ca.pem"', "database.ca is used by"),
    ('[front]\ndomains = ["a.example"]', "front.certificate is missing"),
    ('[front]\ncertificate = "/a"\ncertificate_key = "/b"', "front.domains is empty"),
    ('[pgbouncer]\nprocesses = 2', "pgbouncer.processes is 2 with version 1.18.0"),
    ('host = "127.0.0.1"\n[hosts]\napp = ["web1", "web2"]', "database.host is 127.0.0.1 on each of 2 hosts"),
])  # fmt: skip
def test_what_works_and_should_not_stay_so_is_a_warning(lines: str, said: str) -> None:
    found = warnings_of(parse(SMALLEST + lines))
    assert len(found) == 1
    assert said in found[0]


def test_one_host_with_everything_has_no_warnings() -> None:
    assert warnings_of(parse(SMALLEST)) == []


TOML_VALUES = st.recursive(
    st.text(max_size=20) | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08X}" for char in value) + '"'
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower()


@given(section=st.sampled_from(["app", "hosts", "server", "database", "front", "watch", "environment"]),
       key=st.sampled_from(["migrate", "app", "threads", "ca", "domains", "scrape_from", "FREE", "static_url"]),
       value=TOML_VALUES)  # fmt: skip
def test_no_value_of_any_kind_passes_with_a_line_end_or_fails_otherwise(section, key, value) -> None:
    """Whatever stands in the file: a description without a line end in it, or a list of problems."""
    try:
        description = parse(with_key(section, f"{key} = {_toml(value)}"))
    except DescriptionError as error:
        assert error.problems
        return
    assert isinstance(description, Description)
    assert not any(char in text for text in _texts(description) for char in "\r\n\x00\u2028")


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (tuple, list)):
        return [text for entry in value for text in _texts(entry)]
    if isinstance(value, dict):
        return [text for pair in value.items() for text in _texts(pair)]
    return [text for entry in vars(value).values() for text in _texts(entry)] if hasattr(value, "__dict__") else []


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_description_or_a_list_of_problems(text: str) -> None:
    for whole in (text, SMALLEST + text):
        try:
            parse(whole)
        except DescriptionError as error:
            assert error.problems
