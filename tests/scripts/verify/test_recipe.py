"""Recipes: a mistake is an error with its name, never something that is not looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.errors import CommandError
from scripts.verify import recipe
from scripts.verify.draft import draft
from scripts.verify.keys import Keys
from scripts.verify.requests import login_of, requests_of


def test_every_part_is_read() -> None:
    found = recipe.parse({
        "env": {"A": "{url}"}, "time_limit": 3, "schema": ["a.sql"], "before": {"app": "x:app"},
        "login": [{"path": "/login", "form": {"u": "1"}}], "routes": [{"path": "/a?b=1"}],
        "ignore": [{"reason": "time", "pattern": "x"}],
    })  # fmt: skip
    assert (found.before.app, found.routes[0].method, found.ignore[0].route) == ("x:app", "GET", "*")
    assert login_of(found)[0].method == "POST"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routs = 1", "has no key 'routs'"),
        ("[[ignore]]\npattern = 'x'", "missing 1 required positional argument: 'reason'"),
        ("[[routes]]\npaht = '/'", "[[routes]] has no key 'paht'"),
        ("time_limit = 'long'", "time_limit is str, not number"),
        ("app = ", "is no TOML"),
        ("[[ignore]]\nreason = 'x'\npattern = '('", "unterminated subpattern"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(CommandError) as caught:
        recipe.read(file)
    assert said in caught.value.line()


def test_a_draft_is_a_recipe(tmp_path: Path) -> None:
    rules = [{"rule": "/a", "endpoint": "a", "methods": ["GET", "POST"], "converters": {}, "defaults": []}]
    asked = requests_of(rules, recipe.Recipe(), ["GET", "POST"], Keys.__new__(Keys))
    file = tmp_path / "recipe.toml"
    file.write_text(draft("server:app", asked, ["guessed <x>"]))
    found = recipe.read(file)
    assert found.app == "server:app"
    assert [(each.method, each.path) for each in found.routes] == [("GET", "/a"), ("POST", "/a")]
