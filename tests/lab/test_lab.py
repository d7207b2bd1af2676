"""The lab keeps what it says: hosts boot, fail as told, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from scripts.load import Request

from . import network, processes
from .errors import LabError
from .host import Host
from .lab import Lab
from .loads import Load

ROOT = Path(__file__).resolve().parents[2]
SERVICE = """
[Unit]
Description=answers with what lies on the disk
[Service]
ExecStart=/usr/bin/python3 -m http.server 8000 --directory /srv/kept
[Install]
WantedBy=multi-user.target
"""
ECHO = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer(("", 7000), Echo).serve_forever()
"""
RUNNER = """
import sys, time
from tests.lab import Lab
lab = Lab()
lab.open()
lab.boot("orphan")
print(lab.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Iterator[list[Host]]:
    """Two hosts that tests leave as they found them."""
    hosts = lab.boot("left", "right")
    yield hosts
    for host in hosts:
        host.destroy()


def namespaces(pid: int | str) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/ns").iterdir()}


def members(spaces: set[str]) -> set[int]:
    """Return the processes that are in one of some namespaces."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and namespaces(folder.name) & spaces:
                found.add(int(folder.name))
        except OSError:
            continue  # ended meanwhile
    return found


def own_namespaces(lab: Lab) -> set[str]:
    """Return the namespaces of a lab that are not the machine's."""
    spaces = namespaces(lab.switch)
    for host in lab.hosts:
        spaces |= namespaces(processes.recorded(host.folder / "init") or 0)
    return spaces - namespaces("self")


def echo(host: Host) -> socket.socket:
    """Return a connection from the lab's network to something that sends back what it gets."""
    host.write("/srv/echo.py", ECHO)
    host.shell("systemctl is-active -q echo || systemd-run -q --unit=echo python3 /srv/echo.py")
    host.wait_port(7000)
    with host.lab.inside():
        conn = socket.create_connection((host.address, 7000), timeout=5)
    conn.sendall(b"before\n")
    assert conn.recv(100) == b"before\n"
    return conn


def test_hosts_boot_to_a_running_systemd_of_their_own(pair: list[Host], lab: Lab) -> None:
    for host in pair:
        assert host.state() == "running", host.run("systemctl", "--failed").stdout
        assert host.run("cat", "/proc/1/comm").stdout == "systemd\n"
        assert host.run("hostname").stdout == f"{host.name}\n"
        assert f"VERSION_CODENAME={lab.recipe.suite}" in host.read("/etc/os-release")


def test_nothing_that_packages_bring_listens_before_a_test_starts_it(pair: list[Host]) -> None:
    assert pair[0].run("ss", "-Hltn").stdout == ""
    assert "postgres" not in pair[0].run("ps", "-eo", "comm").stdout


def test_hosts_reach_each_other_by_name_and_nothing_else(pair: list[Host]) -> None:
    left, right = pair
    left.run("ping", "-c1", "-W2", "right")
    right.run("ping", "-c1", "-W2", "left")
    assert left.run("ip", "route", "get", "198.51.100.7", check=False).returncode != 0


def test_the_machine_has_no_address_route_or_mount_of_the_lab(pair: list[Host], lab: Lab) -> None:
    seen = subprocess.run("ip -o addr; ip route show table all", shell=True, capture_output=True, text=True).stdout
    assert network.NET not in seen
    assert str(lab.folder) not in Path("/proc/self/mountinfo").read_text()
    assert not any(lab.name in str(path) for path in Path("/run").glob("netns/*"))


def test_a_host_cannot_change_the_machine(pair: list[Host]) -> None:
    """Looked at, never tried: the clock, modules and the kernel's settings are the machine's."""
    for line in pair[0].run("systemd-run", "--quiet", "--pipe", "cat", "/proc/self/status").stdout.splitlines():
        if line.startswith(("CapBnd", "CapEff")):
            allowed = int(line.split()[1], 16)
            assert not allowed & (1 << 16 | 1 << 17 | 1 << 25)  # CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_TIME
    assert pair[0].run("test", "-w", "/proc/sys/kernel/panic", check=False).returncode == 1
    assert pair[0].run("test", "-w", "/proc/sys/net/core/somaxconn", check=False).returncode == 0


