"""A login at another site (OAuth 2, OpenID Connect): state, nonce and PKCE verifier for one browser and one use.

    logins = OAuthStates(OneTimeSecrets(PostgresSecrets()))

    @app.get("/login")
    def login():
        begun = logins.begin(next_url=request.args.get("next"))
        return redirect(PROVIDER + "?" + urlencode({**begun.parameters(), "client_id": ..., "redirect_uri": ...}))

    @app.get("/callback")
    def callback():
        login = logins.finish()          # OneTimeRefused: a replayed, stolen or expired state
        token = fetch(code=request.args["code"], code_verifier=login.verifier)
        return redirect(login.next_url)

A dict in memory loses the state whenever the callback meets another worker; a signed cookie can be replayed. Here
the state lies in a store that all workers share, works once, and only in the browser that began: it has a random
cookie (HttpOnly, Secure, SameSite=Lax, `__Host-`). PKCE by RFC 7636 (S256), the rest by RFC 9700.
Must not import the pool. If this is wrong, an attacker's login is finished in his victim's browser.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import Any

from flask import Response, after_this_request, current_app, request

from .one_time import OneTimeSecrets

log = logging.getLogger(__name__)
_OWN = re.compile(r"[A-Za-z0-9_-]{43}")  # what token_urlsafe(32) makes
_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


@dataclass(frozen=True, repr=False)
class Begun:
    """A login that has begun: what goes to the provider. It has no repr: it would end up in logs.

    Attributes:
        state, nonce, challenge: for the provider's URL; the nonce is for OpenID Connect alone.
    """

    state: str
    nonce: str
    challenge: str

    def parameters(self) -> dict[str, str]:
        """Return what the provider's URL carries beside client_id, redirect_uri and scope."""
        return {
            "response_type": "code", "state": self.state, "nonce": self.nonce,
            "code_challenge": self.challenge, "code_challenge_method": "S256",
        }  # fmt: skip


@dataclass(frozen=True, repr=False)
class Finished:
    """A login that came back.

    Attributes:
        verifier: PKCE's, for the request of the token.
        nonce: must stand in the ID token.
        next_url: where the person wanted to go; a path of this site.
        data: what `begin` was given.
    """

    verifier: str
    nonce: str
    next_url: str
    data: Any


class OAuthStates:
    """Begins and finishes logins.

    Args:
        secrets: where states are kept.
        purpose: tells several providers apart: a state of one is not good for another (mix-up attacks).
        ttl: seconds that a person has at the provider's.
        secure: whether the cookie is for HTTPS alone; when None, everywhere but in debug mode and in tests.
    """

    def __init__(
        self, secrets: OneTimeSecrets, purpose: str = "oauth", ttl: float = 600.0, secure: bool | None = None
    ) -> None:
        self._secrets, self._purpose, self._ttl, self._secure = secrets, purpose, ttl, secure

    def begin(self, next_url: str | None = None, data: Any = None) -> Begun:
        """Begin a login in this request's browser, whose response gets the cookie.

        Args:
            next_url: where the person goes afterwards; anything but a path of this site becomes "/".
            data: kept until `finish`, as JSON.

        Raises:
            OneTimeUnavailable: the store does not answer.
        """
        browser = self._browser() or secrets.token_urlsafe(32)
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        kept = {"verifier": verifier, "nonce": nonce, "next": own_path(next_url), "data": data}
        state = self._secrets.issue(self._purpose, kept, self._ttl, bound_to=browser)

        @after_this_request
        def remember(response: Response) -> Response:
            response.set_cookie(
                self._cookie(), browser, max_age=int(self._ttl), path="/", httponly=True, samesite="Lax",
                secure=self._is_secure(),
            )  # fmt: skip
            response.headers["Cache-Control"] = "no-store"
            return response

        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        return Begun(state, nonce, base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"))

    def finish(self, state: str | None = None) -> Finished:
        """Finish the login that this request comes back from; once.

        Args:
            state: what the provider sent back; the request's own argument `state` when None.

        Raises:
            OneTimeRefused: the state is unknown, used, expired, or was begun in another browser.
            OneTimeUnavailable: the store does not answer.
        """
        sent = state if state is not None else request.values.get("state")
        browser = self._browser()
        if browser is None:
            log.warning(
                "a login came back without its cookie %s; it needs HTTPS, the host where it began, "
                "and a callback by GET",
                self._cookie(),
            )
        # Without the cookie nothing matches: a state is bound to 256 bits that only its browser has.
        kept = self._secrets.consume(self._purpose, sent, bound_to=browser or secrets.token_urlsafe(32))
        return Finished(kept["verifier"], kept["nonce"], kept["next"], kept["data"])

    def _browser(self) -> str | None:
        value = request.cookies.get(self._cookie(), "")
        return value if _OWN.fullmatch(value) else None

    def _cookie(self) -> str:
        # The prefix has browsers refuse one that a subdomain or plain HTTP has set.
        return "__Host-login" if self._is_secure() else "login"

    def _is_secure(self) -> bool:
        return self._secure if self._secure is not None else not (current_app.debug or current_app.testing)


def own_path(url: str | None) -> str:
    """Return a URL when it is a path of this site, else "/": a login must not lead to another one's page."""
    return url if url and len(url) <= 2000 and _PATH.fullmatch(url) else "/"
