"""A token is good or refused for a reason; what makes verifying unsafe is refused before the first token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from backend import TokenRefused, TokenVerifier

SECRET = "s" * 32
KEY = SECRET.encode()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
).decode()  # fmt: skip


def _token(
    claims: dict[str, Any] | None = None, key: Any = SECRET, algorithm: str = "HS256", **headers: Any
) -> str:
    base = {"sub": "7", "exp": time.time() + 86_400, "aud": "shop", "iss": "login"}
    return jwt.encode({**base, **(claims or {})}, key, algorithm=algorithm, headers=headers or None)


def _handmade(header: dict[str, Any], claims: dict[str, Any], key: bytes = b"") -> str:
    def part(value: dict[str, Any]) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = part(header) + b"." + part(claims)
    signature = hmac.new(key, signed, hashlib.sha256).digest() if key else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture
def verify() -> TokenVerifier:
    return TokenVerifier(SECRET, ["HS256"], audience="shop", issuer="login")


def _reason(verify: TokenVerifier, token: Any) -> str:
    with pytest.raises(TokenRefused) as refused:
        verify(token)
    assert str(token) not in str(refused.value) or not token
    return refused.value.reason


def test_a_good_token_has_its_claims(verify: TokenVerifier) -> None:
    assert verify(_token({"role": "admin"}))["role"] == "admin"


NOW = time.time()


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (_token({"exp": NOW - 100}), "expired"),
        (_token({"nbf": NOW + 40_000}), "not valid yet"),
        (_token({"aud": "another"}), "of another audience or issuer"),
        (_token({"aud": None}), "of another audience or issuer"),
        (_token({"iss": "evil"}), "of another audience or issuer"),
        (_token(key="x" * 32), "forged"),
        (_token(algorithm="HS512", key="s" * 64), "forged"),
        (_token(key=PRIVATE, algorithm="RS256"), "forged"),
        (_handmade({"alg": "none"}, {"sub": "7", "exp": NOW + 86_400, "aud": "shop", "iss": "login"}), "forged"),
        (_handmade({"alg": "None"}, {"sub": "7"}), "forged"),
        (_handmade({"alg": ""}, {"sub": "7"}), "forged"),
        (_handmade({}, {"sub": "7"}, b"x"), "forged"),
        (_handmade({"alg": "HS256", "crit": ["exp"]}, {"sub": "7", "exp": NOW + 86_400}, KEY), "malformed"),
        (_handmade({"alg": "HS256", "kid": 7}, {"sub": "7"}, KEY), "malformed"),
        (_handmade({"alg": "HS256"}, {"aud": "shop", "iss": "login", "sub": "7"}, KEY), "incomplete"),
        (_handmade({"alg": "HS256"}, {"aud": "shop", "iss": "login", "exp": NOW + 86_400}, KEY), "incomplete"),
        (_handmade({"alg": "HS256"}, {"exp": "soon", "sub": "7"}, KEY), "malformed"),
        ("", "malformed"), ("x", "malformed"), ("a.b.c", "malformed"), ("x" * 9000, "malformed"),
        (None, "malformed"), ("\ud800.x.y", "malformed"),
    ],
)  # fmt: skip
def test_a_bad_token_is_refused_with_its_reason(verify: TokenVerifier, token: Any, reason: str) -> None:
    assert _reason(verify, token) == reason


def test_one_changed_bit_of_the_claims_is_a_forgery(verify: TokenVerifier) -> None:
    head, claims, signature = _token({"role": "user"}).split(".")
    changed = base64.urlsafe_b64decode(claims + "==").replace(b'"user"', b'"root"')
    forged = f"{head}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}.{signature}"
    assert _reason(verify, forged) == "forged"


def test_clocks_may_be_half_a_minute_apart(verify: TokenVerifier) -> None:
    assert verify(_token({"exp": time.time() - 20, "nbf": time.time() + 20}))["sub"] == "7"


def test_a_public_key_never_passes_for_a_secret() -> None:
    """The oldest trick: signed by HS256 with the public key, which everybody has."""
    verify = TokenVerifier(PUBLIC, ["RS256"], audience="shop", issuer="login")
    assert verify(_token(key=PRIVATE, algorithm="RS256"))["sub"] == "7"
    claims = {"sub": "7", "exp": NOW + 86_400, "aud": "shop", "iss": "login"}
    assert _reason(verify, _handmade({"alg": "HS256"}, claims, PUBLIC.encode())) == "forged"


def test_keys_are_changed_one_after_the_other() -> None:
    verify = TokenVerifier({"old": "o" * 32, "new": "n" * 32}, ["HS256"], audience="shop", issuer="login")
    assert verify(_token(key="o" * 32, kid="old"))["sub"] == verify(_token(key="n" * 32, kid="new"))["sub"] == "7"
    assert _reason(verify, _token(key="o" * 32, kid="new")) == "forged"
    for unknown in (_token(key="o" * 32, kid="older"), _token(key="o" * 32)):
        assert _reason(verify, unknown) == "signed with a key that is not known"
    asked: list[Any] = []
    by_function = TokenVerifier(
        lambda kid: asked.append(kid) or "o" * 32, ["HS256"], audience="shop", issuer="login"
    )
    assert by_function(_token(key="o" * 32, kid="any"))["sub"] == "7" and asked == ["any"]


@pytest.mark.parametrize(
    ("key", "algorithms", "told"),
    [
        (SECRET, [], "must be a list"),
        (SECRET, "HS256", "must be a list"),
        (SECRET, ["none"], "does not sign"),
        (SECRET, ["HS256", "none"], "does not sign"),
        (SECRET, ["HS255"], "does not sign"),
        (PUBLIC, ["RS256", "HS256"], "pass for a secret"),
        (PUBLIC, ["HS256"], "this is a public or private key"),
        ("short", ["HS256"], "at least 32 bytes, not 5"),
        (SECRET, ["HS512"], "at least 64 bytes, not 32"),
        ({"a": "short"}, ["HS256"], "at least 32 bytes"),
        (None, ["HS256"], "text or bytes"),
    ],
)
def test_what_cannot_be_safe_is_refused_at_once(key: Any, algorithms: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        TokenVerifier(key, algorithms)
    assert SECRET not in str(refused.value) and "BEGIN" not in str(refused.value)


def test_neither_key_nor_token_is_in_a_repr() -> None:
    assert SECRET not in repr(TokenVerifier(SECRET, ["HS256"]))
