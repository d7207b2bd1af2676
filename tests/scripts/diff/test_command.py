"""`harden diff`: new, changed, gone, mode and owner, of a rendered folder and of a host; no secret is shown."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.files import File
from deploy.host import tree
from deploy.host.places import Places
from scripts import cli
from scripts.diff import command
from scripts.diff.compare import Unreadable, differences, on_host

from ..render.samples import FILE, KEY, PASSWORD, SECRETS, VERIFIER, write

SITE = "/etc/nginx/conf.d/checked-shop.conf"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


@pytest.fixture
def rendered(capsys: pytest.CaptureFixture[str], folder: Path) -> Path:
    """A folder that was rendered before."""
    assert cli.main(["render", "--secrets", "secrets.env"]) == 0
    capsys.readouterr()
    return folder / "rendered"


def _diff(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 1) -> str:
    code = cli.main(["diff", "--secrets", "secrets.env", *arguments])
    shown = capsys.readouterr()
    assert (code, shown.err) == (expected, "")
    return shown.out


def test_the_same_is_silent_and_0(capsys: pytest.CaptureFixture[str], rendered: Path) -> None:
    assert _diff(capsys, "--against", "rendered", expected=0) == ""


def test_a_changed_description_is_a_unified_diff_from_old_to_new(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path
) -> None:
    (folder / "harden.toml").write_text(f"{FILE}\n[front]\nbody_mb = 25\n")
    out = _diff(capsys, "--against", "rendered")
    assert out.startswith(f"{SITE}: changed\n--- is {SITE}\n+++ should be {SITE}\n@@ ")
    assert "-    client_max_body_size 10m;\n+    client_max_body_size 25m;\n" in out


def test_files_that_come_and_go_are_told(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path
) -> None:
    (folder / "harden.toml").write_text(f'{FILE}\n[front]\nkind = "none"\n')
    out = _diff(capsys, "--against", "rendered")
    assert f"{SITE}: gone\n--- is {SITE}\n+++ should be /dev/null\n" in out
    write(folder)
    cli.main(["render", "--as", "database"])
    capsys.readouterr()
    assert f"{SITE}: new\n--- is /dev/null\n" in _diff(capsys, "--against", "rendered")


def test_a_secret_file_is_only_said_to_differ(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path
) -> None:
    other = VERIFIER.replace("MDEyMzQ1Njc4OWFiY2RlZg==", "YW5vdGhlciBzYWx0Li4uLg==")
    assert other != VERIFIER
    (folder / "secrets.env").write_text(SECRETS.replace(VERIFIER, other))
    out = _diff(capsys, "--against", "rendered")
    assert out == "/etc/checked-shop/pgbouncer/userlist.txt: changed\n    (secret: not shown)\n"


def test_secrets_within_other_files_are_masked(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path
) -> None:
    env = rendered / "app/etc/checked-shop/app.env"
    by_hand = f"SECRET_KEY={KEY}\nSMTP=smtp://me:hunter2@mail\nX={PASSWORD}\nDB_PASSWORD=hunter2\nZ={VERIFIER}\n"
    env.write_text(env.read_text() + by_hand)
    out = _diff(capsys, "--against", "rendered")
    assert "-SECRET_KEY=***\n-SMTP=smtp://me:***@mail\n-X=***\n-DB_PASSWORD=***\n-Z=***\n" in out
    for secret in (KEY, PASSWORD, "hunter2", "SCRAM"):
        assert secret not in out


def test_without_secrets_it_says_what_was_not_compared(
    capsys: pytest.CaptureFixture[str], rendered: Path
) -> None:
    assert cli.main(["diff", "--against", "rendered"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("not compared: /etc/checked-shop/pgbouncer/userlist.txt: DATABASE_VERIFIER is not known")


def test_a_folder_that_was_not_rendered_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "other").mkdir()
    assert cli.main(["diff", "--against", "other"]) == 2
    assert "other has no harden-render.json" in capsys.readouterr().err


def _on_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the verb look at a folder instead of this host."""
    root = folder / "host"
    monkeypatch.setattr(command, "on_host", lambda: on_host(root))
    monkeypatch.setattr(command, "Places", lambda name: Places(name, root))
    return root


def _installed(rendered: Path, root: Path) -> None:
    for path in (rendered / "app").rglob("*"):
        if path.is_file():
            place = root / path.relative_to(rendered / "app")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def test_of_a_host_modes_owners_and_what_is_new_are_told(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _on_host(folder, monkeypatch)
    _installed(rendered, root)
    (root / "etc/checked-shop/app.env").chmod(0o666)
    (root / SITE[1:]).unlink()
    (root / "etc/nginx/harden.conf").unlink()
    (root / "etc/nginx/harden.conf").symlink_to("/etc/nginx/nginx.conf")
    out = _diff(capsys, "--as", "app")
    assert re.search(r"^/etc/checked-shop/app.env: mode 0666, not 0644", out, re.MULTILINE)
    assert f"{SITE}: new\n" in out
    assert "/etc/nginx/harden.conf: a link, not a file\n" in out
    assert re.search(r"^\S+/userlist.txt: .*owner \S+, not root:checked-shop-pgbouncer$", out, re.MULTILINE)
    assert VERIFIER not in out


def test_of_a_host_files_of_the_last_release_that_are_no_more_have_to_go(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _on_host(folder, monkeypatch)
    _installed(rendered, root)
    places = Places("checked-shop", root)
    old = root / "etc/systemd/system/checked-shop-old.service"
    old.write_text("[Unit]\n")
    others = File("/etc/checked-shop/postgresql/roles.sql", "")
    tree.save(places.current / "etc", [File("/etc/systemd/system/checked-shop-old.service", "[Unit]\n"), others])
    out = _diff(capsys, "--as", "app")
    assert "/etc/systemd/system/checked-shop-old.service: gone\n" in out
    assert "roles.sql" not in out  # the host is its database's as well


def test_what_cannot_be_read_is_2_and_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise Unreadable(path)

    monkeypatch.setattr(command, "on_host", lambda: refuse)
    assert cli.main(["diff", "--as", "database"]) == 2
    assert re.search(r"\d files cannot be read, such as /etc/\S+; use sudo\n$", capsys.readouterr().err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_without_rights_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x").touch(mode=0o000)
    [found] = differences([File("/x", "")], [], on_host(tmp_path))
    assert isinstance(found, Unreadable)


def test_colours_are_for_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], folder: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "harden.toml").write_text(f"{FILE}\n[front]\nbody_mb = 25\n")
    assert "\x1b" not in _diff(capsys, "--against", "rendered")
    shown = _on_a_terminal(monkeypatch, lambda: cli.main(["diff", "--against", "rendered", "--as", "app"]))
    assert "\x1b[32m+    client_max_body_size 25m;\x1b[0m" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in _on_a_terminal(monkeypatch, lambda: cli.main(["diff", "--against", "rendered"]))


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, do: Callable[[], int]) -> str:
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stdout, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        do()
        stdout.write("END\n")
        stdout.flush()
        shown = ""
        while "END" not in shown:
            shown += os.read(controller, 4096).decode()
    os.close(controller)
    return shown
