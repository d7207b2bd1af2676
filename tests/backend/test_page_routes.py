"""The list endpoint: pages, links to the others, and 400 with a code for what a client gets wrong."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException

from backend import (
    CursorPages,
    Hardening,
    NumberedPage,
    NumberedPages,
    Page,
    PageError,
    cursors,
    get_db_connection,
    list_routes,
    page_response,
    paged,
)

NUMBERS = CursorPages("SELECT n AS id FROM generate_series(1, 5) n", order="id", size=2)
OF_CUSTOMER = CursorPages("SELECT n AS id, %(customer_id)s AS c FROM generate_series(1, 3) n", order="-id", size=2)
NUMBERED = NumberedPages("SELECT n AS id FROM generate_series(1, 5) n", order="id", size=2, count="exact")


@pytest.fixture
def app(url: str) -> Flask:
    made = Flask(__name__)
    made.secret_key = "secret"
    Hardening(made, DATABASE_URL=url, DB_POOL_MAX=1)
    made.register_blueprint(list_routes("numbers", NUMBERS))
    made.register_blueprint(list_routes("owned", OF_CUSTOMER, "/customers/<int:customer_id>/numbers"))
    made.register_blueprint(list_routes("numbered", NUMBERED, "/by/number"))
    return made


def links(answer: Any) -> dict[str, str]:
    return {name: target for target, name in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"])}


def test_two_lines_are_a_list_that_reads_on(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/numbers")
    assert (first.status_code, first.content_type) == (200, "application/json")
    assert [row["id"] for row in first.json["items"]] == [1, 2]
    second = client.get("/numbers", query_string={"cursor": first.json["next"]})
    assert [row["id"] for row in second.json["items"]] == [3, 4]
    assert client.get("/numbers", query_string={"cursor": second.json["previous"]}).json == first.json


def test_links_lead_through_the_list_and_keep_the_rest_of_the_query(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/numbers?limit=1&q=a%26b%3E&q=%C3%A9")
    assert links(answer).keys() == {"next", "first", "last"}
    seen = [row["id"] for row in answer.json["items"]]
    while target := links(answer).get("next"):
        assert target.startswith("/numbers?limit=1&q=a%26b%3E&q=%C3%A9&cursor=")
        answer = client.get(target)
        seen += [row["id"] for row in answer.json["items"]]
    assert seen == [1, 2, 3, 4, 5]
    assert [row["id"] for row in client.get(links(answer)["prev"]).json["items"]] == [4]
    assert [row["id"] for row in client.get(links(answer)["first"]).json["items"]] == [1]
    assert [row["id"] for row in client.get(links(answer)["last"]).json["items"]] == [5]


def test_links_stay_under_the_prefix_that_the_app_is_mounted_under(app: Flask) -> None:
    answer = app.test_client().get("/numbers", base_url="http://host/shop")
    assert links(answer)["next"].startswith("/shop/numbers?cursor=")


def test_numbered_pages_have_links_too(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/by/number?page=2&limit=2")
    assert links(answer) == {
        name: f"/by/number?limit=2&page={page}" for name, page in (("next", 3), ("prev", 1), ("first", 1))
    }
    assert (answer.json["page"], answer.json["total"]) == (2, 5)


def test_what_is_variable_in_the_path_is_a_parameter_that_the_cursor_is_bound_to(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/customers/7/numbers").json
    assert [row["c"] for row in first["items"]] == [7, 7]
    assert len(client.get(f"/customers/7/numbers?cursor={first['next']}").json["items"]) == 1
    assert client.get(f"/customers/8/numbers?cursor={first['next']}").status_code == 400


def test_other_parameters_come_from_a_function_within_the_request(app: Flask) -> None:
    def who() -> dict[str, Any]:
        if "who" not in request.args:
            raise PageError("who is missing")
        return {"customer_id": request.args["who"]}

    app.register_blueprint(list_routes("mine", OF_CUSTOMER, parameters=who))
    client = app.test_client()
    assert client.get("/mine?who=me").json["items"][0]["c"] == "me"
    assert client.get("/mine").json == {"error": "who is missing", "code": "H321"}


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("cursor=", "H322", "cursor must be one"), ("cursor=%00", "H322", "cursor must be one"),
        ("cursor=%FF%C3%A9", "H322", "cursor must be one"), ("cursor=" + "A" * 3000, "H322", "cursor must be one"),
        ("cursor=1%27%20OR%201=1", "H322", "cursor must be one"), ("limit=0", "H321", "limit must be a whole"),
        ("limit=", "H321", "from 1 to 100"), ("limit=1e3", "H321", "from 1 to 100"),
        ("limit=%D9%A5", "H321", "from 1 to 100"), ("limit=1000000000", "H321", "from 1 to 100"),
    ],
)  # fmt: skip
def test_what_a_client_gets_wrong_is_a_400_with_a_code_and_no_word_of_sql(
    app: Flask, query: str, code: str, said: str
) -> None:
    answer = app.test_client().get(f"/numbers?{query}")
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert answer.json.keys() == {"error", "code"}
    assert answer.json["code"] == code and said in answer.json["error"]
    assert "select" not in answer.get_data(as_text=True).lower()
    assert app.test_client().get("/numbers").status_code == 200  # the one connection came back


def test_a_page_number_too_deep_is_a_400(app: Flask) -> None:
    answer = app.test_client().get("/by/number?page=1000000000")
    assert (answer.status_code, answer.json["code"]) == (400, "H321")


def test_a_view_of_ones_own_answers_400_as_well(app: Flask) -> None:
    @app.get("/own/<int:customer_id>")
    def own(customer_id: int) -> Any:
        with get_db_connection(autocommit=True) as conn:
            return page_response(OF_CUSTOMER, conn, customer_id=customer_id)

    client = app.test_client()
    assert "next" in links(client.get("/own/1"))
    assert client.get("/own/1?cursor=x").json["code"] == "H322"


def test_the_app_s_own_handlers_shape_the_refusal(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def shape(error: HTTPException) -> Any:
        return jsonify(message=error.description, reason=getattr(error, "reason", None)), error.code

    answer = app.test_client().get("/numbers?limit=0")
    assert answer.json == {"message": "limit must be a whole number from 1 to 100", "reason": "H321"}


def test_head_and_other_methods(app: Flask) -> None:
    client = app.test_client()
    head = client.head("/numbers")
    assert (head.status_code, head.data, "next" in links(head)) == (200, b"", True)
    assert client.post("/numbers").status_code == 405


class TestKeys:
    @pytest.fixture(autouse=True)
    def _forget(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.delenv("HARDEN_CURSOR_KEY", raising=False)
        cursors._key_of_environment.cache_clear()
        yield
        cursors._key_of_environment.cache_clear()

    def hardened(self, url: str, secret: str | None, **config: Any) -> Any:
        app = Flask(__name__)
        app.secret_key = secret
        app.config.update(config, DATABASE_URL=url)
        Hardening(app)
        app.register_blueprint(list_routes("numbers", NUMBERS))
        app.logger.disabled = True
        return app.test_client()

    def test_workers_that_share_the_secret_share_cursors_and_others_do_not(self, url: str) -> None:
        cursor = self.hardened(url, "one").get("/numbers").json["next"]
        assert self.hardened(url, "one").get(f"/numbers?cursor={cursor}").status_code == 200
        assert self.hardened(url, "two").get(f"/numbers?cursor={cursor}").status_code == 400

    def test_the_setting_unites_workers_that_draw_secrets_of_their_own(self, url: str) -> None:
        key = {"HARDEN_CURSOR_KEY": "0123456789abcdef"}
        cursor = self.hardened(url, "one", **key).get("/numbers").json["next"]
        assert self.hardened(url, "two", **key).get(f"/numbers?cursor={cursor}").status_code == 200
        rotated = {"HARDEN_CURSOR_KEY": "fedcba9876543210, 0123456789abcdef"}
        assert self.hardened(url, "two", **rotated).get(f"/numbers?cursor={cursor}").status_code == 200

    def test_flask_s_fallbacks_are_still_read(self, url: str) -> None:
        cursor = self.hardened(url, "old").get("/numbers").json["next"]
        later = self.hardened(url, "new", SECRET_KEY_FALLBACKS=["old"])
        assert later.get(f"/numbers?cursor={cursor}").status_code == 200

    def test_without_any_key_the_server_is_at_fault_and_the_log_says_what_to_set(self, url: str) -> None:
        assert self.hardened(url, None).get("/numbers").status_code == 500
        assert self.hardened(url, None).get("/numbers?limit=5").status_code == 200  # no cursor, no key


def test_it_works_in_an_app_that_is_not_hardened(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    app = Flask(__name__)
    app.secret_key = "secret"
    app.register_blueprint(list_routes("numbers", NUMBERS, "/api/numbers"))
    client = app.test_client()
    first = client.get("/api/numbers")
    assert client.get(links(first)["next"]).status_code == 200
    assert client.get("/api/numbers?cursor=x").json["code"] == "H322"


def test_two_processes_write_the_same_cursor(url: str) -> None:
    """Nothing in it may hang on an address, a hash seed or a clock."""
    code = (
        "from backend.cursors import Signer, Position\n"
        "print(Signer('l', 1, 'a key of sixteen').write(Position('after', ('1',)), {'a': [1], 'b': 'x'}))"
    )
    root = Path(__file__).resolve().parents[2]
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and len(said.pop()) > 20


def test_every_public_name_and_option_is_explained() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "pages.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`|```.*?```", text, re.DOTALL)))) | set(
        re.findall(r"\w+", "".join(re.findall(r"```python.*?```", text, re.DOTALL)))
    )
    for thing in (CursorPages, NumberedPages, Page, NumberedPage, list_routes, page_response, paged):
        options = set(inspect.signature(thing).parameters) - {"source", "node"}
        members = {name for name in vars(thing) if not name.startswith("_")} if inspect.isclass(thing) else set()
        assert {thing.__name__, *options, *members} <= words, thing
