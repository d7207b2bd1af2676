"""Each verb's command line, as the host gets it."""

from __future__ import annotations

import importlib

import pytest

from scripts import cli
from scripts.remote.options import add_arguments
from scripts.remote.session import Made
from scripts.remote.words import words


def _parser(verb: str) -> cli.Parser:
    parser = cli.Parser(prog=verb)
    importlib.import_module(cli.VERBS[verb][0]).add_arguments(parser)
    add_arguments(parser, verb)
    return parser


LINES = (
    ("release", "--message", "it's so", "--gate-seconds", "5.0", "--dry-run"),
    ("release", "--migrate=-x y; z"),
    ("release", "--migrate=-x"),
    ("release", "--no-migrate"),
    ("install", "--as", "app", "--as", "database", "--restart-postgresql"),
    ("rollback", "2026", "--app", "shop"),
    ("status", "--json"),
    ("logs", "shop", "-f", "--unit", "app", "--unit", "nginx", "--lines", "7"),
    ("uninstall", "--purge", "--", "-shop"),
)


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_the_hosts_parser_reads_what_ours_has_read(line: tuple[str, ...]) -> None:
    verb, *given = line
    parser = _parser(verb)
    options = parser.parse_args(["--ssh", "web1", "--ssh-option=-p 22", *given])
    sent = [str(word) for word in words(parser, options, {})]
    assert not [word for word in sent if "ssh" in word]
    options.ssh, options.ssh_option = [], []
    assert parser.parse_args(sent) == options


def test_paths_are_replaced_by_those_of_the_host_and_left_out_where_nothing_is() -> None:
    parser = _parser("release")
    options = parser.parse_args(["some/where", "--rev", "v1", "--wheels", "w", "--ssh", "web1"])
    made = {"path": Made("FOLDER", "/app"), "rev": None, "wheels": Made("FOLDER", "/wheels")}
    assert words(parser, options, made) == [
        "--wheels", Made("FOLDER", "/wheels"), "--", Made("FOLDER", "/app"),
    ]  # fmt: skip


def test_the_second_host_is_told_not_to_migrate_whatever_was_said() -> None:
    parser = _parser("release")
    options = parser.parse_args(["--migrate", "flask db upgrade", "--ssh", "web1"])
    assert words(parser, options, {"migrate": None, "no_migrate": "yes", "path": None}) == ["--no-migrate"]


def test_a_default_is_not_sent() -> None:
    parser = _parser("status")
    assert words(parser, parser.parse_args(["--ssh", "web1"]), {}) == []