def test_a_command_gets_its_input_and_gives_back_output_and_exit_code(pair: list[Host]) -> None:
    done = pair[0].run("sh", "-c", "cat; echo no >&2; exit 7", input="text\n", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("text\n", "no\n", 7)
    with pytest.raises(LabError, match="left: 'sh -c exit 3' ended with 3"):
        pair[0].run("sh", "-c", "exit 3")


def test_a_command_that_takes_too_long_ends_in_the_host_as_well(pair: list[Host]) -> None:
    with pytest.raises(LabError, match="did not end within 1 s"):
        pair[0].run("sleep", "4321", timeout=1)
    assert "4321" not in pair[0].run("ps", "-eo", "args").stdout


def test_files_go_into_a_host_and_come_back(pair: list[Host], tmp_path: Path) -> None:
    (tmp_path / "in/below").mkdir(parents=True)
    (tmp_path / "in/below/a").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "in/run").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "in/run").chmod(0o755)
    pair[0].copy(tmp_path / "in", "/opt/some/where")
    assert pair[0].run("/opt/some/where/run").stdout == "ran\n"
    assert pair[0].run("stat", "-c", "%U:%G", "/opt/some/where/below/a").stdout == "root:root\n"
    pair[0].fetch("/opt/some/where", tmp_path / "out")
    assert (tmp_path / "out/below/a").read_bytes() == (tmp_path / "in/below/a").read_bytes()
    pair[0].write("/etc/secret", "word\n", mode=0o600)
    assert pair[0].run("stat", "-c", "%a", "/etc/secret").stdout == "600\n"


def test_an_enabled_service_and_the_disk_survive_a_power_cut(host: Callable[[str], Host], lab: Lab) -> None:
    web = host("web")
    web.write("/etc/systemd/system/kept.service", SERVICE)
    web.write("/srv/kept/file", "on disk\n")
    web.write("/run/gone", "in memory\n")
    web.run("systemctl", "enable", "--now", "kept")
    web.wait_port(8000)
    boot_id, address = web.read("/etc/machine-id"), web.address
    web.kill9()
    assert not web.is_on
    with pytest.raises(LabError, match="web is off; boot it first"):
        web.run("true")
    assert web.boot() == "running"
    web.wait_port(8000)
    assert (web.read("/etc/machine-id"), web.address) == (boot_id, address)
    assert lab.run("curl", "-sS", "http://web:8000/file").stdout == "on disk\n"
    assert web.run("test", "-e", "/run/gone", check=False).returncode == 1


def test_a_host_halts_in_order_and_reboots_by_itself(host: Callable[[str], Host]) -> None:
    web = host("web")
    first = processes.recorded(web.folder / "init")
    web.run("systemctl", "reboot", "--no-wall", check=False)
    processes.wait(lambda: processes.recorded(web.folder / "init") not in (first, None), 60, "no reboot")
    assert web.wait_up() == "running"
    web.write("/etc/systemd/system/last.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n"
              "ExecStop=touch /srv/stopped\n")  # fmt: skip
    web.run("systemctl", "start", "last")
    web.halt()
    assert not web.is_on
    web.boot()
    web.run("test", "-e", "/srv/stopped")


def test_a_cut_is_silence_and_what_was_sent_arrives_after_it(pair: list[Host]) -> None:
    left, right = pair
    with closing(echo(right)) as conn:
        right.cut()
        conn.sendall(b"meanwhile\n")
        conn.settimeout(1.5)
        with pytest.raises(TimeoutError):  # neither reset nor closed
            conn.recv(100)
        assert left.run("ping", "-c1", "-W1", "right", check=False).returncode != 0
        right.run("ip", "neigh", "flush", "all")
        assert right.run("ping", "-c1", "-W1", "switch", check=False).returncode != 0
        assert "LOWER_UP" in right.run("ip", "link", "show", "eth0").stdout
        right.heal()
        conn.settimeout(30)
        assert conn.recv(100) == b"meanwhile\n"
    left.run("ping", "-c1", "-W5", "right")


