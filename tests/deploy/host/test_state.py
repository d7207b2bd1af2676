"""What the kit remembers on a host: lock, operation under way, audit log, a release's configuration."""

from __future__ import annotations

import json
import multiprocessing
import stat
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from deploy.files import File
from deploy.host import audit, operation, tree
from deploy.host.errors import HostError
from deploy.host.lock import deploy_lock
from deploy.host.operation import Operation
from deploy.host.places import Places
from deploy.host.steps import Steps

UNDER_WAY = Operation("release", "2", "b", "1", "1", "candidate", "2026-01-31T12:00:00Z")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places("shop", tmp_path)


def hold(places: Places, ready: Connection) -> None:
    with deploy_lock(places, "release"):
        ready.send("held")
        ready.recv()


def test_a_second_change_is_refused_with_who_is_at_it_until_they_are_killed(places: Places) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(places, theirs))
    process.start()
    assert ours.recv() == "held"
    refusal = rf"release by .* \(pid {process.pid}\) is under way for shop"
    with pytest.raises(HostError, match=refusal), deploy_lock(places, "rollback"):
        pass
    process.kill()
    process.join()
    with deploy_lock(places, "rollback"):
        assert json.loads(places.lock.read_text())["verb"] == "rollback"
    assert stat.S_IMODE(places.lock.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.state.stat().st_mode) == 0o700


def test_an_operation_is_read_back_as_written_and_cleared(places: Places) -> None:
    places.state.mkdir(parents=True)
    assert operation.read(places) is None
    operation.write(places, UNDER_WAY)
    assert operation.read(places) == UNDER_WAY
    assert not UNDER_WAY.is_switched
    operation.write(places, replace(UNDER_WAY, phase="switched"))
    found = operation.read(places)
    assert found is not None and found.is_switched
    operation.clear(places)
    assert operation.read(places) is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"verb": "release"}', b"\xff\x00"])
def test_an_operation_that_cannot_be_read_is_an_error_that_names_the_file(places: Places, text: bytes) -> None:
    places.state.mkdir(parents=True)
    places.operation.write_bytes(text)
    with pytest.raises(HostError, match=r"operation\.json cannot be read"):
        operation.read(places)


def test_the_audit_log_survives_a_line_that_was_cut_short(places: Places) -> None:
    audit.record(places, "install", "done", seconds=1.5)
    with places.audit.open("a") as stream:
        stream.write('{"verb": "rel')
    audit.record(places, "release", "undone", release="2", reason="ä gate", old=None)
    told = audit.read(places)
    assert [(line["verb"], line["result"]) for line in told] == [("install", "done"), ("release", "undone")]
    assert told[1]["reason"] == "ä gate" and "old" not in told[1]
    assert len(audit.read(places, 1)) == 1
    assert stat.S_IMODE(places.audit.stat().st_mode) == 0o600


def test_a_configuration_comes_back_byte_for_byte(tmp_path: Path) -> None:
    files = (File("/etc/a", "ä\n", 0o640, "root", "www-data", True, "reload me"), File("/etc/b/c", ""))
    tree.save(tmp_path / "etc", files)
    assert tree.load(tmp_path / "etc") == files
    assert stat.S_IMODE((tmp_path / "etc").stat().st_mode) == 0o700
    tree.save(tmp_path / "etc", files[1:])
    assert tree.load(tmp_path / "etc") == files[1:]
    assert not (tmp_path / "etc/root/etc/a").exists()


def test_a_configuration_that_is_cut_short_or_edited_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no complete configuration"):
        tree.load(tmp_path)
    tree.save(tmp_path, (File("/etc/a", "one"),))
    (tmp_path / "root/etc/a").write_text("two")
    with pytest.raises(HostError, match="/etc/a has been changed"):
        tree.load(tmp_path)


def test_a_dry_run_tells_steps_and_does_none() -> None:
    said: list[str] = []
    done: list[str] = []
    steps = Steps(said.append, is_dry=True)
    assert steps("write a file", lambda: done.append("x")) is None
    assert (said, done, steps.count) == (["would write a file"], [], 1)
    real = Steps(said.append)
    assert real("count", lambda: 3) == 3
    assert said[1] == "count"
