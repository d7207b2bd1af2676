"""SCRAM-SHA-256 verifiers, computed here, so that no plain password reaches a server, its log or a file.

The text is what PostgreSQL keeps in `pg_authid.rolpassword` and takes in `ALTER ROLE ... PASSWORD`, and what
PgBouncer reads from userlist.txt: `SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY` (RFC 5802, 7677, 5803).
Must not log or show what it is given. If this is wrong, nobody can log in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from .errors import InputError

ITERATIONS = 4096  # PostgreSQL's own; PgBouncer computes them anew at each login where it has plain passwords
SALT_BYTES = 16
LONGEST_BYTES = 1024  # PostgreSQL 13 prepares no longer password
MOST_ITERATIONS = 10_000_000  # a verifier of a stranger must not keep us busy for hours
SHAPE = re.compile(r"SCRAM-SHA-256\$(\d{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
FORBIDDEN = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9, stringprep.in_table_a1,
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Verifier:
    """The parts of a verifier; its `repr` shows none.

    Attributes:
        iterations: rounds of PBKDF2.
        salt: bytes mixed into the password.
        stored_key, server_key: 32 bytes each.
    """

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"Verifier(iterations={self.iterations})"

    def __str__(self) -> str:
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def make_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Return the verifier of a password.

    Args:
        password: 1 to 1024 bytes of UTF-8.
        salt: random when None; the same salt gives the same bytes.
        iterations: rounds of PBKDF2.

    Raises:
        InputError: the password cannot be one of PostgreSQL's.
    """
    return str(_derived(password, secrets.token_bytes(SALT_BYTES) if salt is None else salt, iterations))


def verify(password: str, verifier: str) -> bool:
    """Tell whether a verifier is this password's, in a time that does not depend on how much of it fits.

    Raises:
        InputError: the text is no verifier, or the password cannot be one.
    """
    known = read_verifier(verifier)
    found = _derived(password, known.salt, known.iterations)
    stored_fits = hmac.compare_digest(found.stored_key, known.stored_key)
    return hmac.compare_digest(found.server_key, known.server_key) and stored_fits


def read_verifier(text: str) -> Verifier:
    """Return the parts of a verifier.

    Raises:
        InputError: it is none; the text is not repeated.
    """
    found = SHAPE.fullmatch(text)
    if found is None:
        raise InputError("the text is no SCRAM-SHA-256 verifier; take pg_authid.rolpassword as it stands")
    iterations = int(found[1])
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise InputError(f"the verifier wants {iterations} iterations; 1 to {MOST_ITERATIONS} make sense")
    try:
        salt, stored, server = (base64.b64decode(part, validate=True) for part in found.groups()[1:])
    except binascii.Error:
        raise InputError("the verifier's base64 is damaged; take pg_authid.rolpassword as it stands") from None
    if not salt or len(stored) != 32 or len(server) != 32:
        raise InputError(
            f"the verifier has keys of {len(stored)} and {len(server)} bytes; SHA-256 gives 32 each"
        )
    return Verifier(iterations, salt, stored, server)


def prepare(password: str) -> bytes:
    """Return the bytes that PostgreSQL and libpq hash for a password.

    Both prepare it by SASLprep (RFC 4013), and take it as it stands when that is forbidden: so does this.

    Raises:
        InputError: it is empty, too long, or no text that a connection can carry.
    """
    if any("\ud800" <= char <= "\udfff" for char in password):
        raise InputError("the password is not valid UTF-8; choose another")
    raw = password.encode()
    if not 1 <= len(raw) <= LONGEST_BYTES:
        raise InputError(f"the password has {len(raw)} bytes; it must have 1 to {LONGEST_BYTES}")
    if b"\0" in raw:
        raise InputError("the password contains a NUL character, which no connection can carry; choose another")
    if password.isascii():  # as PostgreSQL does: not even its control characters are looked at
        return raw
    prepared = _saslprep(password)
    return raw if prepared is None else prepared.encode()


def _saslprep(password: str) -> str | None:
    """Return the prepared text, or None where it is forbidden.

    PostgreSQL looks for what is forbidden before it normalizes, RFC 4013 after: its way is the one that fits.
    So only characters of Unicode 3.2 are normalized, which newer tables do not change.
    """
    text = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not _becomes_nothing(char)
    )
    if not text or any(is_in(char) for char in text for is_in in FORBIDDEN) or not _has_one_direction(text):
        return None
    return unicodedata.normalize("NFKC", text)


def _has_one_direction(text: str) -> bool:
    """Tell whether a text with a letter that is written from right to left has no others, and such ends."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    has_such_ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return has_such_ends and not any(map(stringprep.in_table_d2, text))


def _becomes_nothing(char: str) -> bool:
    # U+200B is in both tables of RFC 3454; PostgreSQL asks for spaces first.
    return stringprep.in_table_b1(char) and not stringprep.in_table_c12(char)


def _derived(password: str, salt: bytes, iterations: int) -> Verifier:
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return Verifier(
        iterations, salt, hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    )
