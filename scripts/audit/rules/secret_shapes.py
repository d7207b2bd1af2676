"""Secrets that show by their shape whose they are: an AWS key, a Stripe key, a private key.

Only shapes that nothing else has; the first letters are the issuers' own, as their documentation gives them.
"""

from __future__ import annotations

import re

SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\n|\s)*[A-Za-z0-9+/=]{16}")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a live Stripe key", re.compile(r"\b[rs]k_live_[0-9a-zA-Z]{16,}")),
    ("a Slack token", re.compile(r"\bxox[abposr]-[0-9a-zA-Z-]{20,}")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_[0-9A-Za-z]{36}\b|\bgithub_pat_\w{30,}")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20}\b")),
    ("a SendGrid key", re.compile(r"\bSG\.[\w-]{22}\.[\w-]{43}\b")),
    ("an OpenAI or Anthropic key", re.compile(r"\bsk-(?:proj-|ant-)?[\w-]*[A-Za-z0-9]{32,}\b")),
    ("a Google OAuth secret", re.compile(r"\bGOCSPX-[\w-]{20,}")),
    ("a Telegram bot's token", re.compile(r"\b\d{8,10}:AA[\w-]{33}\b")),
    ("a Heroku key", re.compile(r"\bHRKU-[0-9a-f-]{36}\b")),
)


def shape(text: str) -> str:
    """Return what a text holds by its shape, "" for nothing."""
    for what, pattern in SHAPES:
        match = pattern.search(text)
        if match and "EXAMPLE" not in match[0]:
            return what
    return ""