def test_a_cut_outlasts_a_power_cut(host: Callable[[str], Host], pair: list[Host]) -> None:
    web = host("web")
    web.cut()
    web.kill9()
    web.boot()
    assert pair[0].run("ping", "-c1", "-W1", "web", check=False).returncode != 0
    web.heal()
    pair[0].run("ping", "-c1", "-W5", "web")


def test_two_hosts_can_lose_each_other_alone(pair: list[Host], lab: Lab) -> None:
    left, right = pair
    echo(right).close()
    left.cut(right)
    assert left.run("ping", "-c1", "-W1", "right", check=False).returncode != 0
    assert right.run("ping", "-c1", "-W1", "left", check=False).returncode != 0
    assert lab.can_connect(right.address, 7000)
    right.heal(left)
    left.run("ping", "-c1", "-W5", "right")


def test_a_frozen_host_holds_connections_and_answers_when_it_thaws(pair: list[Host]) -> None:
    right = pair[1]
    with closing(echo(right)) as conn:
        right.freeze()
        conn.sendall(b"frozen\n")
        conn.settimeout(1)
        with pytest.raises(TimeoutError):
            conn.recv(100)
        with pytest.raises(LabError, match="right is frozen; thaw it first"):
            right.run("true")
        right.thaw()
        conn.settimeout(20)
        assert conn.recv(100) == b"frozen\n"


def test_a_power_cut_is_silence_even_from_a_frozen_host(host: Callable[[str], Host]) -> None:
    web = host("web")
    with closing(echo(web)) as conn:
        web.freeze()
        web.kill9()
        conn.settimeout(1)
        with pytest.raises(TimeoutError):
            conn.recv(100)


