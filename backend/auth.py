"""Who asks: the token verified once per request, the user loaded once, however many parts of the app want to know.

    auth = Auth(app, verify=TokenVerifier(SECRET, ["HS256"], audience="shop"), load_user=users.get)

    @app.get("/api/me")
    @auth.needs_user
    def me(): return auth.user()

    @app.delete("/api/customers/<int:id>")
    @auth.needs_role("admin")
    def forget(id): ...

Nothing is verified before somebody asks, and a request that asks nothing costs nothing. It happens inside Flask:
after the request's id is known, so that the log line of a refusal has it, and after the proxy's headers were
believed. To the client a refusal says no more than RFC 6750 asks for; its reason goes to the log, the token
nowhere.
Must not import the pool. If this is wrong, somebody is taken for somebody else.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from flask import Blueprint, Flask, Request, abort, current_app, make_response, request
from werkzeug.exceptions import Forbidden, ServiceUnavailable, Unauthorized

from .errors import TokenRefused
from .tokens import UNKNOWABLE, Verify

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
SEEN = "harden.auth"  # in the WSGI environment of a request: what each Auth has seen of it
User = Mapping[str, Any]


class _Seen:
    """What one request's token was found to be: at most one of each."""

    __slots__ = ("claims", "has_user", "refusal", "user")

    def __init__(self) -> None:
        self.claims: Mapping[str, Any] | None = None
        self.refusal: TokenRefused | None = None
        self.has_user = False
        self.user: User | None = None


class Auth:
    """Authentication and authorization of one app.

    Args:
        app: the app; None to call `init_app` later.
        verify: from a token to its claims; raises TokenRefused. TokenVerifier, or the app's own.
        load_user: from the claim `subject` to the user, None where there is none: a projection's `get`.
        subject: the claim that names the user.
        token_of: from the request to its token, None where it has none; `Authorization: Bearer` when None.
        roles_of: the roles of a user; its `roles`, or `role`, when None.
        is_allowed: whether a user may do anything at all; when None, unless its `active` is false or null.
        is_revoked: whether claims were withdrawn before their time, as after a logout; asked once per request.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        verify: Verify,
        load_user: Callable[[Any], User | None] | None = None,
        subject: str = "sub",
        token_of: Callable[[Request], str | None] | None = None,
        roles_of: Callable[[User], Iterable[str]] | None = None,
        is_allowed: Callable[[User], bool] | None = None,
        is_revoked: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self._verify, self._load_user, self._subject = verify, load_user, subject
        self._token_of = token_of or bearer_token
        self._roles_of = roles_of or _roles_of
        self._is_allowed = is_allowed or _is_active
        self._is_revoked = is_revoked
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Answer 401 where a token is refused."""
        app.register_error_handler(TokenRefused, _say_unauthorized)

    def claims(self) -> Mapping[str, Any]:
        """Return the claims of the request's token.

        Raises:
            TokenRefused: there is none, or it is not good; answered with 401.
        """
        seen = self._seen()
        if seen.refusal is not None:
            raise seen.refusal.with_traceback(None)
        if seen.claims is None:
            try:
                seen.claims = self._verified()
            except TokenRefused as refusal:
                seen.refusal = refusal
                log.warning("a token was refused: %s", refusal.reason)
                raise
        return seen.claims

    def user(self) -> User:
        """Return the user, of the columns that the projection has.

        Raises:
            TokenRefused: as for `claims`, or there is no such user (any more), or he is not active.
        """
        if self._load_user is None:
            raise RuntimeError("Auth was made without load_user; claims() is all that it knows")
        claims, seen = self.claims(), self._seen()
        if not seen.has_user:
            user = self._load_user(claims.get(self._subject))
            seen.user, seen.has_user = user if user is not None and self._is_allowed(user) else None, True
            if seen.user is None:
                log.warning("a token was refused: its user is not there, or not active")
        if seen.user is None:
            raise TokenRefused("of no user")
        return seen.user

    def has_token(self) -> bool:
        """Tell whether the request brings a token at all, good or not: for pages that serve everybody."""
        return bool(self._token_of(request))

    def forget(self) -> None:
        """Verify and load anew from here on: after a login, a logout or a change within the request."""
        request.environ.get(SEEN, {}).pop(self, None)

    def needs_user(self, view: F) -> F:
        """Have a view answer 401 where there is no user."""

        @functools.wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Any:
            self.user()
            return current_app.ensure_sync(view)(*args, **kwargs)

        return answer  # type: ignore[return-value]

    def needs_role(self, *roles: str) -> Callable[[F], F]:
        """Have a view answer 403 where the user has none of the roles, and 401 where there is no user."""
        if not roles:
            raise ValueError("needs_role() needs a role; needs_user is for everybody who is known")

        def decorate(view: F) -> F:
            @functools.wraps(view)
            def answer(*args: Any, **kwargs: Any) -> Any:
                if not set(roles) & set(self._roles_of(self.user())):
                    abort(Forbidden.code)
                return current_app.ensure_sync(view)(*args, **kwargs)

            return answer  # type: ignore[return-value]

        return decorate

    def protect(self, part: Flask | Blueprint, public: Iterable[str] = ()) -> None:
        """Ask for a user before every view of an app or blueprint, but the public ones.

        Args:
            part: the app or the blueprint.
            public: endpoints that everybody may call, such as "login"; static files and OPTIONS always may.
        """
        free = {"static", *public}

        def check() -> None:
            if request.endpoint is not None and request.endpoint not in free and request.method != "OPTIONS":
                self.user()

        part.before_request(check)

    def _seen(self) -> _Seen:
        # By the Auth: where customers and staff have keys of their own, the one's token is not the other's.
        by_auth: dict[Auth, _Seen] = request.environ.setdefault(SEEN, {})
        return by_auth.setdefault(self, _Seen())

    def _verified(self) -> Mapping[str, Any]:
        token = self._token_of(request)
        if not token:
            raise TokenRefused("missing")
        claims = self._verify(token)
        if self._is_revoked is not None and self._is_revoked(claims):
            raise TokenRefused("revoked")
        return claims


def bearer_token(asked: Request) -> str | None:
    """Return the token of `Authorization: Bearer TOKEN`; None where there is none. The scheme's case is free."""
    scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _say_unauthorized(error: TokenRefused) -> Any:
    if error.reason == UNKNOWABLE:
        return current_app.handle_http_exception(ServiceUnavailable(retry_after=1))
    response = make_response(current_app.handle_http_exception(Unauthorized()))
    # RFC 6750, 3.1: without a token no error code.
    told = "Bearer" if error.reason == "missing" else 'Bearer error="invalid_token"'
    response.headers["WWW-Authenticate"] = told
    response.headers["Cache-Control"] = "no-store"
    return response


def _roles_of(user: User) -> Iterable[str]:
    roles = user.get("roles")
    if roles is None:
        role = user.get("role")
        return () if role is None else (str(role),)
    return (roles,) if isinstance(roles, str) else roles


def _is_active(user: User) -> bool:
    return bool(user.get("active", True))
