"""Debian's default site goes and comes back as it was; certificates that cannot be used are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.description import Description, Front
from deploy.host import front
from deploy.host.errors import HostError

from ..unit_samples import one_host, three_hosts

TLS = Front(domains=("shop.example",), certificate="/etc/ssl/a.crt", certificate_key="/etc/ssl/a.key")


def default_site(root: Path) -> Path:
    link = root / front.DEFAULT_SITE.lstrip("/")
    link.parent.mkdir(parents=True)
    link.symlink_to("/etc/nginx/sites-available/default")
    return link


def test_debians_default_site_goes_and_comes_back(tmp_path: Path) -> None:
    link = default_site(tmp_path)
    assert front.in_the_way(("app",), tmp_path) == (front.DEFAULT_SITE,)
    assert front.in_the_way(("database",), tmp_path) == ()
    front.move_away(front.DEFAULT_SITE, tmp_path)
    assert not link.is_symlink()
    assert front.in_the_way(("app",), tmp_path) == ()
    assert front.moved(tmp_path) == (front.DEFAULT_SITE,)
    front.put_back(front.DEFAULT_SITE, tmp_path)
    assert str(link.readlink()) == "/etc/nginx/sites-available/default"
    assert front.moved(tmp_path) == ()


def test_a_move_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    link = default_site(tmp_path)
    front.move_away(front.DEFAULT_SITE, tmp_path)
    link.symlink_to("/etc/nginx/sites-available/default")  # as if it had ended before the removal
    front.move_away(front.DEFAULT_SITE, tmp_path)
    assert (link.is_symlink(), front.moved(tmp_path)) == (False, (front.DEFAULT_SITE,))


def test_a_site_of_somebody_else_called_default_stays(tmp_path: Path) -> None:
    link = default_site(tmp_path)
    link.unlink()
    link.write_text("server { }\n")
    assert front.in_the_way(("app",), tmp_path) == ()


def test_what_came_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    link = default_site(tmp_path)
    front.move_away(front.DEFAULT_SITE, tmp_path)
    link.write_text("mine")
    front.put_back(front.DEFAULT_SITE, tmp_path)
    assert link.read_text() == "mine"


def test_a_haproxy_file_of_somebody_is_refused_and_ours_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / front.HAPROXY.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text("global\n")
    monkeypatch.setattr(front.packages, "is_as_packaged", lambda *_: False)
    with pytest.raises(HostError, match="somebody's own"):
        front.in_the_way(("balancer",), tmp_path)
    monkeypatch.setattr(front.packages, "is_as_packaged", lambda *_: True)
    assert front.in_the_way(("balancer",), tmp_path) == (front.HAPROXY,)
    path.write_text(f"{front.OURS} from harden.toml\n")
    assert front.in_the_way(("balancer",), tmp_path) == ()


def certificate(root: Path, key_mode: int) -> None:
    (root / "etc/ssl").mkdir(parents=True)
    for name, mode in (("a.crt", 0o644), ("a.key", key_mode)):
        (root / "etc/ssl" / name).write_text("x")
        (root / "etc/ssl" / name).chmod(mode)


@pytest.mark.parametrize(
    ("description", "kinds", "is_looked_at"),
    [
        (one_host(front=TLS), ("app",), True),
        (one_host(front=TLS), ("database",), False),
        (one_host(), ("app",), False),
        (one_host(front=Front(kind="none", certificate="/a", certificate_key="/b")), ("app",), False),
        (three_hosts(front=Front(balancer=True, balancer_from=("10.0.0.9",), certificate="/etc/ssl/a.crt",
                                 certificate_key="/etc/ssl/a.key")), ("app",), False),
        (three_hosts(front=Front(balancer=True, balancer_from=("10.0.0.9",), certificate="/etc/ssl/a.crt",
                                 certificate_key="/etc/ssl/a.key")), ("balancer",), True),
    ],
)  # fmt: skip
def test_a_certificate_has_to_be_there_where_it_is_used(
    description: Description, kinds: tuple[str, ...], is_looked_at: bool, tmp_path: Path
) -> None:
    if not is_looked_at:
        front.require_certificate(description, kinds, tmp_path)
        return
    with pytest.raises(HostError, match=r"certificate's /etc/ssl/a\.crt cannot be read"):
        front.require_certificate(description, kinds, tmp_path)


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    certificate(tmp_path, 0o644)
    with pytest.raises(HostError, match=r"everybody can read the key /etc/ssl/a\.key; chown root:www-data"):
        front.require_certificate(one_host(front=TLS), ("app",), tmp_path)
    (tmp_path / "etc/ssl/a.key").chmod(0o640)
    front.require_certificate(one_host(front=TLS), ("app",), tmp_path)


def test_the_folder_for_certificates_is_made_once(tmp_path: Path) -> None:
    assert front.needs_acme(("nginx",), tmp_path)
    assert not front.needs_acme(("haproxy",), tmp_path)
    front.make_acme(tmp_path)
    assert not front.needs_acme(("nginx",), tmp_path)
    assert (tmp_path / "var/www/acme").stat().st_mode & 0o777 == 0o755
