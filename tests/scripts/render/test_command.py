"""`harden render`: every file of a host in a folder, the same bytes each time, and never over somebody else's."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from deploy.host import putting, tree
from deploy.host.places import Places
from scripts import cli
from scripts.render import rendered

from .samples import FILE, KEY, PASSWORD, VERIFIER, write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def _render(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    code = cli.main(["render", *arguments])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    return shown.out.splitlines()


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["render", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    return shown.err


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_lies_below_its_kind_and_is_listed_with_mode_owner_and_reload(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    lines = _render(capsys)
    [app_env] = [line for line in lines if line.endswith("/etc/checked-shop/app.env")]
    assert app_env.split() == ["0644", "root:root", "/etc/checked-shop/app.env"]
    [site] = [line for line in lines if "/etc/nginx/conf.d/checked-shop.conf" in line]
    assert site.endswith("  systemctl reload nginx")
    assert lines[0] == "app"
    assert "database" in lines
    assert (folder / "rendered/app/etc/checked-shop/app.env").read_text().startswith("# From harden.toml")
    assert (folder / "rendered/database/etc/checked-shop/postgresql/roles.sql").exists()
    listed = [line for line in lines if line.startswith("  ")]
    assert lines[-1] == f"{len(listed)} files in rendered"


def test_the_same_description_gives_the_same_bytes(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    first = _render(capsys, "--output", "one", "--secrets", "secrets.env")
    second = _render(capsys, "--output", "two", "--secrets", "secrets.env")
    assert first[:-1] == second[:-1]
    assert _tree(folder / "one") == _tree(folder / "two")


def test_without_the_verifier_userlist_is_left_out_and_said_so(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    lines = _render(capsys)
    [line] = [line for line in lines if line.startswith("left out: ")]
    assert line.startswith("left out: /etc/checked-shop/pgbouncer/userlist.txt: DATABASE_VERIFIER is not known")
    assert "--secrets" in line
    assert not list(folder.rglob("userlist.txt"))
    assert "SCRAM-SHA-256$" not in str(_tree(folder / "rendered"))


def test_with_secrets_the_folder_is_for_its_owner_alone_and_nothing_is_shown(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    lines = _render(capsys, "--secrets", "secrets.env")
    [userlist] = folder.rglob("userlist.txt")
    assert VERIFIER in userlist.read_text()
    assert stat.S_IMODE(userlist.stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "rendered").stat().st_mode) == 0o700
    assert "keep it out of version control" in lines[-1]
    for secret in (VERIFIER, PASSWORD, KEY):
        assert secret not in "\n".join(lines)
        others = {path: text for path, text in _tree(folder / "rendered").items() if "userlist" not in path}
        assert secret.encode() not in b"".join(others.values())


def test_secrets_that_others_can_read_are_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "secrets.env").chmod(0o644)
    assert "chmod 0600" in _refused(capsys, "--secrets", "secrets.env")
    assert "cannot be read" in _refused(capsys, "--secrets", "none.env")


def test_a_verifier_that_is_none_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "secrets.env").write_text("DATABASE_VERIFIER=hunter2hunter2\n")
    said = _refused(capsys, "--secrets", "secrets.env")
    assert "DATABASE_VERIFIER: the text is no SCRAM-SHA-256 verifier" in said
    assert "hunter2" not in said
    assert not (folder / "rendered").exists()


def test_files_that_are_rendered_no_more_are_removed_and_others_stay(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    _render(capsys)
    note = folder / "rendered/database/etc/note.txt"
    note.write_text("mine")
    lines = _render(capsys, "--as", "app")
    assert any(line.startswith("removed database/etc/checked-shop/postgresql/roles.sql") for line in lines)
    assert [str(path.relative_to(folder)) for path in (folder / "rendered/database").rglob("*")] == [
        "rendered/database/etc", "rendered/database/etc/note.txt",
    ]  # fmt: skip


def test_a_folder_of_somebody_elses_is_left_alone(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs/file").write_text("x")
    assert "this did not make it; give another --output" in _refused(capsys, "--output", "theirs")
    assert _tree(folder / "theirs") == {"file": b"x"}
    (folder / "empty").mkdir()
    _render(capsys, "--output", "empty")


def test_a_link_inside_does_not_lead_out(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    _render(capsys)
    (folder / "outside").mkdir()
    target = folder / "rendered/app/etc/nginx"
    target.rename(folder / "moved")
    target.symlink_to(folder / "outside")
    assert "is a link" in _refused(capsys)
    assert list((folder / "outside").iterdir()) == []


@pytest.mark.parametrize("path", ["/../../outside", "outside", "//x", "/a/../../../outside"])
def test_a_manifest_that_names_what_lies_outside_is_refused(
    path: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    _render(capsys)
    outside = folder / "outside"
    outside.write_text("x")
    manifest = folder / "rendered/harden-render.json"
    told = json.loads(manifest.read_text())
    told["files"].append({**told["files"][0], "path": path})
    manifest.write_text(json.dumps(told))
    assert "cannot be used" in _refused(capsys)
    assert outside.exists()


def test_a_plan_that_does_not_fit_is_not_rendered(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "harden.toml").write_text(f"{FILE}max_connections = 10\n")
    assert "database.max_connections" in _refused(capsys)
    assert not (folder / "rendered").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["none.toml"], "none.toml does not exist"), (["--output", "/proc/no/where"], "cannot be written")],
)
def test_what_cannot_be_is_one_line_and_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in _refused(capsys, *arguments)
    with pytest.raises(SystemExit) as caught:
        cli.main(["render", "--as", "kitchen"])
    assert caught.value.code == 2


def test_on_a_host_its_own_kinds_are_the_default(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places("checked-shop", folder)
    monkeypatch.setattr(rendered, "Places", lambda name: places)
    tree.save(putting.folder_of(places, "database"), [])
    assert _render(capsys)[0] == "database"
    assert _render(capsys, "--as", "app")[0] == "app"


def test_several_kinds_have_a_folder_each(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    front = '[front]\ndomains = ["shop.example"]\n[watch]\nscrape_from = ["10.0.0.9"]\n'
    (folder / "harden.toml").write_text(FILE + front)
    _render(capsys, "--as", "monitoring", "--as", "app", "--as", "app")
    kinds = sorted(path.name for path in (folder / "rendered").iterdir())
    assert kinds == ["app", "harden-render.json", "monitoring"]
    assert (folder / "rendered/monitoring/etc/prometheus/checked-shop.yml").exists()
