"""Settings: one table, every problem at once, no secret ever repeated."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import make_dsn

from backend.errors import SettingsError
from backend.settings import BY_NAME, TABLE, load

URL = "postgresql://user:secret-word@localhost/db"


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    return caught.value.problems


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.name)
def test_default_of_each_setting_is_valid_by_its_own_rule(setting: Any) -> None:
    if setting.default is not None:
        assert setting.parse(str(setting.default)) == setting.default
        assert setting.low is None or setting.default >= setting.low
    assert setting.group in ("essential", "frequent", "rare")
    assert setting.text.endswith(".")


def test_nothing_set_gives_the_defaults() -> None:
    settings = load(environ={})
    assert (settings["DB_POOL_MIN"], settings.pool_max, settings["DB_POOL_TIMEOUT"]) == (1, 8, 10.0)
    assert settings.environment == "production"


def test_pool_max_follows_the_threads_unless_it_is_set() -> None:
    assert load(environ={"THREADS": "3"}).pool_max == 3
    assert load(environ={"THREADS": "3", "DB_POOL_MAX": "5"}).pool_max == 5
    assert load(environ={"THREADS": "3", "DB_POOL_MIN": "4"}).pool_max == 4


def test_keyword_wins_over_app_config_wins_over_environment() -> None:
    environ = {"DB_POOL_MAX": "3"}
    assert load(environ=environ)["DB_POOL_MAX"] == 3
    assert load(config={"DB_POOL_MAX": 4}, environ=environ)["DB_POOL_MAX"] == 4
    assert load({"DB_POOL_MAX": 5}, {"DB_POOL_MAX": 4}, environ)["DB_POOL_MAX"] == 5
    assert load({"DB_POOL_MAX": None}, {"DB_POOL_MAX": None}, environ)["DB_POOL_MAX"] == 3


def test_every_problem_is_listed_at_once() -> None:
    found = problems(DB_POOL_MIN="-1", DB_POOL_TIMEOUT="soon", WORKERS="0", DB_PGBOUNCER="maybe", DATABASE_URL="")
    assert len(found) == 5
    assert any("DB_POOL_MIN='-1' (environment) is below 0; its default is 1" in problem for problem in found)
    assert any("DB_POOL_TIMEOUT='soon' (environment) is not a number; its default is 10.0" in one for one in found)


def test_min_above_max_names_both_numbers() -> None:
    assert problems(DB_POOL_MIN="9", DB_POOL_MAX="3") == [
        "DB_POOL_MIN=9 is above DB_POOL_MAX=3; lower the one or raise the other"
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("DB_POOL_MAXIMUM", "DB_POOL_MAX"), ("DB_POOL_SIZE", "DB_POOL_"), ("HARDEN_PROXY", "HARDEN_PROXIES")],
)
def test_unknown_name_of_ours_is_a_problem_with_the_closest_match(name: str, meant: str) -> None:
    assert f"did you mean {meant}" in problems(**{name: "1"})[0]


def test_names_of_others_are_none_of_ours() -> None:
    load(environ={"DB_HOST": "x", "DB_NAME": "y", "POOL_SIZE": "3", "PGHOST": "z"})


@pytest.mark.parametrize(
    ("name", "value"), [("DB_POOL_MAX", True), ("DB_POOL_TIMEOUT", "nan"), ("THREADS", "8.5")]
)
def test_odd_numbers_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError):
        load({name: value}, environ={})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "production"),
        ({"FLASK_ENV": "development"}, "development"),
        ({"FLASK_DEBUG": "1"}, "development"),
        ({"FLASK_DEBUG": "0"}, "production"),
        ({"FLASK_ENV": "testing"}, "test"),
        ({"FLASK_DEBUG": "1", "HARDEN_ENV": "production"}, "production"),
    ],
)
def test_environment_is_detected(environ: dict[str, str], expected: str) -> None:
    assert load(environ=environ).environment == expected


def test_web_concurrency_is_another_name_for_workers() -> None:
    assert load(environ={"WEB_CONCURRENCY": "3"})["WORKERS"] == 3
    assert load(environ={"WEB_CONCURRENCY": "3", "WORKERS": "2"})["WORKERS"] == 2


def test_no_secret_in_the_repr() -> None:
    settings = load(environ={"DATABASE_URL": URL, "HARDEN_OPS_TOKEN": "secret-word", "HARDEN_REDIRECT_DSN": URL})
    assert "secret-word" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret-word%w@localhost/db",
        "postgresql://user:secret-word@[::1/db",
        "mysql://user:secret-word@localhost/db",
        "host=localhost password=secret-word nonsense=1",
        "host=localhost password='secret-word",
        "secret-word",
        "postgresql://user:secret-word@localhost/db?nonsense=secret-word",
    ],
)
def test_malformed_database_url_is_explained_without_repeating_it(url: str) -> None:
    (problem,) = problems(DATABASE_URL=url)
    assert "DATABASE_URL (environment) is not a PostgreSQL URL or DSN (" in problem
    assert "secret" not in problem and "\n" not in problem


@given(password=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1))
def test_any_password_survives_a_dsn(password: str) -> None:
    dsn = make_dsn(host="localhost", password=password)
    settings = load(environ={"DATABASE_URL": dsn})
    assert psycopg2.extensions.parse_dsn(settings.require_database_url())["password"] == password


@given(name=st.sampled_from(sorted(BY_NAME)), value=st.text())
def test_any_text_is_a_value_or_one_clear_problem(name: str, value: str) -> None:
    try:
        load(environ={name: value})
    except SettingsError as error:
        for problem in error.problems:
            assert "\n" not in problem
            assert problem.startswith("DB_POOL_MIN" if "above DB_POOL_MAX" in problem else name)


def test_missing_database_url_says_how_to_write_one() -> None:
    with pytest.raises(SettingsError, match="set it to postgresql://user:password@host:5432/dbname"):
        load(environ={}).require_database_url()
