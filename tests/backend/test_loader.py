"""Values asked for one by one, fetched in one batch: as far as the order of evaluation allows, and no further."""

from __future__ import annotations

import contextvars
from collections import namedtuple
from contextlib import closing
from typing import Any

import flask
import psycopg2
import psycopg2.extras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import BatchError, Hardening, Loader, batched, fetch_by_ids, get_db_connection, get_pool, loading
from tests.support.threads import Running


class Source:
    """A batch function that remembers what it was asked for."""

    def __init__(self, answer: Any = None) -> None:
        self.calls: list[list[Any]] = []
        self._answer = answer or (lambda keys: {key: f"<{key}>" for key in keys})

    def __call__(self, keys: list[Any], **others: Any) -> Any:
        self.calls.append(keys)
        return self._answer(keys, **others)


def test_what_was_asked_for_before_the_first_answer_is_one_batch() -> None:
    source = Source()
    loader = Loader(source)
    with loading():
        lazy = [loader.load(key) for key in (3, 1, 3)]
        assert source.calls == [] and lazy[0] is lazy[2] and repr(lazy[0]) == "<Lazy 3, not fetched>"
        assert [each.get() for each in lazy] == ["<3>", "<1>", "<3>"]
        assert loader.get_many([1, 2, 4]) == ["<1>", "<2>", "<4>"]
        assert loader.get(2) == "<2>" and repr(lazy[0]) == "<Lazy 3>"
    assert source.calls == [[3, 1], [2, 4]]


def test_rows_announce_the_keys_of_a_loop() -> None:
    source = Source()
    loader = Loader(source, most=2)
    Row = namedtuple("Row", "customer_id")
    with loading():
        loader.prefetch([{"customer_id": 1}, {"customer_id": None}, {"customer_id": 2}], "customer_id")
        loader.prefetch([Row(3)], "customer_id")
        loader.prefetch([(0, 4), (0, 1)], 1)
        loader.prefetch([5])
        assert [loader.get(key) for key in (5, 4, 3, 2, 1)] == ["<5>", "<4>", "<3>", "<2>", "<1>"]
    assert source.calls == [[1, 2], [3, 4], [5]]


def test_a_block_s_memory_falls_away_with_it_and_nested_blocks_are_apart() -> None:
    source = Source()
    loader = Loader(source)
    with loading():
        loader.get(1)
        with loading():
            loader.get(1)
        loader.get(1)
    with loading():
        loader.get(1)
    assert source.calls == [[1]] * 3
    with pytest.raises(BatchError, match="with loading"):
        loader.load(1)


def test_missing_is_none_and_an_error_is_its_key_s_alone_and_not_kept() -> None:
    source = Source(lambda keys: [None if key == 1 else KeyError(key) if key == 2 else key for key in keys])
    loader = Loader(source)
    with loading():
        loader.prefetch([1, 2, 3])
        assert loader.get(1) is None and loader.get(3) == 3
        failed = loader.load(2)
        for _ in range(2):
            with pytest.raises(KeyError):
                failed.get()
    assert source.calls == [[1, 2, 3], [2]]


def test_a_batch_that_fails_fails_all_in_it_and_is_asked_again_later() -> None:
    broken = [True]

    def fetch(keys: list[int]) -> Any:
        if broken:
            raise psycopg2.OperationalError("gone")
        return {key: key for key in keys}

    loader = Loader(fetch)
    with loading():
        one, two = loader.load(1), loader.load(2)
        for lazy in (one, two, one):
            with pytest.raises(psycopg2.OperationalError, match="gone"):
                lazy.get()
        broken.clear()
        assert loader.get_many([1, 2]) == [1, 2]


def test_an_interrupt_is_not_swallowed() -> None:
    def fetch(keys: list[int]) -> Any:
        raise KeyboardInterrupt

    loader = Loader(fetch, most=1)
    with loading():
        loader.prefetch([1, 2])
        with pytest.raises(KeyboardInterrupt):
            loader.get(2)


