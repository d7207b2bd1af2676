"""Scenarios: what a file says, and what is refused in it before anything is sent."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from scripts.load import ScenarioError, Think, parse_scenario, read_scenario
from scripts.load.scenario_file import STEP, TOP, parse_seconds, parse_think
from scripts.load.scenario_job import job_of, scenario_of
from scripts.load.shop import FILE, shop_scenario

WHOLE = """
name = "counter"
think = "1s to 5s"
headers = {Authorization = "Bearer {token}"}
[values]
customer = "1 to 50"
email = ["a@example.com", "b@example.com"]
number = "sequence from 10"
id = "uuid"
[login]
post = "/login"
json = {email = "{email}"}
save = {token = "json:user.tokens.0"}
[[task]]
name = "profile"
weight = 5
get = "/customers/{customer}"
[[task]]
name = "pay"
  [[task.step]]
  get = "/cart"
  save = {csrf = 'text:name="csrf" value="([^"]+)"'}
  [[task.step]]
  name = "pay"
  post = "/pay/{number}"
  form = {csrf = "{csrf}", id = "{id}"}
  expect = [201, 303]
"""


def test_a_whole_scenario_is_read() -> None:
    scenario = parse_scenario(WHOLE)
    assert (scenario.name, scenario.think, scenario.mean_steps) == ("counter", Think("uniform", 1.0, 5.0), 7 / 6)
    assert [task.weight for task in scenario.tasks] == [5.0, 1.0]
    assert [step.name for step in scenario.steps] == ["login", "profile", "GET /cart", "pay"]
    assert scenario.tasks[1].steps[1].expect == (201, 303)


def test_a_scenario_comes_whole_through_json() -> None:
    scenario = parse_scenario(WHOLE)
    sent = scenario_of(json.loads(json.dumps(job_of(scenario))))
    assert job_of(sent) == json.loads(json.dumps(job_of(scenario)))
    assert str(sent.think) == "1s to 5s"


def test_values_are_drawn_as_said() -> None:
    values = parse_scenario(WHOLE).values
    chance = random.Random(1)
    assert {values["customer"].draw(chance, 0) for _ in range(2000)} == set(range(1, 51))
    assert {values["email"].draw(chance, 0) for _ in range(50)} == {"a@example.com", "b@example.com"}
    assert [values["number"].draw(chance, turn) for turn in (0, 1, 7)] == [10, 11, 17]
    assert values["id"].draw(chance, 0) != values["id"].draw(chance, 0)


@pytest.mark.parametrize(
    ("text", "kind", "mean"),
    [("2s", "constant", 2.0), ("0", "constant", 0.0), ("500ms to 1.5s", "uniform", 1.0),
     ("exp 3s", "exponential", 3.0), ("every 250ms", "every", 0.25), ("1min", "constant", 60.0)],
)  # fmt: skip
def test_think_times(text: str, kind: str, mean: float) -> None:
    assert (parse_think(text).kind, parse_think(text).mean) == (kind, mean)


@pytest.mark.parametrize("text", ["2", "5s to 1s", "every 0s", "fast", "-1s", "1s to", "nan", "1e3s"])
def test_think_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|ends before|above 0"):
        parse_think(text)


@pytest.mark.parametrize("text", ["300", "s", "1 s", "-1ms", "infs"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [[task]]"),
        ("[[task]]\nget = 'x'", "must begin with one /"),
        ("[[task]]\nget = '//evil.example.com/'", "must begin with one /"),
        ("[[task]]\nget = '/a b'", "must begin with one /"),
        ("[[task]]\nget = '/é'", "percent-encoded"),
        ("[[task]]\nget = '/{x'", "write {{ or }}"),
        ("[[task]]\nget = '/{nobody}'", "{nobody} in 'GET /{nobody}' is unknown"),
        ("[[task]]\nget = '/'\npost = '/'", "it has 2"),
        ("[[task]]\nname = 'x'", "it has 0"),
        ("[[task]]\nget = '/'\njson = {}", "cannot go with get"),
        ("[[task]]\nget = '/'\nweight = 0", "weight 0 is no number above 0"),
        ("[[task]]\nget = '/'\nweight = true", "weight True"),
        ("[[task]]\nget = '/'\nexpect = 20", "no HTTP status"),
        ("[[task]]\nget = '/'\nsave = {x = 'cookie:a'}", "none of json:PATH"),
        ("[[task]]\nget = '/'\nsave = {x = 'text:abc'}", "with a group"),
        ("[[task]]\nget = '/'\nsave = {x = 'text:(('}", "no regular expression"),
        ("[[task]]\nget = '/'\nheaders = {'A b' = 'c'}", "characters that HTTP does not allow"),
        ("[[task]]\nget = '/'\nheaders = {A = \"b\\r\\nX: y\"}", "characters that HTTP does not allow"),
        ("[[task]]\nget = '/'\nwieght = 2", "has no key 'wieght'"),
        ("thnk = '1s'\n[[task]]\nget = '/'", "has no key 'thnk'"),
        ("think = 'soon'\n[[task]]\nget = '/'", "think: 'soon'"),
        ("[values]\na = '5 to 1'\n[[task]]\nget = '/'", "values.a = '5 to 1' is none of"),
        ("[values]\na = []\n[[task]]\nget = '/'", "values.a has 0 items"),
        ("[values]\na = {file = 'x.csv'}\n[[task]]\nget = '/'", "beside the scenario's own file"),
        ("[values]\na = 'env:HARDEN_TEST_NOT_SET'\n[[task]]\nget = '/'", "has no HARDEN_TEST_NOT_SET"),
        ("[[task]]\nname = 'a'\nstep = []", "step is no list of steps"),
        ("task = 3", "has no [[task]]"),
        ("[task", "is no TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "x.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.toml")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario("think = 'x'\n[[task]]\nget = 'a'\n[[task]]\npost = '/{b}'")
    assert all(part in str(caught.value) for part in ("think", "task 1", "task 2"))


def test_a_value_saved_by_a_later_step_is_not_known_before() -> None:
    with pytest.raises(ScenarioError, match=r"\{late\}"):
        parse_scenario(
            "[[task]]\n[[task.step]]\nget = '/{late}'\n[[task.step]]\nget = '/'\nsave = {late = 'json:a'}"
        )


def test_values_come_from_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users.csv").write_text("email,password\na@x,1\nb@x,2\n", encoding="utf-8")
    (tmp_path / "ids.txt").write_text("7\n8\n", encoding="utf-8")
    monkeypatch.setenv("LOAD_PASSWORD", "secret")
    (tmp_path / "s.toml").write_text(
        "[values]\nemail = {file = 'users.csv', column = 'email'}\nid = {file = 'ids.txt'}\n"
        "password = 'env:LOAD_PASSWORD'\n[[task]]\nget = '/'\n",
        encoding="utf-8",
    )
    values = read_scenario(tmp_path / "s.toml").values
    found = [list(values[name].items) for name in ("email", "id", "password")]
    assert found == [["a@x", "b@x"], ["7", "8"], ["secret"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"\xff", "no UTF-8"), (b"#" * (1 << 20) + b"##", "larger than")],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "s.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ScenarioError, match=said):
        read_scenario(file)


def test_a_csv_without_the_column_is_said(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("email\na\n", encoding="utf-8")
    (tmp_path / "s.toml").write_text(
        "[values]\na = {file = 'users.csv', column = 'name'}\n[[task]]\nget = '/'\n", encoding="utf-8"
    )
    with pytest.raises(ScenarioError, match="has no column 'name'"):
        read_scenario(tmp_path / "s.toml")


def test_the_shops_scenario_is_right_and_gets_tokens() -> None:
    assert read_scenario(FILE).name == "shop"
    scenario = shop_scenario(lambda customer: f"token {customer}", [1, 2])
    assert scenario.values["token"].items == ["token 1", "token 2"]


def test_the_scenario_in_the_docs_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "load.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "users.csv").write_text("email\na@example.com\n", encoding="utf-8")
    (tmp_path / "s.toml").write_text(block, encoding="utf-8")
    monkeypatch.setenv("LOAD_PASSWORD", "x")
    assert [task.name for task in read_scenario(tmp_path / "s.toml").tasks] == ["profile", "book"]


def test_every_key_and_every_kind_of_error_is_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "load.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z][a-z-]+", page))
    assert (STEP | TOP) - {"name", "values", "login", "task"} <= words
