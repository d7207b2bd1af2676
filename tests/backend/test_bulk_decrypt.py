"""Encrypted columns of many rows: each distinct ciphertext decrypted once, and nothing of it in an error."""

from __future__ import annotations

import traceback
from collections import namedtuple
from contextlib import closing
from typing import Any

import psycopg2
import psycopg2.extras
import pytest

from backend import DecryptError, decrypt_rows

Person = namedtuple("Person", "id phone")
SECRET = "secret text 4711"


class Cipher:
    """Reverses texts, and counts."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def one(self, text: Any) -> Any:
        self.asked.append(text)
        if "bad" in str(text):
            raise ValueError(f"cannot decrypt {text}: {SECRET}")
        return text[::-1]

    def all(self, texts: list[Any]) -> list[Any]:
        self.asked.append(list(texts))
        return [text[::-1] for text in texts]


@pytest.fixture
def cipher() -> Cipher:
    return Cipher()


def test_each_distinct_ciphertext_is_decrypted_once_and_null_stays(cipher: Cipher) -> None:
    rows = [{"id": 1, "a": "ab", "b": "cd"}, {"id": 2, "a": "cd", "b": None}, {"id": 3, "a": "ab", "b": ""}]
    before = [dict(row) for row in rows]
    made = decrypt_rows(rows, ["a", "b"], cipher.one)
    assert [(row["id"], row["a"], row["b"]) for row in made] == [(1, "ba", "dc"), (2, "dc", None), (3, "ba", "")]
    assert cipher.asked == ["ab", "cd", ""]
    assert rows == before


def test_a_list_goes_out_and_comes_back_in_one_call(cipher: Cipher) -> None:
    rows = ({"a": text} for text in ("ab", "cd", "ab", None))
    assert decrypt_rows(rows, ["a"], decrypt_all=cipher.all) == [
        {"a": "ba"},
        {"a": "dc"},
        {"a": "ba"},
        {"a": None},
    ]
    assert cipher.asked == [["ab", "cd"]]
    assert decrypt_rows([], ["a"], decrypt_all=cipher.all) == []
    assert decrypt_rows([{"a": None}], ["a"], decrypt_all=cipher.all) == [{"a": None}]
    assert len(cipher.asked) == 1


def test_rows_keep_their_class(cipher: Cipher) -> None:
    assert decrypt_rows([Person(1, "ab")], ["phone"], cipher.one) == [Person(1, "ba")]
    assert decrypt_rows([(1, "ab")], [1], cipher.one) == [(1, "ba")]
    assert decrypt_rows([[1, "ab"]], [-1], cipher.one) == [[1, "ba"]]
    assert type(decrypt_rows([Person(1, "ab")], [1], cipher.one)[0]) is Person


@pytest.mark.parametrize(
    "factory",
    [psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor, psycopg2.extras.NamedTupleCursor],
)
def test_rows_of_every_cursor_and_bytea_work(dsn: str, cipher: Cipher, factory: Any) -> None:
    with closing(psycopg2.connect(dsn, cursor_factory=factory)) as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT 1 AS id, 'ab'::bytea AS a UNION ALL SELECT 2, 'ab' UNION ALL SELECT 3, NULL ORDER BY id"
        )
        made = decrypt_rows(cursor.fetchall(), ["a"], cipher.one)
    values = [row.a if factory is psycopg2.extras.NamedTupleCursor else row["a"] for row in made]
    assert (values, cipher.asked) == ([b"ba", b"ba", None], [b"ab"])


def said_by(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_an_error_names_row_and_column_and_never_the_text(cipher: Cipher) -> None:
    rows = [{"a": "ab", "b": "ok"}, {"a": "ab", "b": f"bad {SECRET}"}]
    with pytest.raises(DecryptError, match=r"row 1, column 'b' cannot be decrypted \(ValueError\)") as caught:
        decrypt_rows(rows, ["a", "b"], cipher.one)
    assert (caught.value.row, caught.value.column, caught.value.code) == (1, "b", "H351")
    assert SECRET not in said_by(caught.value)
    assert caught.value.__context__ is None


def test_a_bulk_that_fails_or_answers_too_few_is_an_error_without_the_text() -> None:
    def fails(texts: list[str]) -> list[str]:
        raise RuntimeError(SECRET)

    rows = [{"a": "ab"}, {"a": "cd"}]
    with pytest.raises(DecryptError, match="none of 2 texts can be decrypted") as caught:
        decrypt_rows(rows, ["a"], decrypt_all=fails)
    assert SECRET not in said_by(caught.value)
    with pytest.raises(DecryptError, match="got 2 texts and returned 1"):
        decrypt_rows(rows, ["a"], decrypt_all=lambda texts: texts[:1])
    with pytest.raises(DecryptError, match=r"row 1, column 'a' .*KeyError"):
        decrypt_rows(rows, ["a"], decrypt_all=lambda texts: ["x", KeyError(SECRET)])


def test_what_cannot_be_decrypted_may_be_something_else_instead(cipher: Cipher) -> None:
    rows = [{"a": "bad"}, {"a": "ab"}]
    assert decrypt_rows(rows, ["a"], cipher.one, instead=None) == [{"a": None}, {"a": "ba"}]
    all_of = [KeyError(), "ba"]
    made = decrypt_rows(rows, ["a"], decrypt_all=lambda texts: all_of, instead="unreadable")
    assert made == [{"a": "unreadable"}, {"a": "ba"}]


def test_a_wrong_call_is_refused(cipher: Cipher) -> None:
    with pytest.raises(ValueError, match="one of them"):
        decrypt_rows([], ["a"])
    with pytest.raises(ValueError, match="one of them"):
        decrypt_rows([], ["a"], cipher.one, decrypt_all=cipher.all)
    for row, column in (({"a": SECRET}, "b"), ((SECRET,), 1), ((SECRET,), "a"), (Person(1, SECRET), "b")):
        with pytest.raises(ValueError, match=f"row 0 has no column {column!r}") as caught:
            decrypt_rows([row], [column], cipher.one)
        assert caught.value.__context__ is None
    with pytest.raises(ValueError, match="column 'a' of row 0 is int, no ciphertext"):
        decrypt_rows([{"a": 7}], ["a"], cipher.one)


def test_fernet_with_an_old_and_a_new_key_in_one_query(dsn: str) -> None:
    fernet = pytest.importorskip(
        "cryptography.fernet", reason="cryptography is not installed (pip install cryptography)"
    )
    old, new = (fernet.Fernet(fernet.Fernet.generate_key()) for _ in range(2))
    both = fernet.MultiFernet([new, old])
    texts = [(1, old.encrypt(b"+49 1").decode()), (2, new.encrypt(b"+49 2").decode()), (3, "gAAAA no token")]
    with (
        closing(psycopg2.connect(dsn)) as conn,
        conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
    ):
        psycopg2.extras.execute_values(cursor, "SELECT * FROM (VALUES %s) people (id, phone) ORDER BY id", texts)
        rows = cursor.fetchall()
    made = decrypt_rows(rows, ["phone"], lambda text: both.decrypt(text).decode(), instead=None)
    assert [row["phone"] for row in made] == ["+49 1", "+49 2", None]
    with pytest.raises(DecryptError, match=r"row 2, column 'phone' cannot be decrypted \(InvalidToken\)"):
        decrypt_rows(rows, ["phone"], both.decrypt)
