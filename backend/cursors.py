"""Writes and reads cursors: a place in a list, as text that a client can only hand back.

A cursor is base64url of a signature of 16 bytes (keyed BLAKE2b) and of the place: which way to read on, and
the values of the sort columns of the row there, as PostgreSQL wrote them. The signature covers the list, its
order and its parameters as well, so a cursor of another list, another sort or another customer is refused like a
forged one, by one sentence that does not say which. Signed, not secret: a client can read the values.

Must not import Flask: `set_app_keys` tells it where an app keeps its secret. If this is wrong, a client places
values of its own choice in a statement (as bound parameters even then), or reads on in a list that is not its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .errors import CursorError, NodeError, SettingsError
from .settings import load

SIGNATURE_BYTES = 16
LONGEST = 2000  # characters; Gunicorn refuses a request line of more than 4094
FIRST, LAST = "first", "last"  # the two places that need no signature
_TEXT = re.compile(r"[A-Za-z0-9_-]+")
_write_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Keys = str | bytes | Sequence[str | bytes]


class Position(NamedTuple):
    """A place in a list.

    Attributes:
        side: "after" to read on from the row there, "before" to read backwards from it.
        values: its values in the sort columns as PostgreSQL's text; None: the beginning, or the end for "before".
    """

    side: str
    values: tuple[str | None, ...] | None


START, END = Position("after", None), Position("before", None)


class Signer:
    """Writes and reads the cursors of one list.

    Args:
        identity: what makes the list another one: its statement and order, or its name and order.
        width: how many sort columns there are.
        keys: secrets, the one to sign with first, all of them good for reading; None for the app's own.

    Raises:
        NodeError: a key is no text or bytes, or shorter than 16.
    """

    def __init__(self, identity: str, width: int, keys: Keys | None = None) -> None:
        self.digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._width = width
        self._keys = None if keys is None else _checked_keys(keys)
        self.has_own_keys = keys is not None

    def write(self, position: Position, parameters: Mapping[str, Any]) -> str:
        """Return the cursor of a position.

        Raises:
            SettingsError: there is no key to sign with.
            NodeError: it is too long for a URL.
        """
        return sign(self.digest, parameters, position, self._keys)

    def read(self, text: str | None, parameters: Mapping[str, Any]) -> Position:
        """Return the position of a cursor; none is the beginning.

        Raises:
            CursorError: this list, with these parameters, has not written it.
            SettingsError: there is no key to check it with.
        """
        if text is None or text == FIRST:
            return START
        if text == LAST:
            return END
        if not isinstance(text, str) or len(text) > LONGEST or not _TEXT.fullmatch(text):
            raise refusal()
        body = _decoded(text)
        payload = body[SIGNATURE_BYTES:]
        for key in self._keys or app_keys():
            if hmac.compare_digest(_signature(key, self.digest, parameters, payload), body[:SIGNATURE_BYTES]):
                return self._position(payload)
        raise refusal()

    def _position(self, payload: bytes) -> Position:
        side, *values = json.loads(payload)
        if len(values) != self._width:  # the order has changed under the same name
            raise refusal()
        return Position("before" if side else "after", tuple(values))


def sign(
    digest: str, parameters: Mapping[str, Any], position: Position, keys: Sequence[bytes] | None = None
) -> str:
    """Return the cursor of a position; as `Signer.write`, for who has the list's digest alone.

    Args:
        digest: `Signer.digest` of the list.
        parameters: the list's parameters that a cursor is bound to.
        position: a place in the list.
        keys: the secrets, the one to sign with first; None for the app's own.

    Raises:
        SettingsError: there is no key to sign with.
        NodeError: the cursor is too long for a URL.
    """
    if position.values is None:
        return LAST if position.side == "before" else FIRST
    side = int(position.side == "before")
    payload = _write_json([side, *position.values]).encode()
    signature = _signature((keys or app_keys())[0], digest, parameters, payload)
    text = urlsafe_b64encode(signature + payload).rstrip(b"=").decode()
    if len(text) > LONGEST:
        raise NodeError(
            f"a cursor of {len(text)} characters, {LONGEST} at most: a sort column is too long for it; "
            "sort by left(column, 100), with the key behind it"
        )
    return text


def refusal() -> CursorError:
    """Return the one error for whatever is wrong with a cursor."""
    return CursorError("cursor must be one that an earlier page of this very list gave")


def _decoded(text: str) -> bytes:
    """Decode base64url, of which only the one spelling is taken that `sign` writes."""
    try:
        body = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise refusal() from None
    if urlsafe_b64encode(body).rstrip(b"=").decode() != text:
        raise refusal()
    return body


def _signature(key: bytes, digest: str, parameters: Mapping[str, Any], payload: bytes) -> bytes:
    # The lengths of the parts are fixed or told, so no text can move from one into another.
    bound = bound_text(parameters).encode()
    message = b"%s %d %s%s" % (digest.encode(), len(bound), bound, payload)
    return hashlib.blake2b(message, digest_size=SIGNATURE_BYTES, key=_own_key(key)).digest()


@lru_cache(maxsize=64)
def _own_key(key: bytes) -> bytes:
    """Return the key for cursors alone: the same secret signs Flask's sessions."""
    return hashlib.blake2b(key, digest_size=32, person=b"harden-cursor-1").digest()


def bound_text(parameters: Mapping[str, Any]) -> str:
    """Return parameters as one text; sets that differ have texts that differ."""
    return json.dumps(_bound(parameters), sort_keys=True) if parameters else "{}"


def _bound(value: Any) -> Any:
    """Return a parameter as text, so that 7 from a path and "7" from a query string are one."""
    if isinstance(value, Mapping):
        return {str(name): _bound(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_bound(each) for each in value]
    if isinstance(value, bool):
        return "true" if value else "false"  # as PostgreSQL writes it
    return None if value is None else str(value)


_from_app: Callable[[], tuple[str | None, Sequence[str | bytes]]] = lambda: (None, ())


def set_app_keys(provider: Callable[[], tuple[str | None, Sequence[str | bytes]]]) -> None:
    """Tell where the app at work keeps its secrets.

    Args:
        provider: returns the app's HARDEN_CURSOR_KEY, or None, and the secrets of the app itself, newest first.
    """
    global _from_app
    _from_app = provider


def app_keys() -> tuple[bytes, ...]:
    """Return the keys of the app at work: HARDEN_CURSOR_KEY, else its own secret key.

    The setting comes first: a secret key that each worker draws for itself is common, and with it a cursor would
    be good for one worker in four.

    Raises:
        SettingsError: there is none.
    """
    named, secrets = _from_app()
    text = named or _key_of_environment()
    found = tuple(map(_encoded, re.split(r"[\s,]+", text.strip()) if text else secrets))
    if not found:
        raise SettingsError(
            ["nothing to sign cursors with; set HARDEN_CURSOR_KEY to the same secret for all workers and hosts, "
             "or app.secret_key, or pass keys="]
        )  # fmt: skip
    return found


@lru_cache(maxsize=1)
def _key_of_environment() -> str | None:
    found: str | None = load()["HARDEN_CURSOR_KEY"]
    return found


def _checked_keys(keys: Keys) -> tuple[bytes, ...]:
    several = (keys,) if isinstance(keys, (str, bytes)) else tuple(keys)
    if not several or not all(isinstance(key, (str, bytes)) and len(key) >= 16 for key in several):
        raise NodeError("keys must be one or more secrets of at least 16 characters, the one to sign with first")
    return tuple(map(_encoded, several))


def _encoded(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key
