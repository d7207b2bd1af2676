"""However a run ends, its servers end with it and its folder goes away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import psycopg2
import pytest

from scripts.errors import CommandError
from scripts.stack import Stack
from scripts.stack.child import Child, clean_environment, unprivileged_user, user_ids
from scripts.stack.postgres import Cluster

from .running import ROOT, descendants, get, harden, is_gone, runs, wait_until

ONE = ("--workers", "1")  # Gunicorn waits long for a worker that it is told to stop while it forks it
HELLO = """
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return "hello"
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(HELLO)
    return tmp_path / "app.py"


def _talker(stack: Stack) -> Child:
    """A process of the run that has logged something; PostgreSQL takes a second to make."""
    script = "import time; print('ready to talk', flush=True); time.sleep(600)"
    child = Child("talker", [sys.executable, "-c", script], stack.run, clean_environment(stack.run, {}))
    child.wait_until(lambda: child.says("ready to talk"), 30)
    return child


def test_a_block_that_ends_well_leaves_neither_process_nor_folder_nor_log_and_disturbs_no_other(
    cluster: Cluster, state: Path
) -> None:
    with Stack() as stack:
        other = stack.postgres()
        assert other.port != cluster.port
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(cluster.dsn().replace(str(cluster.port), str(other.port))).close()
        started = {pid for pid in descendants(os.getpid()) if _is_of(stack.run.path, pid)}
        assert len(started) >= 6  # the server and its background processes
        assert runs(state) == [stack.run.path]
    assert not [pid for pid in started if not is_gone(pid)]
    assert not runs(state)
    assert not list(state.glob("failed-*"))
    assert cluster.execute("SELECT 1") == [(1,)]


def _is_of(run: Path, pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(run)
    except OSError:
        return False  # a backend of another cluster that has just ended


def test_an_exception_stops_the_servers_and_keeps_their_logs(state: Path) -> None:
    said: list[str] = []
    with pytest.raises(ZeroDivisionError), Stack(said.append) as stack:
        child = _talker(stack)
        raise ZeroDivisionError
    assert child.process.wait(10) < 0
    assert not runs(state)
    (kept,) = state.glob("failed-*")
    assert (kept / "talker.log").read_text() == "ready to talk\n"
    assert said == [f"the servers' logs are in {kept}"]


def test_an_error_of_ours_names_the_log_where_it_is_kept(state: Path) -> None:
    with pytest.raises(CommandError) as caught, Stack() as stack:
        child = _talker(stack)
        raise CommandError("something", child.log)
    assert child.process.wait(10) < 0
    assert caught.value.log is not None
    assert caught.value.log.parent.parent == state
    assert caught.value.line() == f"something (log: {caught.value.log})"
    assert caught.value.log.read_text() == "ready to talk\n"


def test_logs_that_cannot_be_kept_do_not_keep_the_servers_up(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def full() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError), Stack(said.append) as stack:
        child = _talker(stack)
        monkeypatch.setattr(stack.run, "keep_logs", full)
        raise CommandError("something")
    assert child.process.wait(10) < 0
    assert not runs(state)
    assert "No space left" in said[-1]


def test_ctrl_c_stops_every_server_and_removes_the_folder(app: Path, state: Path) -> None:
    with harden("up", f"{app}:app", "--embedded", "--pgbouncer", "session", *ONE, state=state) as running:
        assert get(running.serving()) == "hello"
        started = descendants(running.process.pid)
        assert len(started) >= 8
        running.send(signal.SIGINT)
        assert running.ended() == 130
        assert not [pid for pid in started if not is_gone(pid)]
        assert not list(state.glob("[rf]*"))  # neither a run nor logs: nothing failed
        assert running.lines[-1] == "harden: stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_stops_the_server_and_removes_the_folder(
    app: Path, state: Path, number: signal.Signals
) -> None:
    """Under nohup the terminal's farewell is no reason to end."""
    nohup = number == signal.SIGTERM
    with harden("up", f"{app}:app", "--workers", "1", state=state, nohup=nohup) as running:
        url = running.serving()
        started = descendants(running.process.pid)
        if nohup:
            running.send(signal.SIGHUP)
            assert get(url) == "hello"
        running.send(number)
        assert running.ended() == 128 + number
        assert not [pid for pid in started if not is_gone(pid)]
        assert not list(state.glob("[rf]*"))
        assert not running.errors()


