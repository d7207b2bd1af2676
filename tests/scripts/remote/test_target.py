"""Which words are hosts, and which are options of ssh."""

from __future__ import annotations

import pytest

from scripts.errors import CommandError
from scripts.remote.target import client_options, targets


@pytest.mark.parametrize(
    "name", ["web1", "deploy@web1", "web-1.example.com", "10.0.0.11", "root@fe80::1%eth0", "deploy@2001:db8::1"]
)
def test_hosts_are_taken_as_they_are(name: str) -> None:
    assert targets([name]) == [name]


@pytest.mark.parametrize(
    "name", ["", "-oProxyCommand=id", "deploy@-oProxyCommand=id", "web1;id", "a b", "web1\n", "@web1"]
)
def test_nothing_else_gets_to_ssh(name: str) -> None:
    """A word that begins with a dash would be an option, and options can run programs."""
    with pytest.raises(CommandError, match="is no host"):
        targets([name])


def test_a_host_that_is_named_twice_is_an_error() -> None:
    with pytest.raises(CommandError, match="web1 is named twice"):
        targets(["web1", "web2", "web1"])


def test_options_of_ssh_are_split_into_words() -> None:
    assert client_options(["-p 2222", "-i '/a key'", "-oUser=x"]) == ["-p", "2222", "-i", "/a key", "-oUser=x"]


@pytest.mark.parametrize("text", ["web2", "", "-i 'open"])
def test_what_is_no_option_is_an_error(text: str) -> None:
    with pytest.raises(CommandError, match="--ssh-option"):
        client_options([text])
