"""Units by systemd's own tools: they verify, expose as little as promised, and no value becomes a directive."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from deploy import unit_files
from deploy.description import App, Bouncer, Database, Description, Hosts
from deploy.errors import InputError
from deploy.files import File
from deploy.unit_network import app_reach

from .golden_files import assert_golden
from .unit_samples import SAMPLES, beside_database, one_host, sized, three_hosts

PROGRAMS = (
    "/bin/sh", "/bin/kill", "/bin/systemctl", "/usr/bin/env", "/usr/sbin/pgbouncer", "/usr/sbin/nginx",
    "/usr/sbin/haproxy",
    "/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/17/bin/postgres",
)  # fmt: skip
# What Debian ships, as far as a drop-in of ours takes something over from it.
DEBIAN = {
    "nginx.service": "[Unit]\nAfter=network-online.target\n[Service]\nType=forking\nPIDFile=/run/nginx.pid\n"
    "ExecStartPre=/usr/sbin/nginx -t\nExecStart=/usr/sbin/nginx\nExecReload=/usr/sbin/nginx -s reload\n"
    "ExecStop=-/sbin/start-stop-daemon --stop\nTimeoutStopSec=5\nKillMode=mixed\n",
    "haproxy.service": "[Service]\nBindReadOnlyPaths=/dev/log:/var/lib/haproxy/dev/log\n"
    'Environment="CONFIG=/etc/haproxy/haproxy.cfg" "PIDFILE=/run/haproxy.pid" "EXTRAOPTS=-S /run/m.sock"\n'
    "ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS\nType=notify\nRestart=always\n",
    "postgresql@.service": "[Unit]\nPartOf=postgresql.service\n[Service]\nType=forking\n"
    "ExecStart=-/usr/bin/pg_ctlcluster --skip-systemctl-redirect %i start\nPIDFile=/run/postgresql/%i.pid\n"
    "ExecStop=/usr/bin/pg_ctlcluster %i stop\nOOMScoreAdjust=-900\n",
    "postgresql.service": "[Service]\nType=oneshot\nExecStart=/bin/sh\n",
}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there (apt-get install systemd)"
)


def all_files(description: Description) -> dict[str, tuple[File, ...]]:
    """Return the files of each kind of host."""
    plan = sized(description)
    return {
        "app": unit_files.files(description, plan),
        "database": unit_files.database_files(description, plan),
        "balancer": unit_files.balancer_files(),
    }


def host_root(root: Path, name: str, files: Iterable[File]) -> Path:
    """Make a host's root folder with these files, Debian's units, and programs that do nothing."""
    programs = [*PROGRAMS, *(f"/opt/{name}/{each}/venv/bin/gunicorn" for each in "ab")]
    for program in programs:
        place = root / program.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    system = root / "usr/lib/systemd/system"  # the only place that systemd 257 knows
    system.mkdir(parents=True)
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")  # where 252 looks
    for unit, text in DEBIAN.items():
        (system / unit).write_text(text)
    for target in ("basic", "sysinit", "shutdown", "sockets", "network", "network-online", "multi-user"):
        (system / f"{target}.target").write_text("[Unit]\n")
    for file in files:
        place = root / file.path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file.text)
    return root


def _analyze(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", f"--root={root}", *words], capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_PAGER": "", "LC_ALL": "C"},
    )  # fmt: skip


def _units(name: str, root: Path) -> list[str]:
    """Return the units of a host, templates with an instance."""
    found = {path.name.removesuffix(".d") for path in (root / "etc/systemd/system").iterdir()}
    slots = {f"{name}{kind}@": "ab" for kind in ("", "-health", "-candidate")}
    instances = {"": (), f"{name}-pgbouncer@": "12", **slots}
    return sorted(
        unit.replace("@.", f"@{instance}.")
        for unit in found
        for instance in (instances[unit.partition("@")[0] + "@"] if "@." in unit else ("",))
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_files_are_the_golden_ones(sample: str) -> None:
    for host, files in all_files(SAMPLES[sample]).items():
        assert_golden(f"units/{sample}/{host}", files)


@needs_systemd
@pytest.mark.parametrize("host", ["app", "database", "balancer"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_systemd_finds_nothing_to_complain_about(sample: str, host: str, tmp_path: Path) -> None:
    name = SAMPLES[sample].app.name
    root = host_root(tmp_path, name, all_files(SAMPLES[sample])[host])
    done = _analyze(root, "verify", "--man=no", "--recursive-errors=no", *_units(name, root))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_systemd_would_complain_about_a_word_that_it_does_not_know(tmp_path: Path) -> None:
    """The check above is worth something only if this one fails."""
    description = one_host()
    files = [replace(file, text=file.text.replace("ProtectClock=", "ProtectClocks=")) for file in
             all_files(description)["app"]]  # fmt: skip
    root = host_root(tmp_path, "shop", files)
    done = _analyze(root, "verify", "--man=no", "--recursive-errors=no", "shop@a.service")
    assert "ProtectClocks" in done.stderr


EXPOSED = [  # a sample, a kind of host, a unit, and tenths
    ("one-host", "app", "shop@a.service", 2),
    ("one-host", "app", "shop-candidate@a.service", 2),
    ("one-host", "app", "shop-pgbouncer@1.service", 2),
    ("one-host", "app", "nginx.service", 14),
    ("one-host", "database", "postgresql@15-main.service", 13),
    ("three-hosts", "app", "web-shop@b.service", 10),
    ("three-hosts", "app", "web-shop-pgbouncer@2.service", 10),
    ("beside-database", "app", "shop@a.service", 11),
    ("beside-database", "database", "shop-pgbouncer@1.service", 11),
    ("beside-database", "balancer", "haproxy.service", 15),
]


@needs_systemd
@pytest.mark.parametrize(("sample", "host", "unit", "tenths"), EXPOSED)
def test_units_expose_no_more_than_promised(
    sample: str, host: str, unit: str, tenths: int, tmp_path: Path
) -> None:
    root = host_root(tmp_path, SAMPLES[sample].app.name, all_files(SAMPLES[sample])[host])
    done = _analyze(root, "security", "--offline=true", f"--threshold={tenths}", "--no-pager", unit)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    worse = _analyze(root, "security", "--offline=true", "--threshold=1", "--no-pager", unit)
    assert worse.returncode != 0  # so the threshold is looked at


def _text(files: Iterable[File], path: str) -> str:
    return next(file.text for file in files if file.path == f"/etc/systemd/system/{path}")


def test_the_app_has_no_network_unless_it_needs_one() -> None:
    description = one_host()
    assert "PrivateNetwork=yes" in _text(all_files(description)["app"], "shop@.service")
    calling = one_host(app=replace(description.app, calls=("192.0.2.0/24",)))
    text = _text(all_files(calling)["app"], "shop@.service")
    assert "PrivateNetwork" not in text
    assert "IPAddressAllow=localhost 192.0.2.0/24\n" in text
    anywhere = one_host(app=replace(description.app, calls=("0.0.0.0/0",)))
    assert "IPAddress" not in _text(all_files(anywhere)["app"], "shop@.service")


def test_a_candidate_is_tried_as_the_instance_will_run() -> None:
    for description in SAMPLES.values():
        name, files = description.app.name, all_files(description)["app"]
        instance, candidate = (_text(files, f"{name}{kind}@.service") for kind in ("", "-candidate"))
        assert instance[instance.index("NoNewPrivileges="):] == candidate[candidate.index("NoNewPrivileges="):]
        for word in ("User", "Group", "WorkingDirectory", "EnvironmentFile", "MemoryMax", "TasksMax"):
            found = [re.findall(rf"^{word}=.*$", text, re.MULTILINE) for text in (instance, candidate)]
            assert found[0] == found[1] != []


def test_a_candidate_gets_no_request_never_comes_back_and_shares_no_figures() -> None:
    files = all_files(one_host())["app"]
    text = _text(files, "shop-candidate@.service")
    assert "shop.socket" not in text
    assert "ListenStream=/run/shop/candidate/web.sock\n" in _text(files, "shop-candidate@.socket")
    assert "\nRestart=no\n" in text
    assert "[Install]" not in text
    assert "ExecStart=/usr/bin/env HARDEN_RUN_DIR=/run/shop/candidate-run" in text
    assert "RuntimeDirectory=shop/candidate-run\n" in text


def test_every_socket_has_the_filter_itself() -> None:
    sockets = [file for file in all_files(one_host())["app"] if file.path.endswith(".socket")]
    assert len(sockets) == 3
    assert all("\nIPAddressDeny=any\n" in socket.text for socket in sockets)


def test_pgbouncer_lets_the_apps_hosts_in_where_it_listens_for_them() -> None:
    description = beside_database(hosts=Hosts(app=("10.0.0.1", "[fd00::2]")),
                                  database=Database(name="shop", role="shop", host="10.0.0.5"))  # fmt: skip
    text = _text(all_files(description)["database"], "shop-pgbouncer@.service")
    assert "IPAddressAllow=localhost 10.0.0.1/32 fd00::2/128\n" in text
    assert not [file for file in all_files(description)["app"] if "pgbouncer" in file.path]


@pytest.mark.parametrize(("version", "place", "processes", "signal"), [
    ("1.18.0", "app", 2, "SIGINT"), ("1.18.0", "database", 2, "SIGINT"), ("1.23.0", "app", 2, "SIGINT"),
    ("1.23.0", "database", 1, "SIGINT"), ("1.23.0", "database", 2, "SIGTERM"),
])  # fmt: skip
def test_pgbouncer_is_stopped_by_the_signal_that_loses_least(
    version: str, place: str, processes: int, signal: str
) -> None:
    bouncer = Bouncer(version=version, place=place, processes=processes)
    assert unit_files.stop_signal(beside_database(pgbouncer=bouncer)) == signal


def test_the_app_starts_after_each_pgbouncer_and_stops_before_it() -> None:
    text = _text(all_files(three_hosts())["app"], "web-shop@.service")
    for number in (1, 2):
        assert re.search(rf"^After=.* web-shop-pgbouncer@{number}\.service", text, re.MULTILINE)
    assert "Requires=web-shop.socket web-shop-health@%i.socket\n" in text


def test_without_pgbouncer_there_is_no_word_of_it() -> None:
    description = one_host(pgbouncer=Bouncer(enabled=False))
    for file in all_files(description)["app"]:
        assert "pgbouncer" not in (file.path + file.text).lower().replace("a restart of pgbouncer", "")


def test_files_that_systemd_reads_say_what_makes_it_read_them() -> None:
    for files in all_files(three_hosts()).values():
        for file in files:
            assert file.reload.startswith("system"), file.path
            assert file.mode == 0o644


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not there")
def test_users_are_made_as_systemd_understands_them(tmp_path: Path) -> None:
    root = host_root(tmp_path, "shop", all_files(one_host())["app"])
    done = subprocess.run(
        ["systemd-sysusers", f"--root={root}", "shop.conf"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    users = (root / "etc" / "passwd").read_text().splitlines()
    assert [line.split(":")[0] for line in users] == ["shop", "shop-build", "shop-pgbouncer"]
    assert all(line.endswith(":/:/usr/sbin/nologin") for line in users)


hostile = st.text(max_size=30) | st.sampled_from(
    [word + end for word in ("shop", "/etc/x", "gthread") for end in
     ("\n[Service]\nUser=root", "%i", "%%", '"', "'", "\\", ";", " ; /bin/sh", "$HOME", "#", "\r", "\x00", "é")]
)  # fmt: skip


def _skeleton(files: Iterable[File]) -> list[tuple[int, list[str]]]:
    """Return sections and directives of every file, without values."""
    return [
        (number, re.findall(r"^(\[\w+\]|\w+=|[ud] )", file.text.replace("\\\n", ""), re.MULTILINE))
        for number, file in enumerate(files)
    ]


@settings(deadline=None, max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(name=hostile, secrets=hostile, kit=hostile, kind=hostile, host=hostile)
def test_no_value_becomes_a_directive_a_specifier_or_an_argument(
    name: str, secrets: str, kit: str, kind: str, host: str
) -> None:
    """The description's checks are left out here: a unit defends itself."""
    base = one_host()
    plan = sized(base)
    for description, folder in (
        (replace(base, app=replace(base.app, name=name)), "app"),
        (replace(base, app=replace(base.app, secrets=secrets or "x")), "app"),
        (base, kit),
        (replace(base, server=replace(base.server, worker_class=kind)), "app"),
        (replace(base, app=replace(base.app, calls=(host,))), "app"),
    ):
        try:
            files = unit_files.files(description, plan, folder)
        except InputError:
            continue
        calls = {"none": (), "some": ("10.0.0.1",), "any": ("0.0.0.0/0",)}[app_reach(description).kind]
        expected = unit_files.files(replace(base, app=replace(base.app, calls=calls)), plan)
        assert _skeleton(files) == _skeleton(expected)
        specifiers = [re.findall(r"%.?", file.text.replace("%%", "")) for file in files]
        assert specifiers == [re.findall(r"%.?", file.text.replace("%%", "")) for file in expected]


def test_a_percent_sign_stays_one() -> None:
    description = one_host(app=App(name="shop", target="app:app", secrets="/etc/100%i"))
    assert "EnvironmentFile=/etc/100%%i\n" in _text(all_files(description)["app"], "shop@.service")
