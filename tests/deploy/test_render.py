"""The files are those in golden/, byte for byte; no value becomes a line; writes are whole or not at all."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import render
from deploy.errors import InputError
from deploy.inputs import Database, PgBouncer, User
from deploy.render import ROOT, render_pgbouncer, write_files

from .samples import VERIFIER, many, pgbouncer

GOLDEN = Path(__file__).resolve().parent / "golden"
SAMPLES = {"simple": pgbouncer(), "many": many()}


@pytest.mark.parametrize("name", SAMPLES)
def test_files_are_the_golden_ones(name: str) -> None:
    """To accept a change: GOLDEN=write scripts/test tests/deploy, then read the diff."""
    files = render_pgbouncer(SAMPLES[name])
    if os.environ.get("GOLDEN") == "write":
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (GOLDEN / name / file).write_text(text, encoding="utf-8")
    expected = {path.name: path.read_text(encoding="utf-8") for path in (GOLDEN / name).iterdir()}
    assert files == expected


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert render_pgbouncer(many()) == render_pgbouncer(many())


def test_each_directive_that_is_not_the_default_has_its_reason_beside_it() -> None:
    """A comment goes before it, or before the group that it stands in."""
    text = render_pgbouncer(many())["pgbouncer.ini"]
    for group in text.partition("[pgbouncer]\n")[2].split("\n\n"):
        assert group.startswith(";"), group


def test_a_name_that_a_template_uses_and_nobody_gives_is_an_error() -> None:
    environment = render.pgbouncer_environment()
    with pytest.raises(jinja2.UndefinedError, match="'listen_addr' is undefined"):
        environment.get_template("pgbouncer.ini.j2").render(databases=[])


def test_templates_use_every_field_of_the_inputs() -> None:
    text = "".join(path.read_text() for path in (ROOT / "pgbouncer" / "templates").glob("*.j2"))
    for field in PgBouncer.__dataclass_fields__:
        assert re.search(rf"\b{field}\b", text), f"no template uses {field}"


endings = [word + end for word in ("app", "/x", "'") for end in "\n\r\0\"']%;="]
texts = st.text(max_size=80) | st.sampled_from(endings)
counts = st.integers(min_value=-10, max_value=70_000)
ENTRY = re.compile(r"[A-Za-z0-9_.-]+ = host='[^']+' port=\d+ dbname='(?:[^']|'')+'(?: pool_size=\d+)?")


def _lines(ini: str) -> list[str]:
    """Return the lines as PgBouncer ends them, without the values."""
    lines = ini.split("\n")
    without = [re.sub(r"\d+", "N", re.sub(r"^(\w+ = ).*", r"\1", line)) for line in lines[4:]]
    assert ENTRY.fullmatch(lines[3])
    return lines[:3] + without


SKELETON = _lines(render_pgbouncer(pgbouncer())["pgbouncer.ini"])


@settings(deadline=None, max_examples=50)
@given(
    alias=texts, host=texts, dbname=texts, user=texts, address=texts, folder=texts, mode=texts, port=counts,
    size=counts,
)  # fmt: skip
def test_no_value_ever_becomes_a_line_of_its_own(
    alias: str, host: str, dbname: str, user: str, address: str, folder: str, mode: str, port: int, size: int
) -> None:
    """Whatever is not refused: the ini has the template's lines and no other, the user list one line a user."""
    for make in (
        lambda: pgbouncer(databases=(Database(alias, "127.0.0.1", 5432, "app"),)),
        lambda: pgbouncer(databases=(Database("app", host, 5432, "app"),)),
        lambda: pgbouncer(databases=(Database("app", "127.0.0.1", port, dbname, size),)),
        lambda: pgbouncer(users=(User(user, VERIFIER),)),
        lambda: pgbouncer(listen_addr=address),
        lambda: pgbouncer(unix_socket_dir=f"/{folder}"),
        lambda: pgbouncer(pool_mode=mode),
        lambda: pgbouncer(listen_port=port),
        lambda: pgbouncer(max_client_conn=size),
    ):
        try:
            inputs = make()
        except InputError as error:
            assert "\n" not in str(error)
        else:
            files = render_pgbouncer(inputs)
            assert _lines(files["pgbouncer.ini"]) == SKELETON
            assert files["userlist.txt"].count("\n") == 1


quoted = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), min_size=1)


@settings(deadline=None, max_examples=50)
@given(name=quoted.filter(lambda text: len(text.encode()) <= 63))
def test_quoting_is_undone_by_pgbouncers_own_rules(name: str) -> None:
    """A value in single quotes ends at the first that is not doubled; a user's name likewise, in double ones."""
    files = render_pgbouncer(
        pgbouncer(databases=(Database("app", "127.0.0.1", 5432, name),), users=(User(name, VERIFIER),))
    )
    entry = next(line for line in files["pgbouncer.ini"].split("\n") if line.startswith("app = "))
    found = re.fullmatch(r"app = host='127\.0\.0\.1' port=5432 dbname='((?:[^']|'')*)'", entry)
    assert found is not None
    assert found[1].replace("''", "'") == name
    user = re.fullmatch(r'"((?:[^"]|"")*)" "[^"]*"\n', files["userlist.txt"])
    assert user is not None
    assert user[1].replace('""', '"') == name


def test_files_are_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_files(tmp_path, {"a": "grün"})
    finally:
        os.umask(before)
    status = (tmp_path / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())
    assert (tmp_path / "a").read_bytes() == "grün".encode()


def test_files_get_the_owner_and_mode_that_are_asked_for(tmp_path: Path) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    write_files(tmp_path, {"a": "text"}, mode=0o640, owner=owner)
    status = (tmp_path / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, *owner)


@pytest.mark.parametrize("step", ["os.fsync", "os.chown", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "a").write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(step, full)
        with pytest.raises(OSError, match="No space left"):
            write_files(tmp_path, {"a": "new"}, owner=(os.geteuid(), os.getegid()))
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_symlink_in_a_files_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("old")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    write_files(tmp_path, {"a": "new"})
    assert (tmp_path / "precious").read_text() == "old"
    assert not (tmp_path / "a").is_symlink()