def test_postgresql_serves_the_lab_and_recovers_from_a_power_cut(host: Callable[[str], Host], lab: Lab) -> None:
    db = host("db")
    db.shell(
        "cd /etc/postgresql/*/main\n"
        "echo \"listen_addresses = '*'\" >conf.d/lab.conf\n"
        "echo 'host app app samenet scram-sha-256' >>pg_hba.conf\n"
        "systemctl enable --now postgresql\n"
        "runuser -u postgres -- psql -qX -c \"create role app login password 'word'\" "
        "-c 'create database app owner app'"
    )
    dsn = f"host={db.address} dbname=app user=app password=word connect_timeout=5"
    with lab.inside(), closing(psycopg2.connect(dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("create table kept as select 42 as number")
    db.kill9()
    db.boot()
    db.wait_port(5432)
    with lab.inside(), closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute("select number, host(inet_client_addr()) from kept")
        assert cursor.fetchone() == (42, network.SWITCH)
    assert "not properly shut down" in db.shell("cat /var/log/postgresql/postgresql-*-main.log")


def test_load_counts_what_is_lost_and_what_is_not(pair: list[Host], load: Callable[..., Load]) -> None:
    web = pair[0]
    web.write("/etc/nginx/sites-enabled/default", "server { listen 80; location / { return 200 here; } }\n")
    web.run("systemctl", "start", "nginx")
    web.wait_port(80)
    with load(web, [Request("/")], users=2, seconds=1) as quiet:
        pass
    assert quiet.lost() == {}
    assert quiet.result().answered > 0
    with load(web, [Request("/")], users=2, seconds=2) as broken:
        web.run("systemctl", "stop", "nginx")
    assert sum(broken.lost().values()) > 0
    assert "refused" in broken.lost()


def test_labs_beside_each_other_do_not_meet(pair: list[Host], lab: Lab) -> None:
    with Lab() as other:
        (twin,) = other.boot("left")
        assert twin.address == pair[0].address
        twin.write("/srv/mark", "twin")
        assert pair[0].run("test", "-e", "/srv/mark", check=False).returncode == 1
        pair[0].run("ping", "-c1", "-W2", "right")
        assert twin.run("getent", "hosts", "right", check=False).returncode != 0
        twin.run("systemctl", "is-system-running")
    assert pair[0].state() == "running"


def test_destroy_leaves_no_process_namespace_mount_or_control_group(pair: list[Host]) -> None:
    with Lab() as lab:
        lab.boot("a", "b")
        program = subprocess.Popen(lab.command("sh", "-c", "echo; exec sleep 600"), stdout=subprocess.PIPE)
        assert program.stdout is not None
        assert program.stdout.readline() == b"\n"  # somebody's program in its network
        spaces = own_namespaces(lab)
        inside = members(spaces)
        assert len(spaces) > 8
        assert len(inside) > 6
    assert program.wait(20) != 0
    program.stdout.close()
    assert not members(spaces)
    assert not any(processes.started(pid) for pid in inside)
    assert not lab.folder.exists()
    assert not lab.group.exists()
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            assert str(lab.folder) not in table.read_text()
        except OSError:
            continue
    assert pair[0].state() == "running"


def test_the_others_forget_a_host_that_is_destroyed(host: Callable[[str], Host], pair: list[Host]) -> None:
    web = host("web")
    assert "web" in pair[0].read("/etc/hosts")
    index = web.index
    web.destroy()
    assert "web" not in pair[0].read("/etc/hosts")
    assert host("web").index == index


def test_the_next_lab_removes_what_a_killed_runner_left_and_no_living_lab(lab: Lab, pair: list[Host]) -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    with runner.stdout:
        folder = Path(runner.stdout.readline().strip())
    switch = processes.recorded(folder / "switch")
    assert switch is not None
    spaces = namespaces(switch) - namespaces("self")
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait(10)
    processes.wait(lambda: not members(spaces), 30, "the killed runner's lab goes on")  # without any next lab
    assert folder.exists()
    with Lab():
        assert not folder.exists()
        assert lab.folder.exists()
    assert pair[0].state() == "running"


def test_a_named_lab_outlives_its_command_until_it_is_destroyed() -> None:
    name = f"test-{os.getpid()}"

    def command(*words: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.lab", "--lab", name, *words], cwd=ROOT, capture_output=True, text=True,
            timeout=120, input=input,
        )  # fmt: skip

    try:
        booted = command("boot", "a")
        assert booted.stdout == "a 10.77.0.1 running\n", booted.stderr
        assert command("exec", "a", "sh", "-c", "cat; exit 5", input="in").returncode == 5
        with Lab():  # removes leftovers, of which this is none
            assert command("exec", "a", "hostname").stdout == "a\n"
        assert command("kill9", "a").returncode == 0
        assert command("list").stdout.split() == ["a", "off", "10.77.0.1"]
        off = command("exec", "a", "true")
        assert (off.returncode, off.stderr) == (2, "lab: error: a is off; boot it first\n")
        assert command("boot", "a").returncode == 0
    finally:
        assert command("destroy").returncode == 0
    assert command("list").stderr == f"lab: error: there is no lab '{name}'; boot a host first\n"


def test_names_that_could_be_paths_are_refused(lab: Lab) -> None:
    for name in ("../x", "a/b", "", "A", "switch"):
        with pytest.raises(LabError, match="is no name for a host"):
            lab.boot(name)
    with pytest.raises(LabError, match="is no name for a lab"):
        Lab("../x")


def test_the_clock_of_a_wait_is_bounded() -> None:
    began = time.monotonic()
    with pytest.raises(LabError, match="nothing happened within 0 s"):
        processes.wait(lambda: False, 0.2, "nothing happened")
    assert time.monotonic() - began < 30
