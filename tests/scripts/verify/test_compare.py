"""Two answers beside each other: what counts as a difference, and what does not."""

from __future__ import annotations

from scripts.verify.ask import Answer, Request
from scripts.verify.compare import verdict
from scripts.verify.contents import Contents
from scripts.verify.recipe import Ignore
from scripts.verify.side import Reply

ASKED = Request("GET", "/list")


def _reply(
    body: str = "", status: int = 200, headers: tuple[tuple[str, str], ...] = (), port: int = 1, place: int = 0,
    rows: int = 0, base_sequence: int = 0, sequence: int = 0, errors: tuple[str, ...] = (), failure: str = "",
) -> Reply:  # fmt: skip
    contents = Contents({"t": rows}, {("t", "a"): str(rows)}, {"s": sequence})
    base = Contents({"t": 0}, {("t", "a"): "0"}, {"s": base_sequence})
    answer = Answer(status, headers, body.encode(), 0.01, failure)
    return Reply(answer, contents, rows > 0, 1, 1, errors, port, base, place)


def _found(before: list[Reply], after: list[Reply], *ignores: Ignore) -> list[str]:
    return [each.what for each in verdict(ASKED, before, after, list(ignores)).differences]


def test_the_server_s_own_address_date_and_length_do_not_count() -> None:
    place = "http://127.0.0.1:400"
    one = _reply(f"see {place}1/x", headers=(("Location", f"{place}1/x"), ("Date", "1")), port=4001)
    other = _reply(f"see {place}2/x", headers=(("location", "/x"), ("Date", "2")), port=4002)
    assert _found([one, one], [other, other]) == []


def test_status_headers_and_cookies_count() -> None:
    one = _reply(headers=(("Content-Type", "text/html"), ("Set-Cookie", "session=1; Path=/")))
    other = _reply(status=302, headers=(("Content-Type", "text/plain"), ("Set-Cookie", "token=1")))
    assert _found([one], [other]) == ["status", "header content-type", "cookies set"]


def test_a_cookie_s_value_does_not_count() -> None:
    assert _found([_reply(headers=(("Set-Cookie", "s=1"),))], [_reply(headers=(("Set-Cookie", "s=2"),))]) == []


def test_json_in_another_order_is_equal_and_noted_while_numbers_keep_their_form() -> None:
    kind = (("Content-Type", "application/json"),)
    one, other = _reply('{"a": 1, "b": 2.0}', headers=kind), _reply('{"b":2.0,"a":1}', headers=kind)
    assert "equal when parsed" in verdict(ASKED, [one], [other], []).notes[0]
    assert _found([one], [other]) == []
    assert _found([one], [_reply('{"b":2,"a":1}', headers=kind)]) != []
    assert _found([one], [_reply('{"b":"2.0","a":1}', headers=kind)]) != []


def test_what_varies_on_the_older_side_is_masked_and_on_the_newer_side_is_a_difference() -> None:
    still, moving = _reply("now 1"), _reply("now 2")
    assert _found([still, moving], [_reply("now 3")]) == []
    assert _found([still, still], [still, moving]) == ["body"]


def test_answers_are_compared_with_those_of_the_same_place() -> None:
    counted = [_reply("visit 1"), _reply("visit 2", place=1)]
    assert _found(counted * 2, counted * 2) == []
    assert _found(counted * 2, [_reply("visit 1"), _reply("visit 1", place=1)]) == ["body"]


def test_a_side_that_never_ends_differs_from_one_that_does() -> None:
    endless = _reply("tick", failure="never ended: 40 bytes within the time limit")
    assert _found([_reply()], [endless]) == ["answer"]
    both = verdict(ASKED, [endless], [endless], [])
    assert both.word == "same"
    assert "never ended" in both.notes[0]


def test_rows_sequences_and_failed_statements_count() -> None:
    assert _found([_reply(rows=1)], [_reply(rows=0)]) == ["table t"]
    assert _found([_reply(sequence=1)], [_reply(sequence=2)]) == ["sequence s"]
    assert _found([_reply()], [_reply(errors=("relation \"x\" does not exist",))]) == ["failed statements"]


def test_sequences_are_counted_from_the_first_request() -> None:
    """Each worker's import may have asked them, and the newer side has more workers."""
    assert _found([_reply(base_sequence=3, sequence=4)], [_reply(base_sequence=6, sequence=7)]) == []


def test_a_statement_that_failed_before_as_well_does_not_count() -> None:
    assert _found([_reply(errors=('duplicate key "a" 1',))], [_reply(errors=('duplicate key "b" 2',))]) == []


def test_what_the_recipe_leaves_out_is_left_out_with_its_reason() -> None:
    kind = (("Content-Type", "application/json"), ("X-Time", "1"))
    one = _reply('{"a": [{"t": 1, "v": 1}]}', headers=kind)
    other = _reply('{"a": [{"t": 2, "v": 1}]}', headers=(kind[0], ("X-Time", "2")))
    ignores = (Ignore("a time", json="a.*.t"), Ignore("a time", header="X-Time"))
    assert _found([one], [other], *ignores) == []
    assert _found([one], [other], Ignore("elsewhere", route="/other", json="a.*.t")) != []
    assert _found([_reply("took 3 ms")], [_reply("took 4 ms")], Ignore("a time", pattern=r"took \d+ ms")) == []
    assert "a time" in verdict(ASKED, [one], [other], list(ignores)).notes[0]
    assert _found([_reply(rows=1)], [_reply(rows=1)], Ignore("", column="t.a")) == []
