"""Settings: one table, every problem at once, no secret ever repeated."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from hypothesis import example, given
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


@pytest.mark.parametrize("setting", [one for one in TABLE if one.low is not None], ids=lambda one: one.name)
def test_bounds_are_inclusive_and_said_in_full(setting: Any) -> None:
    assert setting.high is not None
    for value in (setting.low, setting.high):
        assert setting.parse(f"{value:.0f}") == value
        if setting.name not in ("DB_POOL_MIN", "DB_POOL_MAX"):
            assert load({setting.name: value}, environ={})[setting.name] == value
    for value, said in ((setting.low - 1, "below"), (setting.high + 1, "above")):
        with pytest.raises(SettingsError, match=rf"is {said} \d+(;|$)"):
            load({setting.name: value}, environ={})


@pytest.mark.parametrize("setting", TABLE, ids=lambda one: one.name)
def test_each_row_is_complete_and_each_name_is_there_once(setting: Any) -> None:
    assert BY_NAME[setting.name] is setting
    assert (setting.low is None) == (setting.unit == "")
    assert setting.text == setting.text.strip() and "\n" not in setting.text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DB_STATEMENT_TIMEOUT", "DB_STATEMENT_TIMEOUT_MS"),
        ("DB_PGBOUNCER_MODE", "DB_PGBOUNCER"),
        ("HARDEN_APPS", "HARDEN_APP"),
    ],
)
def test_other_names_that_are_nearly_ours_are_a_problem(name: str, meant: str) -> None:
    assert problems(**{name: "1"}) == [f"{name} (environment) is not a setting; did you mean {meant}?"]


def test_an_unknown_keyword_is_a_problem_whatever_it_looks_like() -> None:
    """`Hardening(app, pool_max=5)`: a keyword can be meant for nobody but us."""
    with pytest.raises(SettingsError) as caught:
        load({"pool_max": 5, "db_pool_max": 5, "DB_POOL_MAX": 5}, environ={})
    assert [problem.split(" ")[0] for problem in caught.value.problems] == ["db_pool_max", "pool_max"]


def test_app_config_is_searched_for_names_of_ours_alone() -> None:
    others = {"SECRET_KEY": b"x", "SQLALCHEMY_DATABASE_URI": "x", 7: "odd", "DB_HOST": "x"}
    load(config=others, environ={})
    with pytest.raises(SettingsError, match=r"DB_POOL_MXA \(app\.config\) is not .*did you mean DB_POOL_MAX"):
        load(config={**others, "DB_POOL_MXA": 3}, environ={})


def test_flask_debug_decides_only_when_nothing_else_does() -> None:
    environ = {"FLASK_DEBUG": "true", "FLASK_ENV": "test"}
    assert load(environ=environ).environment == "test"
    assert load({"HARDEN_ENV": "production"}, environ=environ).environment == "production"
    assert load(config={"HARDEN_ENV": "development"}, environ={}).environment == "development"
    assert load(environ={"FLASK_ENV": "staging"}).environment == "production"
    assert [one.split(" ")[0] for one in problems(HARDEN_ENV="staging")] == ["HARDEN_ENV='staging'"]


def test_values_are_shown_in_one_short_line_but_secrets_never() -> None:
    (problem,) = problems(DB_POOL_MAX="x" * 500 + "\n")
    assert len(problem) < 150 and "\n" not in problem
    (problem,) = problems(HARDEN_OPS_TOKEN="secret-word\x00")
    assert problem == "HARDEN_OPS_TOKEN (environment) contains a NUL character"


SECRET = "sEcReT"
WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=8)


@given(before=WORDS, after=WORDS, pattern=st.sampled_from([
    "postgresql://user:{}@host/db", "postgres://user:{}@[::1/db", "postgresql://user:{}@host:port:1/db?x=y",
    "postgresql+psycopg2://user:{}@host/db", "mysql://user:{}@[host", "host=h password={}", "host=h password='{}'",
    "user:{}@host", "{}", "password={} =", "postgresql://host/db?password={}&nonsense=1", "POSTGRES://u:{}@h",
]))  # fmt: skip
@example(before="", after="\u2100", pattern="mysql://user:{}@host/db")  # urlsplit's error quotes such a netloc
@example(before="", after="", pattern="mysql://user:{}@[host")  # and cannot split this one
def test_no_password_is_ever_repeated_whatever_the_dsn_looks_like(before: str, after: str, pattern: str) -> None:
    for name in ("DATABASE_URL", "HARDEN_REDIRECT_DSN"):
        try:
            settings = load({name: pattern.format(before + SECRET + after)}, environ={})
        except SettingsError as error:
            assert SECRET.lower() not in (str(error) + repr(error)).lower()
            assert "\n" not in str(error)
        else:
            assert SECRET not in repr(settings)


@given(password=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1))
def test_any_password_survives_a_url(password: str) -> None:
    url = f"postgresql://user:{quote(password, safe='')}@localhost:5432/db"
    parts = psycopg2.extensions.parse_dsn(load(environ={"DATABASE_URL": url}).require_database_url())
    assert (parts["password"], parts["host"], parts["dbname"]) == (password, "localhost", "db")


@given(number=st.integers() | st.floats(allow_nan=True) | st.text(max_size=12))
def test_a_number_is_taken_whole_or_refused(number: Any) -> None:
    """Nothing is clamped or rounded in silence."""
    for name in ("DB_POOL_TIMEOUT", "THREADS"):
        try:
            value = load({name: number}, environ={})[name]
        except SettingsError:
            continue
        assert value == float(str(number).strip())
