"""Finds the password in a connection text, a URL or libpq's keywords, whatever the variable is called."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from . import secret_words

_URL = re.compile(
    r"\b(?P<scheme>postgres(?:ql)?|mysql|mariadb|mongodb|redis|rediss|amqps?|mssql|oracle|cockroachdb|smtps?)"
    r"(?:\+\w+)?://(?P<user>[^\s:/@'\"]*):(?P<password>[^\s@/'\"]+)@(?P<host>[^\s:/?'\",]*)"
)
_KEYWORD = re.compile(r"(?:^|[\s;,'\"])password\s*=\s*(?:'([^']*)'|([^\s'\";]+))", re.IGNORECASE)
_OTHERS = re.compile(r"(?:^|[\s;'\"])(host|hostaddr|dbname|user|port)\s*=\s*'?([^\s'\";]*)", re.IGNORECASE)
_OWN_MACHINE = re.compile(r"^(localhost|127\.[\d.]+|::1|0\.0\.0\.0|.*\.internal|)$")
_NO_LOGIN = re.compile(r"[()*\\|^<>{}]")  # a pattern for URLs, or a template of one
_NO_HOST = re.compile(r"^(your|my_?host|host(name)?$|server$|ip_|<)|_de_|_of_|instan[cz]|example", re.IGNORECASE)


class Login(NamedTuple):
    """Who may go where. The password is kept to be judged, never to be shown."""

    scheme: str
    user: str
    password: str
    host: str

    @property
    def is_remote(self) -> bool:
        """Whether the host is one that others can reach: a name with a dot."""
        return "." in self.host and not _OWN_MACHINE.match(self.host)


def login(text: str) -> Login | None:
    """Return the login that a text has; None when there is no literal password in it."""
    if "://" not in text and "=" not in text:
        return None
    return in_url(text) or in_keywords(text)


def in_url(text: str) -> Login | None:
    """Return the login of a URL in a text, `postgresql://user:password@host/name`."""
    for match in _URL.finditer(text):
        if _NO_LOGIN.search(match[0]) or _NO_HOST.search(match["host"]):
            continue
        if secret_words.is_password(unquote(match["password"])):
            return Login(match["scheme"], match["user"], match["password"], match["host"])
    return None


def in_keywords(text: str) -> Login | None:
    """Return the login of libpq's keywords, `host=db password=...`; another keyword has to stand beside."""
    match = _KEYWORD.search(text)
    others = {key.lower(): value for key, value in _OTHERS.findall(text)}
    password = (match[1] or match[2] or "") if match else ""
    if not others or not secret_words.is_password(password):
        return None
    return Login("postgresql", others.get("user", ""), password, others.get("host", ""))
