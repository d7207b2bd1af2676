"""docs/recipes.md: each block runs, the first of a recipe has its fault, the second has not, and the audit knows.

A block that is run twice stands for two worker processes: each has a memory of its own, and both have the same
PostgreSQL and Redis.
"""

from __future__ import annotations

import base64
import http.client
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from werkzeug.serving import make_server

from backend import QueryCounter
from scripts.audit.rules import RULES
from scripts.audit.run import audit
from scripts.stack.redis import Redis

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
KEY = "k" * 32


class Recipe(NamedTuple):
    """A part of the page."""

    rule: str
    before: str
    after: str


def _recipes() -> dict[str, Recipe]:
    found = {}
    for part in PAGE.split("\n## ")[1:]:
        title = part.partition("\n")[0]
        (rule,) = re.findall(r"^Rule \[(H\d+)\]", part, re.MULTILINE)
        found[title] = Recipe(rule, *re.findall(r"^```python\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))
    return found


RECIPES = _recipes()


def worker(block: str) -> Any:
    """Run a block as a module of its own and return its app."""
    module: dict[str, Any] = {"__name__": "recipe", "__file__": "recipe.py"}
    exec(compile(block, "recipe.py", "exec"), module)
    module["app"].testing = True
    module["app"].config["PREFERRED_URL_SCHEME"] = "https"  # what the test client asks by: cookies may be Secure
    return module


def client_of(block: str) -> Any:
    return worker(block)["app"].test_client()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DB_POOL_MAX", "4")
    monkeypatch.setenv("TOKEN_KEY", KEY)
    monkeypatch.setenv("SECRET_KEY", KEY)


@pytest.fixture
def tables(dsn: str) -> Iterator[Any]:
    """The tables of the recipes, and a cursor."""
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        conn.autocommit = True
        cursor.execute("DROP TABLE IF EXISTS users, jobs, orders, people, one_time_secrets")
        cursor.execute("""
            CREATE TABLE users (id int PRIMARY KEY, name text, role text, picture bytea);
            INSERT INTO users VALUES (7, 'Ann', 'admin', repeat('x', 10000)::bytea);
            CREATE TABLE jobs (id int PRIMARY KEY, state text);
            INSERT INTO jobs VALUES (1, 'queued');
            CREATE TABLE orders (id int PRIMARY KEY, total int);
            INSERT INTO orders SELECT n, n FROM generate_series(1, 300) n;
            CREATE TABLE people (id int PRIMARY KEY, name text, phone text)""")
        yield cursor
        cursor.execute("DROP TABLE IF EXISTS users, jobs, orders, people, one_time_secrets")


@pytest.mark.parametrize("title", RECIPES)
def test_the_audit_finds_the_first_and_nothing_in_the_second(title: str, tmp_path: Path) -> None:
    recipe = RECIPES[title]
    for name, block in (("before", recipe.before), ("after", recipe.after)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(block, encoding="utf-8")
    assert recipe.rule in {each.rule for each in audit(tmp_path / "before", RULES).findings}
    assert [each.rule for each in audit(tmp_path / "after", RULES).findings] == []


def test_every_recipe_is_in_the_table_and_has_a_test() -> None:
    table = dict(re.findall(r"^\| \[(.*?)\]\(#.*?\) \| (H\d+) \|$", PAGE, re.MULTILINE))
    assert table == {title: recipe.rule for title, recipe in RECIPES.items()}
    here = Path(__file__).read_text(encoding="utf-8")
    assert [title for title in RECIPES if f'RECIPES["{title}"]' not in here] == []


def state_in(answer: Any) -> str:
    return parse_qs(urlsplit(answer.headers["Location"]).query)["state"][0]


def test_a_login_s_state_in_a_dict_is_lost_on_another_worker_and_works_twice() -> None:
    here, there = (client_of(RECIPES["A login's state in a dict"].before) for _ in range(2))
    state = state_in(here.get("/login?next=https://evil.example/"))
    assert there.get(f"/callback?state={state}").status_code == 400
    for _ in range(2):
        assert here.get(f"/callback?state={state}").location == "https://evil.example/"


def test_a_login_s_state_in_the_database_works_once_on_every_worker_in_its_own_browser(tables: Any) -> None:
    modules = [worker(RECIPES["A login's state in a dict"].after) for _ in range(2)]
    modules[0]["store"].create_table()
    here, there, stranger = (modules[number]["app"].test_client() for number in (0, 1, 1))
    state = state_in(here.get("/login?next=/orders"))
    there.set_cookie("login", here.get_cookie("login").value)
    assert stranger.get(f"/callback?state={state}").status_code == 400
    assert there.get(f"/callback?state={state}").location == "/orders"
    assert there.get(f"/callback?state={state}").status_code == 400
    away = state_in(here.get("/login?next=https://evil.example/"))
    assert here.get(f"/callback?state={away}").location == "/"


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that PyJWT decodes."""
    jwt = pytest.importorskip("jwt", reason="PyJWT is not installed (pip install PyJWT)")
    decoded: list[str] = []
    real = jwt.decode

    def decode(token: str, *args: Any, **kwargs: Any) -> Any:
        decoded.append(token)
        return real(token, *args, **kwargs)

    monkeypatch.setattr(jwt, "decode", decode)
    return decoded


def bearer(seconds: float) -> dict[str, str]:
    """A token's header; it expires in so many seconds from now."""
    import jwt

    token = jwt.encode({"sub": "7", "exp": int(time.time() + seconds)}, KEY, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


def test_a_token_is_decoded_once_and_an_expired_one_is_refused(decodes: list[str]) -> None:
    recipe = RECIPES["A token decoded twice"]
    before, after = client_of(recipe.before), client_of(recipe.after)
    assert before.get("/me", headers=bearer(60)).json == {"user": "7"}
    assert len(decodes) == 2
    assert before.get("/me", headers=bearer(-3600)).status_code == 200
    decodes.clear()
    assert after.get("/me", headers=bearer(60)).json == {"user": "7"}
    assert len(decodes) == 1
    assert after.get("/me", headers=bearer(-3600)).status_code == 401
    assert after.get("/me").status_code == 401


def logged_in(client: Any, user_id: int) -> Any:
    with client.session_transaction() as session:
        session["user_id"] = user_id
    return client


def queries_of(client: Any, path: str) -> tuple[int, Any]:
    with QueryCounter() as counter:
        answer = client.get(path)
    return counter.count, answer.json


def test_the_user_is_asked_for_once_in_minutes_and_a_change_is_seen_at_once_by_all_workers(
    tables: Any, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    recipe = RECIPES["The whole user on every request"]
    before = logged_in(client_of(recipe.before), 7)
    assert [queries_of(before, "/me") for _ in range(2)] == [(2, {"name": "Ann"})] * 2
    here, there = (logged_in(client_of(recipe.after), 7) for _ in range(2))
    with QueryCounter() as counter:
        assert [client.get("/me").json["name"] for client in (here, there, here, there)] == ["Ann"] * 4
    assert counter.count == 1
    assert here.put("/me/name", json={"name": "Eve"}).status_code == 204
    assert [client.get("/me").json["name"] for client in (there, here)] == ["Eve"] * 2
    assert logged_in(client_of(recipe.after), 8).get("/me").status_code == 401
    assert client_of(recipe.after).get("/me").status_code == 401


@contextmanager
def slow_log(redis: Any) -> Iterator[list[tuple[bytes, int]]]:
    """The commands of a block, with the microseconds that nobody else was served."""
    found: list[tuple[bytes, int]] = []
    redis.config_set("slowlog-log-slower-than", 0)
    redis.slowlog_reset()
    try:
        yield found
        found += [(each["command"].split()[0].upper(), each["duration"]) for each in redis.slowlog_get(100)]
    finally:
        redis.config_set("slowlog-log-slower-than", 10000)


def test_keys_holds_redis_up_for_as_long_as_all_its_keys_take(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = pytest.importorskip("redis", reason="redis is not installed (pip install redis)")
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    recipe = RECIPES["KEYS"]
    with closing(redis.Redis.from_url(redis_server.url)) as client:
        client.eval("for n = 1, 50000 do redis.call('SET', 'cache:' .. n, '') end", 0)
        longest = {}
        for name, block in (("before", recipe.before), ("after", recipe.after)):
            web = client_of(block)
            for user in (1, 2, 2):
                assert web.post(f"/seen/{user}").status_code == 204
            with slow_log(client) as commands:
                assert web.get("/online").json == {"online": 2}
            longest[name] = dict(commands)
        assert b"KEYS" in longest["before"] and b"KEYS" not in longest["after"]
        assert longest["before"][b"KEYS"] > 3 * longest["after"][b"ZCOUNT"]


@contextmanager
def served(app: Any) -> Iterator[int]:
    """Serve an app in one thread; returns the port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def asked_together(port: int, *asked: tuple[str, str]) -> list[int]:
    """Send requests one behind the other without waiting for answers; return their statuses."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in asked]
    for connection, (method, path) in zip(connections, asked, strict=True):
        connection.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
    statuses = []
    for connection in connections:
        statuses.append(connection.getresponse().status)
        connection.close()
    return statuses


def test_a_sleep_keeps_from_being_served_what_would_end_it(tables: Any) -> None:
    recipe = RECIPES["A sleep that waits for a job"]
    asked = [("GET", "/jobs/1"), ("POST", "/jobs/1/done"), ("GET", "/jobs/1")]
    with served(worker(recipe.before)["app"]) as port:
        assert asked_together(port, *asked) == [504, 204, 200]
    tables.execute("UPDATE jobs SET state = 'queued'")
    with served(worker(recipe.after)["app"]) as port:
        assert asked_together(port, *asked) == [202, 204, 200]


def test_a_list_comes_page_by_page_and_nothing_is_read_twice_or_missed(tables: Any) -> None:
    recipe = RECIPES["A list without pages"]
    assert len(client_of(recipe.before).get("/orders").json) == 300
    client = client_of(recipe.after)
    page = client.get("/orders").json
    seen = [row["id"] for row in page["items"]]
    assert len(seen) == 50
    tables.execute("INSERT INTO orders VALUES (301, 0)")  # would shift OFFSET by one
    while page["next"]:
        page = client.get("/orders", query_string={"cursor": page["next"]}).json
        seen += [row["id"] for row in page["items"]]
    assert seen == list(range(300, 0, -1))


def test_encrypted_fields_take_one_query_and_one_decryption_per_text(
    tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fernet = pytest.importorskip(
        "cryptography.fernet", reason="cryptography is not installed (pip install cryptography)"
    )
    key = base64.urlsafe_b64encode(KEY.encode()).decode()
    monkeypatch.setenv("FIELD_KEY", key)
    texts = [fernet.Fernet(key).encrypt(number.encode()).decode() for number in ("+49 1", "+49 2")]
    for number in range(20):
        tables.execute("INSERT INTO people VALUES (%s, 'Ann', %s)", (number, texts[number % 2]))
    decrypted: list[Any] = []
    real = fernet.Fernet.decrypt
    monkeypatch.setattr(fernet.Fernet, "decrypt", lambda self, text: decrypted.append(text) or real(self, text))
    recipe = RECIPES["A query and a decryption per row"]
    figures, answers = [], []
    for block in (recipe.before, recipe.after):
        decrypted.clear()
        count, answer = queries_of(client_of(block), "/people")
        figures.append((count, len(decrypted)))
        answers.append(answer)
    assert figures == [(21, 20), (1, 2)]
    assert answers[0] == answers[1]
    assert answers[0][1] == {"id": 1, "name": "Ann", "phone": "+49 2"}
