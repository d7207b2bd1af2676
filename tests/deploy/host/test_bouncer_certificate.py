"""PgBouncer's certificate by real openssl: brought or made, whole, for itself alone, and never by halves."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.description import Database, Description
from deploy.host import bouncer_certificate
from deploy.host.errors import HostError
from deploy.host.places import Places
from deploy.host.steps import Steps
from deploy.pgbouncer_process import needs_certificate

from ..unit_samples import beside_database, one_host, three_hosts

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed (apt-get install openssl)"
)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A host whose PgBouncer nobody has to reload."""
    made = Places("shop", tmp_path)
    (made.etc / "pgbouncer").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(bouncer_certificate, "systemctl", lambda *words, check=True: None)
    monkeypatch.setattr(bouncer_certificate, "_group", lambda _: os.getegid())
    return made


def brought(places: Places, description: Description) -> list[str]:
    """Bring it, and return what was told."""
    told: list[str] = []
    bouncer_certificate.bring(places, description, Steps(told.append))
    return told


def subject(places: Places) -> str:
    words = ("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in")
    made = str(places.etc / "pgbouncer/server.crt")
    return subprocess.run((*words, made), capture_output=True, text=True, check=True).stdout


def named(folder: Path, host: str = "db.example") -> Description:
    """Return a description that names a pair, which is made in the folder."""
    folder.mkdir(exist_ok=True)
    other = Places("other", folder)
    (other.etc / "pgbouncer").mkdir(parents=True, exist_ok=True)
    (folder / "run").mkdir(exist_ok=True)
    key, certificate = bouncer_certificate._made(other, host)
    for name, text in (("a.key", key), ("a.crt", certificate)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    bouncer = replace(
        beside_database().pgbouncer, certificate=str(folder / "a.crt"), certificate_key=str(folder / "a.key")
    )
    return beside_database(pgbouncer=bouncer)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [("db.example", "DNS:db.example"), ("10.0.0.5", "IP Address:10.0.0.5"), ("[fd00::5]", "IP Address:FD00:")],
)
def test_one_is_made_for_the_databases_name_or_address_and_stays(places: Places, host: str, wanted: str) -> None:
    description = beside_database(database=Database(name="shop", role="shop", host=host))
    assert len(brought(places, description)) == 1
    assert wanted in subject(places)
    assert brought(places, description) == []
    folder = places.etc / "pgbouncer"
    assert sorted(path.name for path in folder.iterdir()) == ["server.crt", "server.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}
    assert list((places.root / "run").iterdir()) == []


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_half_a_pair_of_an_interrupted_run_is_made_anew(places: Places, name: str) -> None:
    brought(places, beside_database())
    (places.etc / "pgbouncer" / name).unlink()
    assert len(brought(places, beside_database())) == 1
    assert brought(places, beside_database()) == []


def test_a_pair_that_does_not_fit_is_made_anew(places: Places, tmp_path: Path) -> None:
    brought(places, beside_database())
    named(tmp_path / "other")
    (places.etc / "pgbouncer/server.key").write_text((tmp_path / "other/a.key").read_text())
    assert len(brought(places, beside_database())) == 1


def test_one_that_is_named_is_copied_when_it_has_changed_or_others_could_read_it(
    places: Places, tmp_path: Path
) -> None:
    for _ in range(2):
        description = named(tmp_path / "own")
        assert brought(places, description) == [f"copy PgBouncer's certificate from {tmp_path}/own/a.crt"]
        for name in ("crt", "key"):
            found = (places.etc / f"pgbouncer/server.{name}").read_text()
            assert found == (tmp_path / f"own/a.{name}").read_text()
        assert brought(places, description) == []
    (places.etc / "pgbouncer/server.key").chmod(0o644)
    assert len(brought(places, description)) == 1
    assert stat.S_IMODE((places.etc / "pgbouncer/server.key").stat().st_mode) == 0o640


def test_a_named_pair_that_does_not_fit_changes_nothing(places: Places, tmp_path: Path) -> None:
    brought(places, beside_database())
    before = {path.name: path.read_bytes() for path in (places.etc / "pgbouncer").iterdir()}
    description = named(tmp_path / "own")
    key = (tmp_path / "own/a.key").read_text()
    named(tmp_path / "own")
    (tmp_path / "own/a.key").write_text(key)
    with pytest.raises(HostError, match="do not fit"):
        brought(places, description)
    assert {path.name: path.read_bytes() for path in (places.etc / "pgbouncer").iterdir()} == before
    assert list((places.root / "run").iterdir()) == []


def test_a_dry_run_makes_nothing(places: Places) -> None:
    told: list[str] = []
    bouncer_certificate.bring(places, beside_database(), Steps(told.append, is_dry=True))
    assert told[0].startswith("would make PgBouncer a certificate for db.example")
    assert list((places.etc / "pgbouncer").iterdir()) == []


def test_what_is_named_and_cannot_be_used_is_refused_beforehand(tmp_path: Path) -> None:
    description = named(tmp_path / "own")
    bouncer_certificate.require_sources(description)
    (tmp_path / "own/a.key").chmod(0o644)
    with pytest.raises(HostError, match=r"everybody can read the key .*a\.key"):
        bouncer_certificate.require_sources(description)
    (tmp_path / "own/a.crt").write_bytes(b"\xff")
    with pytest.raises(HostError, match="no PEM file"):
        bouncer_certificate.require_sources(description)
    (tmp_path / "own/a.crt").unlink()
    with pytest.raises(HostError, match="cannot be read: No such file"):
        bouncer_certificate.require_sources(description)


def test_an_apps_host_needs_what_makes_it_sure_of_its_server(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="which is not on this host"):
        bouncer_certificate.require_authority(three_hosts(), tmp_path)
    place = tmp_path / three_hosts().database.ca.lstrip("/")
    place.parent.mkdir(parents=True)
    place.write_text("a certificate")
    bouncer_certificate.require_authority(three_hosts(), tmp_path)
    bouncer_certificate.require_authority(beside_database(), tmp_path)


def test_a_certificate_is_needed_where_clients_come_over_a_network_by_tls() -> None:
    plain = Database(name="shop", role="shop", host="db.example", sslmode="disable")
    found = [one_host(), three_hosts(), beside_database(), beside_database(database=plain)]
    assert [needs_certificate(description) for description in found] == [False, False, True, False]
