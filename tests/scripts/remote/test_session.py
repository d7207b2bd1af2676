"""A program on the other side of a real sshd: what it gets, what comes back, and what ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from scripts.errors import CommandError
from scripts.remote import host
from scripts.remote.readiness import Remote
from scripts.remote.session import LostError, Made, Session, wait_for

from .conftest import Server

Kit = Callable[[str], IO[bytes]]
SECRET = b"PASSWORD=hunter2-hunter2\n"
# Undoes what it has begun, saying so, whatever ends it; tells by a file that it did.
CAREFUL = """
import os, signal, sys, time
def end(number, _):
    raise SystemExit(128 + number)
signal.signal(signal.SIGHUP, end)
done = sys.argv[1]
try:
    open(done + ".begun", "w").close()
    time.sleep(60)
except BaseException as error:
    for step in range(2000):
        print("undoing step", step, file=sys.stderr, flush=True)
    open(done, "w").write(type(error).__name__ + " " + str(error) + " " + os.getcwd())
    raise
"""


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    before = _folders()
    yield
    _until(lambda: not _folders() - before, "a folder of the transport is left")


def _folders() -> set[Path]:
    return {path for place in (host.PLACE, host.PRIVATE) for path in Path(place).glob("harden-remote-*")}


def _until(is_so: Callable[[], bool], otherwise: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


def _ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)  # the thread that waits must wake up


def test_a_verb_runs_with_its_arguments_and_its_exit_code_comes_back(
    remote: Remote, kit: Kit, capfd: pytest.CaptureFixture[str]
) -> None:
    program = kit("import sys; print(sys.argv[1:]); print('aside', file=sys.stderr); sys.exit(1)")
    words = ["release", "--note", "it's; $(false) \"x\" \n*"]
    assert wait_for([Session(remote, words, program, b"", "")]) == [1]
    said = capfd.readouterr()
    assert said.out == f"{words}\n"
    assert said.err == "aside\n"


def test_each_line_of_one_of_several_hosts_has_its_name(
    remote: Remote, kit: Kit, capfd: pytest.CaptureFixture[str]
) -> None:
    program = kit("import sys; print('a\\nb'); print('c', file=sys.stderr)")
    assert wait_for([Session(remote, ["status"], program, b"", "web1: ")]) == [0]
    said = capfd.readouterr()
    assert said.out == "web1: a\nweb1: b\n"
    assert said.err == "web1: c\n"


def test_it_runs_in_a_private_folder_without_the_callers_environment(
    remote: Remote, kit: Kit, capfd: pytest.CaptureFixture[str]
) -> None:
    program = kit("import os; print(oct(os.stat('.').st_mode), os.stat('.').st_uid, *sorted(os.environ))")
    assert wait_for([Session(remote, ["status"], program, b"", "")]) == [0]
    mode, owner, *names = capfd.readouterr().out.split()
    assert (mode, owner) == ("0o40700", "0")
    assert {"PATH", "HOME", "LANG"} <= set(names)
    assert not [name for name in names if name.startswith(("SSH_", "PG", "DATABASE"))]


def test_secrets_arrive_as_a_private_file_and_in_no_process_list(
    remote: Remote, kit: Kit, capfd: pytest.CaptureFixture[str]
) -> None:
    program = kit(
        "import os, pathlib, sys; path = pathlib.Path(sys.argv[2])\n"
        "lines = b''.join(each.read_bytes() for each in pathlib.Path('/proc').glob('[0-9]*/cmdline'))\n"
        "print(oct(path.stat().st_mode), len(path.read_bytes()), b'hunter2' in lines, path.parent.parent)"
    )
    assert wait_for([Session(remote, ["--secrets", Made("SECRETS")], program, SECRET, "")]) == [0]
    assert capfd.readouterr().out == f"0o100600 {len(SECRET)} False /run\n"


def test_files_that_go_along_are_named_by_where_they_are_there(
    remote: Remote, kit: Kit, capfd: pytest.CaptureFixture[str]
) -> None:
    program = kit("import os, sys; print(sys.argv[1].removeprefix(os.getcwd()))")
    assert wait_for([Session(remote, [Made("FOLDER", "/app/harden.toml")], program, b"", "")]) == [0]
    assert capfd.readouterr().out == "/app/harden.toml\n"


@pytest.mark.parametrize("wait", [0.0, 0.5], ids=["at once", "at work"])
def test_an_interrupt_reaches_the_verb_which_undoes_and_still_tells_it(
    remote: Remote, kit: Kit, tmp_path: Path, capfd: pytest.CaptureFixture[str], wait: float
) -> None:
    session = Session(remote, [str(tmp_path / "done")], kit(CAREFUL), b"", "")
    if wait:
        _until((tmp_path / "done.begun").exists, "it never began")
    interrupting = threading.Timer(0.3, _ctrl_c)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        wait_for([session])
    interrupting.join()
    if wait:
        assert (tmp_path / "done").read_text().startswith("KeyboardInterrupt")
        assert "undoing step 1999\n" in capfd.readouterr().err


def test_a_lost_connection_is_a_hangup_and_undoing_goes_on_though_nobody_listens(
    sshd: Server, kit: Kit, tmp_path: Path
) -> None:
    """Far more is told meanwhile than a pipe holds."""
    done = tmp_path / "done"
    with sshd.connection() as connection:
        session = Session(Remote(connection, ()), [str(done)], kit(CAREFUL), b"", "")
        _until((tmp_path / "done.begun").exists, "it never began")
        assert connection._master is not None
        connection._master.kill()
        (outcome,) = wait_for([session])
    assert isinstance(outcome, LostError)
    assert "the connection to web1 was lost" in str(outcome)
    assert "\n" not in str(outcome)
    _until(done.exists, "it never heard of it")
    _until(lambda: "SystemExit 129" in done.read_text(), "it was ended in another way")


def test_a_connection_that_is_lost_while_files_are_sent_leaves_nothing(sshd: Server, kit: Kit) -> None:
    with sshd.connection() as connection:
        tar = kit("raise SystemExit('never')")
        tar.seek(0)
        command = Remote(connection, ()).command(
            "/usr/bin/python3", "-c", f"exec(open({str(Path(host.__file__))!r}).read())"
        )
        child = connection.start(command)
        assert child.stdin is not None
        child.stdin.write(b'{"command": ["x"], "tar": 100000, "secrets": 0}\n' + tar.read())
        _until(lambda: bool(_folders()), "it never began")
        out, err = child.communicate(timeout=20)  # closes our end
        assert (child.returncode, out) == (255, b"")
        assert b"Traceback" not in err


def test_two_hosts_run_side_by_side_and_both_hear_an_interrupt(
    sshd: Server, kit: Kit, tmp_path: Path
) -> None:
    with sshd.connection("web1") as one, sshd.connection("web2") as other:
        sessions = [
            Session(Remote(each, ()), [str(tmp_path / name)], kit(CAREFUL), b"", f"{name}: ")
            for name, each in (("web1", one), ("web2", other))
        ]
        for name in ("web1", "web2"):
            _until((tmp_path / f"{name}.begun").exists, "it never began")
        threading.Timer(0.2, _ctrl_c).start()
        with pytest.raises(KeyboardInterrupt):
            wait_for(sessions)
    assert {(tmp_path / name).read_text().split()[0] for name in ("web1", "web2")} == {"KeyboardInterrupt"}


def test_a_killed_client_takes_its_connection_with_it(sshd: Server, tmp_path: Path) -> None:
    """No ssh of ours stays behind after kill -9, and the host hears of it."""
    code = (
        "import sys, time; from scripts.remote.connection import Connection\n"
        "c = Connection('web1', sys.argv[1:]).__enter__()\n"
        "print(c._master.pid, c._folder, flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", code, *sshd.options], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout is not None
    pid, folder = child.stdout.readline().split()
    child.kill()
    child.communicate()
    _until(lambda: not _is_alive(int(pid)), "ssh is still there")
    for path in Path(folder).iterdir():
        path.unlink()
    Path(folder).rmdir()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_errors_of_the_connection_are_told_as_one_line(remote: Remote) -> None:
    with pytest.raises(CommandError) as caught:
        remote.connection.run("sleep 20", timeout=0.3)
    assert str(caught.value) == "web1 did not answer within 0 s; try again"