def test_clear_after_a_write_and_prime_what_is_known() -> None:
    source = Source()
    loader = Loader(source)
    with loading():
        loader.prime(1, "known")
        loader.prime(1, "not this")
        assert loader.get(1) == "known" and source.calls == []
        loader.clear(1)
        assert loader.get(1) == "<1>"
        loader.clear_all()
        loader.clear("never seen")
        assert loader.get(1) == "<1>"
    assert source.calls == [[1], [1]]


@pytest.mark.parametrize(("answer", "said"), [
    (lambda keys: None, "returns a mapping or a list, not NoneType"),
    (lambda keys: "ab", "returns a mapping or a list, not str"),
    (lambda keys: [1], "returned 1 values for 2 keys"),
])  # fmt: skip
def test_a_batch_function_that_answers_something_else_is_named(answer: Any, said: str) -> None:
    loader = Loader(answer)
    with loading():
        loader.prefetch([1, 2])
        with pytest.raises(BatchError, match=said):
            loader.get(2)


def test_what_is_no_key_is_refused() -> None:
    loader = Loader(Source())
    with loading():
        for key, said in ((None, "None is no key"), ([1], "a list is no key")):
            with pytest.raises(BatchError, match=said):
                loader.load(key)
        for keys in ("abc", 5):
            with pytest.raises(BatchError, match="prefetch takes a list"):
                loader.prefetch(keys)  # type: ignore[arg-type]
    with pytest.raises(BatchError, match="most=0"):
        Loader(Source(), most=0)


def test_loaders_may_use_each_other_but_not_themselves() -> None:
    inner = Loader(Source())
    outer = Loader(lambda keys: inner.get_many(keys))
    circle: Any = Loader(lambda keys: [circle.get(keys[0])])
    with loading():
        assert outer.get_many([1, 2]) == ["<1>", "<2>"]
        with pytest.raises(BatchError, match="is being fetched already"):
            circle.get(1)


def test_threads_do_not_share_even_with_a_copied_context() -> None:
    source = Source()
    loader = Loader(source)
    with loading():
        loader.get(1)
        assert Running(contextvars.copy_context().run, loader.get, 1).result() == "<1>"
    assert source.calls == [[1], [1]]


def test_fetch_by_ids_is_a_batch_function(dsn: str) -> None:
    own = "SELECT n AS id FROM generate_series(1, 3) n WHERE n = ANY(%(ids)s)"
    with closing(psycopg2.connect(dsn)) as conn, loading():
        loader = Loader(lambda ids: fetch_by_ids(conn, own, ids))
        assert loader.get_many([2, 9, 1, 2]) == [(2,), None, (1,), (2,)]


def test_requests_share_nothing_where_the_app_keeps_an_app_context_pushed(url: str) -> None:
    """A script that does `app.app_context().push()` at its end lends one `g` to all requests of a sync worker."""
    app = flask.Flask("pushed")
    Hardening(app, DATABASE_URL=url, DB_POOL_MAX=2)
    users = Loader(lambda keys: {key: f"{flask.request.args['user']}'s {key}" for key in keys})

    @app.get("/")
    def show() -> str:
        conn = get_db_connection()
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1")  # and no commit: its transaction must end with the request
        return str(users.get(1))

    with app.app_context():
        outside = get_db_connection()
        client = app.test_client()
        answers = [client.get("/", query_string={"user": name}).text for name in ("ann", "bob")]
        assert answers == ["ann's 1", "bob's 1"]
        assert get_pool().stats()["used"] == 1 and not outside.closed
        assert get_db_connection() is outside
    assert get_pool().stats()["used"] == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["load", "get", "clear", "prime"]), st.integers(0, 4)), max_size=25))
def test_any_order_of_calls_gives_what_single_queries_would(steps: list[tuple[str, int]]) -> None:
    """The values never change here, so neither may the answers; and no key is fetched twice unless cleared."""
    source = Source()
    loader = Loader(source, most=3)
    lazies = []
    with loading():
        for what, key in steps:
            if what == "load":
                lazies.append((key, loader.load(key)))
            elif what == "get":
                assert loader.get(key) == f"<{key}>"
            elif what == "clear":
                loader.clear(key)
            else:
                loader.prime(key, f"<{key}>")
        assert all(lazy.get() == f"<{key}>" for key, lazy in lazies)
    cleared = sum(what == "clear" for what, _ in steps)
    assert sum(map(len, source.calls)) <= 5 + cleared
    assert all(len(set(keys)) == len(keys) <= 3 for keys in source.calls)


