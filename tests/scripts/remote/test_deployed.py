"""Verbs over several hosts by a real sshd: in turn, up to the first failure, with one migration and one id."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import cli
from scripts.errors import CommandError
from scripts.remote import luggage, secrets
from scripts.remote.readiness import Remote

from .conftest import Server, bundle_of

SHOP = '[app]\nname = "shop"\ntarget = "app:app"\n[database]\nname = "shop"\nrole = "shop"\n'
# Tells what it was given, as a line of a file that all hosts share; fails on the host that the file says.
PROGRAM = """
import json, os, pathlib, sys
log = pathlib.Path({log!r})
there = log.read_text().splitlines() if log.exists() else []
log.open("a").write(json.dumps([sys.argv[1:], sorted(map(str, pathlib.Path(".").glob("app/*")))]) + "\\n")
print("here", len(there) + 1)
sys.exit(1 if len(there) + 1 == {fails} else 0)
"""
Harden = Callable[..., int]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "harden.toml").write_text(SHOP)
    (folder / "app.py").write_text("app = 1\n")
    (folder / ".env").write_text("SECRET=1\n")
    return folder


@pytest.fixture
def harden(
    sshd: Server, no_questions: None, monkeypatch: pytest.MonkeyPatch, log: Path
) -> Callable[..., int]:
    """Runs a command line; on hosts it is PROGRAM that runs."""

    def run(*words: str, fails: int = 0) -> int:
        kit = bundle_of(PROGRAM.format(log=str(log), fails=fails))

        class Kit(luggage.Bundle):  # the kit that goes along, with a program instead of its own
            def finish(self) -> None:
                super().finish()
                self.file.close()
                self.file = kit

        monkeypatch.setattr(luggage, "Bundle", Kit)
        return cli.main([*words, f"--ssh-option=-F {sshd.folder}/config"])

    return run


def _runs(log: Path) -> list[list[str]]:
    return [json.loads(line)[0] for line in log.read_text().splitlines()] if log.exists() else []


def test_each_host_in_turn_and_the_first_alone_migrates(
    harden: Harden, shop: Path, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert harden("release", str(shop), "--migrate", "up", "--ssh", "web1", "--ssh", "root@web2") == 0
    first, second = _runs(log)
    assert first[:2] == ["release", "--migrate=up"]
    assert second[:2] == ["release", "--no-migrate"]
    assert first[-1].endswith("/app")
    said = capfd.readouterr()
    assert said.out == "web1: here 1\nweb2: here 2\n"
    assert "web1" not in said.err


def test_the_first_failure_ends_it_and_says_who_has_what(
    harden: Harden, shop: Path, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = harden("release", str(shop), "--ssh", "web1", "--ssh", "web2", "--ssh", "web3", fails=2)
    assert code == 1
    assert len(_runs(log)) == 2
    said = capfd.readouterr().err.splitlines()
    assert "harden: web1: on the new release; web2: not; not tried: web3" in said
    assert any("scripts/harden release --no-migrate --ssh web2 --ssh web3" in line for line in said)
    assert any("scripts/harden rollback --ssh web1" in line for line in said)


def test_a_host_that_cannot_be_reached_changes_none_of_the_others(
    harden: Harden, shop: Path, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert harden("release", str(shop), "--ssh", "web1", "--ssh", "nobody.invalid") == 2
    assert not log.exists()
    assert "nobody.invalid is no host that can be found" in capfd.readouterr().err


def test_what_only_looks_asks_all_whatever_one_says(
    harden: Harden, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert harden("status", "--ssh", "web1", "--ssh", "nobody.invalid", "--ssh", "web2") == 2
    assert len(_runs(log)) == 2
    assert "nobody.invalid is no host" in capfd.readouterr().err


def test_a_file_of_secrets_that_others_can_read_is_not_sent(
    harden: Harden, shop: Path, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (shop / "secrets").write_text("DATABASE_URL=postgresql://shop:hunter2@/shop\n")
    (shop / "secrets").chmod(0o644)
    file = str(shop / "harden.toml")
    assert harden("install", file, "--secrets", str(shop / "secrets"), "--ssh", "web1") == 2
    assert not log.exists()
    said = capfd.readouterr().err
    assert "0644" in said
    assert "hunter2" not in said


def test_hosts_that_have_none_get_the_secrets_of_those_that_have_some(
    harden: Harden, shop: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    there = {"web1": b"", "web2": b"SECRET_KEY=hunter2-hunter2\n"}
    monkeypatch.setattr(secrets, "read", lambda remote, path: there[remote.host])
    assert harden("install", str(shop / "harden.toml"), "--ssh", "web1", "--ssh", "web2") == 0
    assert all(run[1] == "--secrets" and run[2].startswith("/run/") for run in _runs(log))
    said = capfd.readouterr()
    assert "hunter2" not in said.out + said.err


def test_another_hosts_secrets_are_given_when_it_is_named(
    harden: Harden, shop: Path, log: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    there = {"web3": b"SECRET_KEY=hunter2-hunter2\n", "web1": b"never asked"}
    monkeypatch.setattr(secrets, "read", lambda remote, path: there[remote.host] if "shop" in path else b"")
    file = str(shop / "harden.toml")
    assert harden("install", file, "--secrets-from", "web3", "--ssh", "web1") == 0
    assert _runs(log)[0][1] == "--secrets"
    there["web3"] = b""
    assert harden("install", file, "--secrets-from", "web3", "--ssh", "web1") == 2
    assert "web3 has no /etc/shop/secrets.env; install that host first" in capfd.readouterr().err


def test_files_of_a_release_are_those_of_the_folder_with_one_id_and_no_secrets(
    shop: Path, tmp_path: Path
) -> None:
    import tarfile

    from deploy.host import source
    from deploy.host.building import new_id

    options = argparse.Namespace(path=shop, rev="", config=None, wheels=None)
    with luggage.packed("release", options) as packed:
        packed.tar.seek(0)
        with tarfile.open(fileobj=packed.tar, mode="r|gz") as tar:
            members = list(tar)
            tar_names = {member.name for member in members}
        assert {member.uid for member in members} == {0}
        packed.tar.seek(0)
        with tarfile.open(fileobj=packed.tar, mode="r:gz") as tar:
            tar.extractall(tmp_path / "there", filter="tar")
    assert {"app/app.py", "app/harden.toml", "app/.harden-export", "kit/scripts/launch.py"} <= tar_names
    assert not [name for name in tar_names if name.endswith((".env", ".pyc")) or "/.git" in name]
    one, other = (source.find(tmp_path / "there/app") for _ in range(2))
    assert new_id(one) == new_id(other)
    source.copy(one, tmp_path / "release")
    assert not (tmp_path / "release/.harden-export").exists()


def test_different_secrets_of_two_hosts_are_named_and_not_shown() -> None:
    with pytest.raises(CommandError) as caught:
        secrets.shared({"web1": b"A=1\nKEY=hunter2\n", "web2": b"# A=2\nKEY=hunter3\n"})
    assert str(caught.value).startswith("web1 and web2 have different secrets (KEY)")
    assert "hunter" not in str(caught.value)


def test_secrets_are_read_as_root_and_a_missing_file_is_none(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("KEY=1\n")
    assert secrets.read(remote, str(tmp_path / "secrets.env")) == b"KEY=1\n"
    assert secrets.read(remote, str(tmp_path / "other")) == b""
    with pytest.raises(CommandError, match="cannot be read"):
        secrets.read(remote, str(tmp_path))


def test_options_for_ssh_alone_are_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--ssh-option=-p1"]) == 2
    assert "say which host" in capfd.readouterr().err