def test_servers_end_with_a_harden_that_is_killed_and_the_next_run_removes_its_folder(
    app: Path, state: Path
) -> None:
    """Nobody is there to stop them: the kernel ends them, by the death signal that each was started with."""
    with harden("up", f"{app}:app", "--embedded", "--pgbouncer", "session", *ONE, state=state) as running:
        running.serving()
        started = descendants(running.process.pid)
        running.send(signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, started)), f"the end of {started}")
    (left,) = runs(state)
    with Stack() as stack:
        assert runs(state) == [stack.run.path] != [left]


def test_the_next_run_ends_what_ignored_its_end(state: Path) -> None:
    """A server that ignores SIGTERM, and one that wrote its title over its environment, as backends do."""
    script = dedent("""
        import os, signal, subprocess, sys
        from scripts.stack import Stack
        from scripts.stack.child import Child, clean_environment
        deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " \\
            "signal.signal(signal.SIGQUIT, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
        with Stack() as stack:
            child = Child("deaf", [sys.executable, "-c", deaf], stack.run, clean_environment(stack.run, {}))
            child.wait_until(lambda: child.says("ready"), 30)
            (stack.run.path / "processes" / "deaf").unlink()  # its mark alone has to do
            folder = stack.run.path / "postgres" / "data"
            folder.mkdir(parents=True)
            titled = subprocess.Popen(["sleep", "600"], cwd=folder, env={}, stdout=subprocess.DEVNULL)
            print(child.pid, titled.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=60)
    survivors = [int(pid) for pid in done.stdout.split()]
    assert len(survivors) == 2
    assert not any(map(is_gone, survivors))
    with Stack() as stack:
        assert all(map(is_gone, survivors))
        assert runs(state) == [stack.run.path]


def test_a_run_that_is_interrupted_while_it_starts_leaves_no_server_and_no_shared_memory(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL killed by SIGKILL leaves a segment of shared memory for ever; asked by SIGQUIT it does not."""
    segments: set[str] = set()
    servers: list[Child] = []

    def interrupted(cluster: Cluster) -> bool:
        lock = cluster.socket_folder.parent / "postgres" / "data" / "postmaster.pid"
        if not lock.exists() or len(lock.read_text().splitlines()) < 7:
            return False
        assert cluster.child is not None
        servers.append(cluster.child)
        segments.add(lock.read_text().splitlines()[6].split()[1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Cluster, "_answers", interrupted)
    with pytest.raises(KeyboardInterrupt), Stack() as stack:
        stack.postgres()
    assert servers[0].process.wait(10) is not None
    assert not runs(state)
    assert len(segments) == 1
    there = {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}
    assert not segments & there


def test_stacks_started_by_many_threads_at_once_get_a_folder_each(state: Path) -> None:
    gate = threading.Barrier(8)
    paths: list[Path] = []

    def one() -> None:
        gate.wait(30)
        with Stack() as stack:
            paths.append(stack.run.path)
            gate.wait(30)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(paths)) == 8
    assert not runs(state)


def test_callers_pg_variables_do_not_reach_our_servers(
    cluster: Cluster, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGSSLMODE=require is what many shells have, for a hosted database; PGHOSTADDR would lead elsewhere."""
    wanted = {"PGSSLMODE": "require", "PGHOSTADDR": "192.0.2.1", "PGOPTIONS": "-c nonsense=1", "PGPORT": "1"}
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    with Stack():
        assert cluster.execute("SHOW ssl") == [("off",)]
    assert {name: os.environ[name] for name in wanted} == wanted


def test_root_hands_servers_to_somebody_else() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to hand away")
    user = unprivileged_user()
    assert user in ("postgres", "nobody")
    assert user_ids(user)[0] != 0
