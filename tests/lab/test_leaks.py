"""The search for secrets finds them: a scanner that sees nothing would prove anything."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest

from . import leaks
from .errors import LabError
from .host import Host

SECRET = "nobody/Knows+th1s!"
SECRETS = {"PLANTED": SECRET}
QUIET = f"""
umask 077
mkdir -p /etc/shop
printf '%s\\n' '# DATABASE_URL=postgresql://x:y-in-a-comment@h/d' \
    "DATABASE_URL='postgresql://shop:{quote(SECRET, safe="")}@/shop'" 'OTHER=short' >/etc/shop/secrets.env
mkdir -p /root/kept; echo '{SECRET}' >/root/kept/note
echo '{SECRET}' >/srv/for-the-test-alone
"""


@pytest.fixture
def quiet(host: Callable[[str], Host]) -> Host:
    """A host that keeps its secret where only root can look."""
    web = host("leaky")
    web.shell(QUIET)
    return web


def test_what_only_root_can_read_is_no_leak(quiet: Host) -> None:
    with leaks.watched(quiet, SECRETS) as watch:
        quiet.run("sleep", "0.5")
    assert leaks.find(quiet, SECRETS) == []
    assert watch.found == []


def test_each_place_where_a_secret_can_lie_is_seen(quiet: Host) -> None:
    hidden = base64.b64encode(b"user:" + SECRET.encode()).decode()
    quiet.write("/etc/open.conf", f"password = {SECRET}\n")
    quiet.write("/etc/encoded.conf", f"Authorization: Basic {hidden}\n")
    quiet.write("/tmp/own", SECRET, mode=0o600)
    quiet.write("/var/log/closed.log", f"url=postgresql://shop:{quote(SECRET, safe='')}@/shop", mode=0o600)
    quiet.shell(f"systemd-run -q --unit=talks --collect echo '{SECRET}'; journalctl --sync")
    quiet.shell(f"systemd-run -q --unit=told --setenv=WORD='{SECRET}' sleep 600")
    places = {line.partition(" in ")[2] for line in leaks.find(quiet, SECRETS)}
    assert {"/etc/open.conf", "/etc/encoded.conf", "/tmp/own", "/var/log/closed.log"} <= places
    assert {"journal of talks.service", "unit told.service"} <= places
    assert not any(place.startswith(("/root", "/srv", "/etc/shop")) for place in places)


def test_a_command_line_and_an_open_environment_are_seen_while_they_live(quiet: Host) -> None:
    with leaks.watched(quiet, SECRETS) as watch:
        quiet.shell(f"bash -c 'exec -a \"$1\" sleep 0.3' - 'sleeps-{SECRET}'")
        quiet.shell(f"runuser -u nobody -- env WORD='{SECRET}' perl -e 'select undef, undef, undef, 0.3'")
        quiet.shell(f"systemd-run -q --wait --collect --unit=brief --setenv=WORD='{SECRET}' sleep 0.7")
    seen = {line.partition(" in ")[2] for line in watch.found}
    assert {"cmdline of sleep", "environ of perl", "unit brief.service"} <= seen


def test_secrets_are_taken_with_their_parts(quiet: Host) -> None:
    found = leaks.secrets_of(quiet, "/etc/shop/secrets.env")
    assert found["DATABASE_URL's password"] == SECRET
    assert set(found) == {"DATABASE_URL", "DATABASE_URL's password"}
    assert leaks.in_text(f"- {SECRET}\n", found) == ["DATABASE_URL's password"]
    quiet.write("/etc/shop/empty.env", "# nothing\n")
    with pytest.raises(LabError, match="has no secrets to look for"):
        leaks.secrets_of(quiet, "/etc/shop/empty.env")
