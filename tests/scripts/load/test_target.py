from pathlib import Path

import pytest

from scripts.load.target import RemoteTarget, parse_target


@pytest.mark.parametrize(
    ("text", "host", "port", "header"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("http://127.8.9.10:81", "127.8.9.10", 81, "127.8.9.10:81"),
        ("http://localhost:5000", "127.0.0.1", 5000, "localhost:5000"),
        ("http://[::1]:8000", "::1", 8000, "[::1]:8000"),
        ("http://127.0.0.1", "127.0.0.1", 80, "127.0.0.1"),
    ],
)
def test_loopback_is_accepted(text: str, host: str, port: int, header: str) -> None:
    target = parse_target(text)
    assert (target.host, target.port, target.host_header, target.socket_path) == (host, port, header, "")


@pytest.mark.parametrize("text", ["unix:/run/app.sock", "/run/app.sock"])
def test_a_unix_socket_is_accepted(text: str) -> None:
    assert parse_target(text).socket_path == "/run/app.sock"


def test_a_relative_socket_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert parse_target("unix:app.sock").socket_path == str(tmp_path / "app.sock")


@pytest.mark.parametrize("address", ["192.0.2.7", "0.0.0.0", "[2001:db8::1]"])
def test_another_host_is_refused_unless_allowed(address: str) -> None:
    with pytest.raises(RemoteTarget, match=r"refusing to load .* not this machine.*allow_remote=True"):
        parse_target(f"http://{address}:80")
    assert parse_target(f"http://{address}:80", allow_remote=True).host == address.strip("[]")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8000",
        "http://127.0.0.1:99999",
        "http://[::1",
        "https://127.0.0.1",
        "http://",
        "unix:",
        "http://127.0.0.1:8000/api",
        "http://a:b@127.0.0.1",
    ],
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot load"):
        parse_target(text)
