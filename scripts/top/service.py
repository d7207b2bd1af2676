"""Asks a running service for its figures: `/ops/data.json`, with the token where there is one.

The token goes to nobody else: redirects are not followed, and plain http is for this machine alone. Whatever does
not go well is one line that says what to do. If this is wrong, a token is read on the way.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
import time
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ..errors import CommandError
from .figures import number, rows

PAGE = "/ops/data.json"
VERSION = 1  # of the data that is understood here
PATIENCE = 5.0  # seconds for each step of an answer
LONGEST = 15.0  # seconds for the whole of it
MOST_BYTES = 32_000_000
MOST_TOKEN = 4096
OLD = 2.5  # seconds; workers write every second while somebody looks, else every ten
NOTICED = 1.5  # seconds until they have seen that somebody does, and written


class Service:
    """One service.

    Args:
        url: where it answers, such as https://shop.example.com or http://127.0.0.1:8000/prefix.
        token: its HARDEN_OPS_TOKEN; "" sends none.
        allows_plain: whether the token may be sent over plain http to another machine.

    Raises:
        CommandError: the URL is none, or the token would travel in the open.
    """

    def __init__(self, url: str, token: str = "", *, allows_plain: bool = False) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            self._port, host = parts.port, parts.hostname or ""
        except ValueError:
            raise CommandError(f"{url!r} is no URL; give one like http://127.0.0.1:8000") from None
        if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
            raise CommandError(f"{url!r} is no http or https URL; give one like http://127.0.0.1:8000")
        if parts.username is not None or parts.query or parts.fragment:
            raise CommandError("the URL holds more than a place; the token goes into HARDEN_OPS_TOKEN")
        self._is_https, self._host, self._token = parts.scheme == "https", host, token
        path = parts.path.removesuffix("data.json").rstrip("/").removesuffix("/ops")
        self._path = path + PAGE
        self.url = f"{parts.scheme}://{parts.netloc}{path}"
        if token and not self._is_https and not is_loopback(host) and not allows_plain:
            raise CommandError(
                f"the token would travel in the open to {host}; use https, a tunnel (ssh -L 8000:127.0.0.1:8000), "
                "or say --plain-http where the network is yours"
            )

    def ask(self) -> dict[str, Any]:
        """Return the service's figures.

        Raises:
            CommandError: it does not answer, or not as a hardened service, or not to us.
        """
        try:
            status, headers, body = self._fetch()
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message or "not verified"
            raise CommandError(f"the certificate of {self.url} is not trusted: {why}") from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "" if isinstance(error, ssl.SSLError) else "; is it running? scripts/harden up APP starts one"
            raise CommandError(f"no answer from {self.url}: {why}{hint}") from None
        if status != 200:
            self._refused(status, headers)
        return self._figures(body)

    def ask_once(self) -> dict[str, Any]:
        """Return the figures for who looks once: those after the workers have noticed that somebody looks.

        Raises:
            CommandError: as `ask`.
        """
        data = self.ask()
        now = number(data.get("now"))
        if any(now - number(worker.get("when")) > OLD for worker in rows(data, "workers")):
            time.sleep(NOTICED)
            data = self.ask()
        return data

    def _fetch(self) -> tuple[int, Any, bytes]:
        connection = self._connection()
        end = time.monotonic() + LONGEST
        try:
            connection.request("GET", self._path, headers=self._headers())
            body = bytearray()
            with connection.getresponse() as response:
                while part := response.read1(65536):
                    body += part
                    if len(body) > MOST_BYTES or time.monotonic() > end:
                        raise OSError(f"the answer is too long or too slow ({len(body):,} bytes)")
            return response.status, response.headers, bytes(body)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._is_https:
            return http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, self._port, timeout=PATIENCE, context=context)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "harden-top", "Connection": "close"}
        return {**headers, "Authorization": f"Bearer {self._token}"} if self._token else headers

    def _refused(self, status: int, headers: Any) -> NoReturn:
        if status in (401, 403):
            what = "does not take this token" if self._token else "wants its token"
            hint = "set HARDEN_OPS_TOKEN to the service's, or give --token-file FILE"
            raise CommandError(f"{self.url} {what}; {hint}")
        if status == 404:
            raise CommandError(
                f"{self.url} shows no /ops/: it is no hardened service, or closed to this machine because it has "
                "no HARDEN_OPS_TOKEN set"
            )
        if 300 <= status < 400:
            where = str(headers.get("Location", "elsewhere"))[:200]
            raise CommandError(f"{self.url} leads on to {where!r}; give that place as the URL")
        raise CommandError(f"{self.url} answers {PAGE} with status {status}; see the service's log")

    def _figures(self, body: bytes) -> dict[str, Any]:
        try:
            data = json.loads(body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or not isinstance(data.get("service"), dict):
            raise CommandError(f"{self.url} is no hardened service: {PAGE} is not the data of /ops/")
        if data.get("version") != VERSION:
            raise CommandError(
                f"{self.url} sends version {str(data.get('version'))[:20]} of its data, and this command reads "
                f"{VERSION}; use the kit's release that the service has"
            )
        return data


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_from(file: Path | None, environ: dict[str, str]) -> str:
    """Return the token of a file, else of HARDEN_OPS_TOKEN, "" without either.

    Raises:
        CommandError: the file cannot be read, or what is there is no token.
    """
    where, token = "HARDEN_OPS_TOKEN", environ.get("HARDEN_OPS_TOKEN", "").strip()
    if file is not None:
        where = f"--token-file {file}"
        try:
            with file.open("rb") as opened:
                token = opened.read(MOST_TOKEN + 1).decode().strip()
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "no text"
            raise CommandError(f"{where} cannot be read: {why}") from None
        if not token:
            raise CommandError(f"{where} is empty; put the service's HARDEN_OPS_TOKEN into it")
    if len(token) > MOST_TOKEN or not all("!" <= sign <= "~" for sign in token):
        raise CommandError(f"{where} holds no token: one line of visible ASCII without spaces, 4096 signs at most")
    return token
