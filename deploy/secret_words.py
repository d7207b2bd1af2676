"""Tells a value that is a secret from one that may stand in `harden.toml`, by its name and by its look.

Knows names and shapes alone, and never repeats a value. If a secret passes here, it lies in a file that is
committed and rendered for everybody to read.
"""

from __future__ import annotations

import re

WORDS = frozenset({
    "password", "passwd", "passwort", "pass", "pwd", "passphrase", "secret", "secrets", "token", "tokens",
    "credential", "credentials", "apikey", "dbpass", "dbpassword", "dbpwd", "pgpassword", "userpass",
})  # fmt: skip
# What is said about a secret is none: TOKEN_TTL, PASSWORD_MIN_LENGTH, SECRET_KEY_FILE.
ABOUT = frozenset({
    "file", "path", "dir", "folder", "ttl", "seconds", "minutes", "hours", "days", "age", "lifetime", "expires",
    "expiry", "expiration", "length", "min", "max", "name", "header", "url", "uri", "algorithm", "location",
    "required", "enabled", "count", "limit", "policy", "type",
})  # fmt: skip
PUBLIC = frozenset({"public", "publishable", "site", "primary", "foreign", "sort"})
LOOKS = (
    ("a URL with a password in it", re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@]*:[^\s/]+@")),
    ("a DSN with a password in it", re.compile(r"(?i)(?:^|[\s?&;'\"])(?:PG)?password\s*=\s*[\"']?[^\s&$\"']")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")),
    ("a key of some service", re.compile(
        r"\b(?:[sr]k_(?:live|test)_\w{8}|gh[pousr]_\w{20}|github_pat_\w{20}|xox[abprs]-\w{8}|A[KS]IA[0-9A-Z]{16}|"
        r"AIza[\w-]{30}|eyJ[\w-]{8,}\.[\w-]{8,}\.)")),
    ("a SCRAM verifier", re.compile(r"SCRAM-SHA-256\$\d+:")),
)  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Tell whether a name is one of those that secrets have, such as SECRET_KEY or db-password."""
    words = [word for word in re.split(r"[^a-z0-9]+", _spaced(name)) if word]
    if not words or words[-1] in ABOUT:
        return False
    if WORDS.intersection(words):
        return True
    return words[-1] in ("key", "keys") and len(words) > 1 and not PUBLIC.intersection(words)


def _spaced(name: str) -> str:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def secret_look(value: str) -> str:
    """Return what kind of secret a value looks like; "" for none."""
    return next((what for what, pattern in LOOKS if pattern.search(value)), "")
