"""`harden restart` as a person types it; what it does is proved on hosts, in tests/lab/test_restarts.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from deploy.description import Description
from deploy.host.errors import GateError, HostError
from deploy.host.places import Places
from deploy.host.restart import Wanted
from scripts.errors import CommandError
from scripts.restart import command

TOML = '[app]\nname = "shop"\ntarget = "app:app"\n[database]\nname = "shop"\nrole = "shop"\n'


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What the verb asks for; an error in it is raised instead of being asked for."""
    found: list[Any] = []

    def restart(places: Places, description: Description, wanted: Wanted, *_: object) -> None:
        if found:
            raise found.pop()
        found.append((places.name, description.app.name, wanted))

    places = Places("shop", tmp_path)
    places.etc.mkdir(parents=True)
    places.description.write_text(TOML)
    monkeypatch.setattr(command, "Places", lambda name: places)
    monkeypatch.setattr(command, "chosen", lambda name, there: "shop")
    monkeypatch.setattr(command, "require_root", lambda: None)
    monkeypatch.setattr(command, "restart", restart)
    return found


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["app"], Wanted("app")),
        (["pgbouncer", "--cut"], Wanted("pgbouncer", "cut")),
        (["postgresql", "--pause", "--seconds", "5"], Wanted("postgresql", "pause", 5.0)),
        (["postgresql", "--resume"], Wanted("postgresql", "resume")),
    ],
)
def test_what_is_typed_is_what_is_done(asked: list[Any], words: list[str], wanted: Wanted) -> None:
    assert command.run(parsed(*words)) == 0
    assert asked == [("shop", "shop", wanted)]


@pytest.mark.parametrize(("error", "code"), [(GateError("still 1 client", ["a line"]), 1), (HostError("no"), 2)])
def test_an_error_is_a_line_with_its_log_and_a_code(
    asked: list[Any], capsys: pytest.CaptureFixture[str], error: HostError, code: int
) -> None:
    asked.append(error)
    assert command.run(parsed("pgbouncer")) == code
    shown = capsys.readouterr().err
    assert f"harden: error: {error}\n" in shown
    assert all(line in shown for line in error.tail)


@pytest.mark.parametrize("words", [["app", "--pause"], ["pgbouncer", "--resume"]])
def test_a_pause_of_anything_else_is_refused(words: list[str]) -> None:
    with pytest.raises(CommandError, match="for postgresql alone"):
        command.run(parsed(*words))


@pytest.mark.parametrize(
    "words", [[], ["nginx"], ["app", "--seconds", "0"], ["postgresql", "--seconds", "nan"],
              ["postgresql", "--pause", "--resume"]],
)  # fmt: skip
def test_wrong_usage_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*words)
    assert caught.value.code == 2
