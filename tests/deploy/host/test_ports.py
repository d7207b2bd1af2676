"""Who listens on a port is named, by this machine's own kernel."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from deploy.host.ports import holders


def test_whoever_listens_is_named_with_program_and_pid() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = holders([port, 1])
        assert (found.port, found.pid) == (port, os.getpid())
        assert str(found) == f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"
    assert holders([port]) == ()


def test_another_family_counts_as_well() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert [each.port for each in holders([port])] == [port]


def test_a_port_that_one_is_connected_to_is_not_held() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client,
    ):  # fmt: skip
        assert holders([client.getsockname()[1]]) == ()


def test_a_holder_that_cannot_be_seen_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(
        "  sl  local_address rem_address   st ...\n"
        "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n"
    )
    (found,) = holders([80], tmp_path)
    assert str(found) == "a process that cannot be seen"
