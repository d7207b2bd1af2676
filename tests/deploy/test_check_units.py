"""systemd itself looks at rendered units, and at units with a hole or a wrong word in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .check_samples import asked, changed, everything, needs, subject, text_of
from .unit_samples import beside_database, one_host, three_hosts

needs_systemd = needs("systemd-analyze", "systemd")
KINDS = ("app", "database", "balancer")
SERVICES = {
    "one-host": one_host(), "three-hosts": three_hosts(), "beside-database": beside_database(),
    "everything": everything(),
}  # fmt: skip


@needs_systemd
@pytest.mark.parametrize("sample", SERVICES)
def test_systemd_understands_every_unit_and_bars_hold(sample: str, tmp_path: Path) -> None:
    service = subject(tmp_path, SERVICES[sample], *KINDS)
    for name in ("units", "exposure"):
        found = asked(name, service)
        assert (found.state, text_of(found)) == ("ok", "")


@needs_systemd
def test_a_word_that_systemd_does_not_know_is_a_finding(tmp_path: Path) -> None:
    service = subject(tmp_path, one_host(), "app")
    service = changed(service, "/shop@.service", lambda text: text.replace("ProtectClock=", "ProtectClocks="))
    found = asked("units", service)
    assert "ProtectClocks" in text_of(found)
    assert str(tmp_path) not in text_of(found)


@needs_systemd
@pytest.mark.parametrize(("unit", "line", "shown"), [
    ("/shop@.service", "PrivateNetwork=yes\n", "shop@a.service has an exposure of 0."),
    ("/shop-pgbouncer@.service", "PrivateDevices=yes\n", "shop-pgbouncer@1.service has an exposure of 0."),
    ("/nginx.service.d/harden.conf", "ProtectKernelModules=yes\n", "nginx.service has an exposure of 1."),
    ("15-main.service.d/harden.conf", "ProtectKernelLogs=yes\n", "15-main.service has an exposure of 1."),
])  # fmt: skip
def test_a_hole_in_a_sandbox_is_a_finding_with_both_figures(
    unit: str, line: str, shown: str, tmp_path: Path
) -> None:
    service = subject(tmp_path, one_host(), "app", "database")
    service = changed(service, unit, lambda text: text.replace(line, ""))
    said = text_of(asked("exposure", service))
    assert shown in said
    assert "was promised" in said


@needs_systemd
def test_a_unit_without_a_figure_is_a_finding_and_not_passed_over(tmp_path: Path) -> None:
    service = subject(tmp_path, one_host(), "app")
    service = changed(service, "/shop@.service", lambda text: "[Service]\nType=none of them\n")
    assert "gives no figure for shop@a.service" in text_of(asked("exposure", service))


@needs_systemd
def test_exposure_is_told_with_figures(tmp_path: Path) -> None:
    text = asked("exposure", subject(tmp_path, one_host(), "app", "database")).text
    for shown in ("nginx 1.4", "postgresql@15-main 1.3", "shop@a 0.2", "shop-pgbouncer@1 0.2"):
        assert shown in text


def test_where_no_unit_is_rendered_it_is_skipped(tmp_path: Path) -> None:
    for name in ("units", "exposure"):
        assert asked(name, subject(tmp_path, everything(), "monitoring")).state == "skipped"
