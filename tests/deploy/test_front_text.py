"""The front's templates take plain words and networks that are some, and nothing else."""

from __future__ import annotations

import jinja2
import pytest

from deploy import front_text
from deploy.errors import InputError

from .front_samples import SAMPLES


def test_a_name_that_a_template_uses_and_nobody_gives_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        front_text.fill("nginx-site.conf.j2", {})


@pytest.mark.parametrize("value", ["a b", "", None, 1.5, ["a"], "a;", "$host", "%x", "a\n", "é"])
def test_only_a_plain_word_stands_in_a_file(value: object) -> None:
    with pytest.raises(InputError, match="cannot stand in the front's configuration"):
        front_text.word(value)


@pytest.mark.parametrize("value", ["a", "*.example.com", "/a/b-c_d.e", "[fd00::1]", "10.0.0.0/24", "a@b+c", 7])
def test_a_plain_word_is_itself(value: object) -> None:
    assert front_text.word(value) == value


def test_networks_are_written_in_one_way() -> None:
    found = front_text.networks("key", ("10.0.0.1", "FD00:0::/64", "192.0.2.0/25"))
    assert found == ("10.0.0.1/32", "fd00::/64", "192.0.2.0/25")


def test_nobody_is_believed_without_a_balancer() -> None:
    assert front_text.balancer_networks(SAMPLES["tls"]) == ()
    assert front_text.balancer_networks(SAMPLES["balancer"]) == ("10.0.0.1/32", "fd00::1/128")
