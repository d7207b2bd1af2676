"""What counts as a secret by its name, and by its look."""

from __future__ import annotations

import pytest

from deploy.secret_words import is_secret_name, secret_look


@pytest.mark.parametrize("name", [
    "password", "DB_PASSWORD", "PGPASSWORD_2_PASSWORD", "SECRET_KEY", "secretKey", "api-key", "API_TOKEN", "token",
    "STRIPE_KEY", "MAIL_PASS", "AWS_SECRET_ACCESS_KEY", "JWT_SECRET", "credentials", "PRIVATE_KEYS",
])  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", [
    "TOKEN_TTL", "PASSWORD_MIN_LENGTH", "SECRET_KEY_FILE", "STRIPE_PUBLISHABLE_KEY", "RECAPTCHA_SITE_KEY", "key",
    "MONKEY", "PASSENGERS", "COMPASS", "KEYCLOAK_REALM", "", "_", "TOKEN_URL", "FEATURE_SEARCH",
])  # fmt: skip
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", [
    "postgres://u:p@host/db", "redis://:p@host", "see https://u:p@host/ for more", "host=a password=b",
    "PGPASSWORD=x flask db upgrade", "password='x'", "-----BEGIN RSA PRIVATE KEY-----", "sk_live_" + "a" * 12,
    "ghp_" + "a" * 30, "SCRAM-SHA-256$4096:abc", "AKIA" + "A" * 16, "host=a;Password=b",
])  # fmt: skip
def test_looks_of_secrets(value: str) -> None:
    assert secret_look(value)


@pytest.mark.parametrize("value", [
    "postgres://host/db", "postgres://u@host/db", "https://host:8000/a@b", "flask db upgrade",
    "PGPASSWORD=$X psql",
    'PGPASSWORD="$X" psql', "reset-password", "a@b.example", "-----BEGIN CERTIFICATE-----", "sk_live", "",
])  # fmt: skip
def test_looks_of_no_secrets(value: str) -> None:
    assert not secret_look(value)
