"""Tokens (JWT): verified by PyJWT with everything that is easily forgotten, and refused for one of few reasons.

    verify = TokenVerifier(SECRET, ["HS256"], audience="shop", issuer="https://login.shop")
    claims = verify(token)                     # TokenRefused: forged, expired, for somebody else ...

The algorithms are the app's choice, never the token's: "none" is no algorithm, and a public key is no shared
secret (CVE-2022-29217). Rotation: several keys by their `kid`. Knows neither Flask nor users. If this is wrong,
anybody writes his own token.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import TokenRefused

SHARED = {"HS256": 32, "HS384": 48, "HS512": 64}  # the shortest key, in bytes: RFC 7518, 3.2
LONGEST_TOKEN = 8192  # characters: what servers take as a header
LEEWAY = 30.0  # seconds that clocks may be apart
UNKNOWABLE = "not to be verified now: the server that has the keys does not answer"


class TokenVerifier:
    """Verifies tokens.

    Args:
        key: the secret or public key (PEM); or several by `kid`; or a function from the `kid` (None where the
            token has none) to the key, such as `lambda kid: jwks.get_signing_key(kid).key`.
        algorithms: what the app signs with: one family, such as ["HS256"] or ["RS256", "ES256"].
        audience, issuer: what the token must name; None where it must name none.
        leeway: seconds that the clocks of issuer and worker may be apart.
        require: claims that must be there.

    Raises:
        ValueError: the algorithms or the key cannot be safe.
        RuntimeError: the package PyJWT is not there.
    """

    def __init__(
        self,
        key: Any,
        algorithms: Sequence[str],
        *,
        audience: str | Sequence[str] | None = None,
        issuer: str | None = None,
        leeway: float = LEEWAY,
        require: Sequence[str] = ("exp", "sub"),
    ) -> None:
        try:
            self._library: Any = importlib.import_module("jwt")
        except ImportError:
            raise RuntimeError("tokens need the package PyJWT: pip install 'PyJWT[crypto]'") from None
        self._algorithms = _checked(algorithms, self._library)
        self._key = key
        for each in key.values() if isinstance(key, Mapping) else () if callable(key) else (key,):
            _check_key(each, self._algorithms)
        self._rules = {"audience": audience, "issuer": issuer, "leeway": leeway}
        self._options = {"require": list(require), "verify_aud": True}

    def __call__(self, token: str) -> dict[str, Any]:
        """Return the claims of a good token.

        Raises:
            TokenRefused: with its reason; the text repeats nothing of the token.
        """
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
            raise TokenRefused("malformed")
        errors = self._library.exceptions
        try:
            header = self._library.get_unverified_header(token)
            if "crit" in header or not isinstance(header.get("kid", ""), str):
                raise TokenRefused("malformed")
            key = self._key_of(header.get("kid"))
            claims: dict[str, Any] = self._library.decode(
                token, key, algorithms=self._algorithms, options=self._options, **self._rules
            )
        except errors.PyJWKClientConnectionError:  # nothing is known of the token
            raise TokenRefused(UNKNOWABLE) from None
        except errors.ExpiredSignatureError:
            raise TokenRefused("expired") from None
        except errors.ImmatureSignatureError:
            raise TokenRefused("not valid yet") from None
        except (errors.InvalidAudienceError, errors.InvalidIssuerError):
            raise TokenRefused("of another audience or issuer") from None
        except errors.MissingRequiredClaimError as error:
            is_addressed = error.claim not in ("aud", "iss")
            raise TokenRefused("incomplete" if is_addressed else "of another audience or issuer") from None
        except (errors.InvalidSignatureError, errors.InvalidAlgorithmError, errors.InvalidKeyError):
            raise TokenRefused("forged") from None
        except (errors.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenRefused("malformed") from None
        return claims

    def _key_of(self, kid: str | None) -> Any:
        if callable(self._key):
            return self._key(kid)
        if not isinstance(self._key, Mapping):
            return self._key
        try:
            return self._key[kid]
        except KeyError:
            raise TokenRefused("signed with a key that is not known") from None

    def __repr__(self) -> str:
        return f"TokenVerifier({', '.join(self._algorithms)})"  # never the key


def _checked(algorithms: Sequence[str], library: Any) -> list[str]:
    if isinstance(algorithms, str) or not algorithms:
        raise ValueError("algorithms must be a list of what the app signs with, such as ['HS256']")
    known = set(library.algorithms.get_default_algorithms()) - {"none"}
    unknown = sorted(set(algorithms) - known)
    if unknown:
        raise ValueError(f"{', '.join(map(repr, unknown))} does not sign; use one of {', '.join(sorted(known))}")
    shared = [name for name in algorithms if name in SHARED]
    if shared and len(shared) != len(algorithms):
        raise ValueError("algorithms mix secrets (HS...) with public keys: a public key would pass for a secret")
    return list(algorithms)


def _check_key(key: Any, algorithms: Sequence[str]) -> None:
    shortest = max(SHARED.get(name, 0) for name in algorithms)
    if not shortest:
        return
    raw = key.encode() if isinstance(key, str) else key
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError("a key for HS... must be text or bytes")
    if b"-----BEGIN" in raw or raw.startswith(b"ssh-"):
        raise ValueError("a key for HS... must be a secret, and this is a public or private key")
    if len(raw) < shortest:
        raise ValueError(f"a key for {', '.join(algorithms)} must have at least {shortest} bytes, not {len(raw)}")


Verify = Callable[[str], Mapping[str, Any]]
