"""`harden logs`: what journalctl is asked."""

from __future__ import annotations

import argparse

import pytest

from deploy.host.errors import HostError
from scripts.logs import command


def asked(*words: str) -> list[str]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.command_for("shop", parser.parse_args(list(words)))


def test_without_anything_it_is_the_end_of_the_app_and_its_pgbouncer() -> None:
    words = asked()
    assert words[0] == "journalctl"
    assert "--lines=100" in words
    assert [word for word in words if word.startswith("--unit=")] == [
        "--unit=shop@*.service", "--unit=shop-candidate@*.service", "--unit=shop.service",
        "--unit=shop-pgbouncer@*.service",
    ]  # fmt: skip


def test_units_are_those_that_are_named() -> None:
    words = asked("--unit", "nginx", "--unit", "postgresql", "-f", "--since", "1 hour ago", "--json")
    assert words[1:] == [
        "--no-pager", "--output=json", "--follow", "--since=1 hour ago", "--unit=nginx.service",
        "--unit=postgresql@*.service", "--unit=postgresql.service",
    ]  # fmt: skip


def test_a_request_is_looked_for_in_the_front_too_by_its_very_id() -> None:
    words = asked("--request", "a.b-1")
    assert r"--grep=a\.b\-1" in words
    assert "--unit=nginx.service" in words
    assert not [word for word in words if word.startswith("--lines")]


@pytest.mark.parametrize("request_id", ["a b", "x;y", "'", "--x\n", "a" * 200])
def test_what_is_no_id_is_refused(request_id: str) -> None:
    with pytest.raises(HostError, match="no request's id"):
        asked(f"--request={request_id}")
