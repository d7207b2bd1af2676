"""What a name and a value say about a secret: `db_password` names one, `your_password` is none.

Used by `hardcoded-credentials`. Words of a few languages are known; a secret under a name that says nothing is
found only by its shape. If this is too wide, field names are accused; if too narrow, passwords are missed.
"""

from __future__ import annotations

import re

PASSWORD = "password"
KEY = "key"
THIRD_PARTY = "third-party"

_PASSWORDS = frozenset({
    "password", "passwd", "passphrase", "pass", "pwd", "pw", "pswd", "psw", "senha", "contrasena", "contraseña",
    "clave", "mdp", "passwort", "parola", "sifre", "haslo", "wachtwoord", "kennwort",
})  # fmt: skip
_PASSWORD_ENDS = ("password", "passwd", "passphrase", "dbpass", "dbpwd", "dbpw", "userpwd", "pgpass")
_KEYS = re.compile(
    r"(^|_)(secret_?key|session_key|csrf_session_key|jwt_?(secret|key)|app_secret|signing_key|encryption_key"
    r"|fernet_key|token_(secret|key)|secret|password_salt|cookie_secret|flask_secret|secret_string|hmac_key|jwt_secret_string"
    r"|secretkey|private_key_pem|csrf_key)$"
)
_THIRD = re.compile(
    r"(^|_)(api_?key|api_?secret|api_?token|access_key(_id)?|access_?token|auth_?token|client_secret"
    r"|consumer_secret|secret_access_key|consumer_key|bearer_token|bot_token|account_key|private_key"
    r"|recaptcha_\w+_key)$"
)
_PLACEHOLDER = re.compile(
    r"<.*>|\[.*\]|\{.*\}|\$.*|%.*|x{3,}|\*+|\.{2,}|-+|_+|your.*|.*[-_ ]here|todo.*|fixme.*|replace.*|insert.*"
    r"|enter.*|null|none|undefined|redacted.*|n/?a|seu_.*|sua_.*|tu_.*|su_.*|votre.*|dein.*|optional|required|true|false"
    r"|string|str|text|varchar.*|hidden|\\0.*",
    re.IGNORECASE | re.DOTALL,
)
_TEMPLATE = re.compile(r"\0|\{[^}]*\}|%\(\w+\)s|%s|\$\{?\w+\}?|<\w+>")
_EXAMPLE = re.compile(r"change|example|sample|dummy|placeholder|secret|p[a4@]ssw[o0]rd|test", re.IGNORECASE)
_HASH = re.compile(r"\$\w+\$|(pbkdf2|scrypt|sha\d*|md5|argon2|bcrypt|\{SSHA)\W", re.IGNORECASE)
WEAK = frozenset({
    "postgres", "postgresql", "password", "admin", "root", "secret", "changeme", "change_me", "change-me",
    "example", "test", "dev", "development", "user", "pass", "pwd", "docker", "db", "database", "123", "1234",
    "12345", "123456", "mysecretpassword", "supersecret", "super-secret", "app", "flask", "default", "demo",
    "local", "guest", "mysql", "username", "pgpassword", "dbpassword", "db_password", "postgres_password",
    "postgrespassword", "mypassword", "secretpassword", "abc123", "qwerty", "dbpass", "passwd",
    "rootpassword", "toor",
})  # fmt: skip


def kind(name: str) -> str:
    """Return what a name says that its value is: PASSWORD, KEY, THIRD_PARTY, or "" for no secret."""
    words = _words(name)
    if words.startswith(("test_", "fake_", "dummy_", "mock_", "example_")):
        return ""
    if words.rpartition("_")[2].rstrip("0123456789") in _PASSWORDS or words.endswith(_PASSWORD_ENDS):
        return PASSWORD
    if _THIRD.search(words):
        return THIRD_PARTY
    return KEY if _KEYS.search(words) else ""


def _words(name: str) -> str:
    """Return a name in snake case: `dbPassword` is `db_password`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(".", "_")


def is_password(value: str) -> bool:
    """Whether a value can be a password: one word, no template, no hash, no placeholder, no path."""
    if not value or len(value) > 200 or re.search(r"\s", value) or _HASH.match(value):
        return False
    return not (is_template(value) or _PLACEHOLDER.fullmatch(value) or value.startswith(("/", "./", "http")))


def is_key(value: str) -> bool:
    """Whether a value can be a key that signs: anything, words of an example included, for it is in use."""
    return bool(value.strip()) and not _TEMPLATE.fullmatch(value.strip())


def is_random(value: str) -> bool:
    """Whether a value looks made by a machine: 16 characters or more, letters and digits."""
    if not re.fullmatch(r"[\w+/=.:~-]{16,}", value) or not is_password(value):
        return False
    return bool(re.search(r"\d", value) and re.search(r"[a-zA-Z]", value)) and not re.search(r"(.)\1{5}", value)


def is_real(value: str) -> bool:
    """Whether a value is somebody's own choice: no default, no example, letters with digits or signs."""
    if not is_password(value) or value.lower() in WEAK or len(value) < 6 or is_example(value):
        return False
    classes = (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]")
    return sum(bool(re.search(each, value)) for each in classes) > 1


def is_example(value: str) -> bool:
    """Whether a value says of itself that it is to be changed."""
    return bool(_EXAMPLE.search(value))


def is_template(value: str) -> bool:
    """Whether a part of it is put in later."""
    return bool(_TEMPLATE.search(value))