def _legacy(customer_id: int) -> Any:
    return {"id": customer_id, "from": "its own query"}


def _many(ids: list[int]) -> Any:
    return {id: {"id": id, "from": "the batch"} for id in ids if id < 90}


def test_a_helper_called_in_a_loop_is_answered_from_the_batch_that_was_announced() -> None:
    source = Source(_many)
    helper = batched(source)(_legacy)
    assert helper(1)["from"] == "its own query"
    helper.prefetch([1])  # outside of everything: nothing happens
    with loading():
        assert helper(1)["from"] == "its own query"
        helper.prefetch([{"c": 1}, {"c": 2}, {"c": 99}, {"c": None}], "c")
        assert [helper(id)["from"] for id in (1, 99)] == ["the batch", "its own query"]
        assert helper(customer_id=2)["from"] == "the batch"
        assert helper(3)["from"] == "its own query"
        helper.clear(1)
        assert helper(1)["from"] == "its own query"
        with pytest.raises(TypeError, match="missing 1 required"):
            helper()
        with pytest.raises(BatchError, match="a list is no key"):
            helper.prefetch([[1]])
        assert helper([1])["from"] == "its own query"
    assert source.calls == [[1, 2, 99]] and helper.__name__ == "_legacy"


def test_each_call_of_a_helper_gets_a_row_of_its_own() -> None:
    helper = batched(_many)(_legacy)
    with loading():
        helper.prefetch([1])
        helper(1)["from"] = "changed"
        assert helper(1)["from"] == "the batch"


def test_a_row_that_cannot_be_copied_is_the_helper_s_own() -> None:
    helper = batched(lambda ids: {1: (part for part in "ab")})(_legacy)
    with loading():
        helper.prefetch([1])
        assert helper(1)["from"] == "its own query"


def test_other_arguments_of_a_helper_keep_batches_apart() -> None:
    source = Source(lambda ids, **others: {id: (id, others) for id in ids})

    @batched(source, key="id")
    def helper(conn: Any, id: int, lang: str = "en") -> Any:
        return "its own"

    with loading():
        helper.prefetch([1, 2], conn="a")
        helper.prefetch([1], conn="b", lang="de")
        assert helper("a", 1) == (1, {"conn": "a", "lang": "en"}) == helper("a", 1, lang="en")
        assert helper("b", 1, "de") == (1, {"conn": "b", "lang": "de"})
        assert helper("b", 1) == helper("c", 2) == helper([], 1) == "its own"
        helper.clear(1, conn="a")
        assert helper("a", 1) == "its own" and helper("a", 2)[0] == 2
    assert source.calls == [[1, 2], [1]]


def test_a_helper_whose_id_is_not_clear_is_refused() -> None:
    with pytest.raises(BatchError, match="which parameter is the id"):
        batched(_many)(lambda conn, id: None)
    with pytest.raises(BatchError, match="which parameter"):
        batched(_many, key="x")(_legacy)


def test_an_error_of_one_id_is_raised_by_its_call_alone() -> None:
    helper = batched(lambda ids: {1: LookupError("one"), 2: 2})(_legacy)
    with loading():
        helper.prefetch([1, 2])
        assert helper(2) == 2  # the first call fetches, and an error is not kept
        assert helper(1)["from"] == "its own query"
        helper.prefetch([1])
        with pytest.raises(LookupError):
            helper(1)


def test_a_request_remembers_for_itself_alone(url: str) -> None:
    source = Source()
    loader = Loader(source)
    helper = batched(source)(_legacy)
    app = flask.Flask("loads")
    Hardening(app, DATABASE_URL=url)

    @app.get("/<int:key>")
    def answer(key: int) -> str:
        helper.prefetch([7])
        return f"{loader.get(key)}{loader.get(key)}{helper(7)}"

    client = app.test_client()
    assert [client.get(f"/{key}").text for key in (1, 1, 2)] == ["<1><1><7>", "<1><1><7>", "<2><2><7>"]
    assert source.calls == [[1], [7], [1], [7], [2], [7]]
