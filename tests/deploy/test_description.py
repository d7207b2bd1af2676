"""The description's table: what each key takes by default, and the example that is made of it."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from deploy.description import COMMAND, DOMAIN, NAME, RELATIVE, ROLE, SECTIONS, TARGET, Description, Range
from deploy.description_example import EXAMPLES, example, takes
from deploy.description_values import PATTERNS, checked
from deploy.load_description import parse

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "harden.example.toml"
KEYS = [(section, field) for section, kind in SECTIONS.items() for field in fields(kind)]
IDS = [f"{section}.{field.name}" for section, field in KEYS]


@pytest.mark.parametrize(("section", "field"), KEYS, ids=IDS)
def test_each_default_passes_its_own_check(section, field) -> None:
    if field.default is not MISSING:
        as_in_toml = list(field.default) if isinstance(field.default, tuple) else field.default
        assert checked(as_in_toml, field) == field.default


@pytest.mark.parametrize(("section", "field"), KEYS, ids=IDS)
def test_each_key_has_a_sentence_of_one_line(section, field) -> None:
    assert re.fullmatch(r"[^\n]{4,110}[^.\n]", field.metadata["doc"])


@pytest.mark.parametrize(("section", "field"), KEYS, ids=IDS)
def test_each_kind_of_key_has_the_check_that_fits_it(section, field) -> None:
    check = field.metadata["check"]
    kinds = {"int": Range, "bool": tuple, "str": (re.Pattern, tuple), "tuple[str, ...]": re.Pattern}
    assert isinstance(check, kinds[field.type])


def test_each_pattern_can_be_said_in_words() -> None:
    used = {field.metadata["check"] for _, field in KEYS if isinstance(field.metadata["check"], re.Pattern)}
    assert used == set(PATTERNS)


def test_the_example_file_is_what_the_code_says() -> None:
    advice = "run: .venv/bin/python -m deploy.description_example > deploy/harden.example.toml"
    assert EXAMPLE.read_text(encoding="utf-8") == example(), advice


def test_the_example_loads_and_has_only_defaults() -> None:
    app, database = SECTIONS["app"](name="shop", target="app:app"), SECTIONS["database"](name="shop", role="shop")
    assert parse(example()) == Description(app=app, database=database)


def test_the_example_loads_with_every_default_uncommented() -> None:
    assert parse(re.sub(r"^# (\w+ = )", r"\1", example(), flags=re.MULTILINE)).app.name == "shop"


@pytest.mark.parametrize(("section", "field"), KEYS, ids=IDS)
def test_the_example_has_every_key_once_below_its_sentence(section, field) -> None:
    part = example().partition(f"[{section}]\n")[2].partition("\n\n")[0].splitlines()
    found = [line for line in part if re.match(rf"(# )?{field.name} = ", line)]
    assert len(found) == 1
    assert found[0].startswith("# ") == ((section, field.name) not in EXAMPLES)
    said = part[part.index(found[0]) - 1]
    assert said.startswith(f"# {field.metadata['doc']}")
    assert takes(field) in said


@pytest.mark.parametrize(("pattern", "good", "bad"), [
    (NAME, ["shop", "a", "my-shop-2", "a" * 21],
     ["Shop", "2shop", "shop-", "a" * 22, "a b", "a%i", "a_b", "shop\n"]),
    (TARGET, ["app:app", "shop.web:create_app()", "src/app.py:app", "app:a.b"],
     ["app", "app:app(1)", "../app.py:app", "src/../app.py:app", "/app.py:app", "app:app;x", "a b:c",
      "app:app\n"]),
    (RELATIVE, ["requirements.txt", "deploy/prod.txt", ".x"],
     ["/etc/passwd", "../x", "a/../b", "a b", "-r", "a\n"]),
    (DOMAIN, ["shop.example.com", "*.example.com"],
     ["localhost", "a..b", "a b.c", "a.com;", "-a.com", "*.*.a.com"]),
    (ROLE, ["shop", "Shop_2", "a.b-c"], ["2a", "a b", "a'b", 'a"b', "", "a;b", "a\n"]),
    (COMMAND, ["flask db upgrade", "a 'b' \"c\" $D"], ["a\nb", "a\x00b", "a\u2028b", "a\x85b"]),
])  # fmt: skip
def test_patterns_take_what_a_file_can_hold_and_nothing_else(
    pattern: re.Pattern[str], good: list[str], bad: list[str]
) -> None:
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []
