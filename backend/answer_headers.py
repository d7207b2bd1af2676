"""Which headers an answer gets that its app did not give it: who may keep it, and what a browser may do with it.

Works on WSGI's lists of headers alone; must not import Flask. Rules of who may keep what are RFC 9111's (HTTP
Caching, sections 3 and 5.2). If this is wrong, one user's page is shown to another by a cache between.
"""

from __future__ import annotations

import re

Headers = list[tuple[str, str]]
PRIVATE, NOTHING = "private, no-cache", "no-store"
# What caches obey before, or besides, Cache-Control: nginx, Varnish and Fastly, CDNs (RFC 9213), HTTP/1.0.
OTHER_WORDS = frozenset({"x-accel-expires", "surrogate-control", "cdn-cache-control", "expires", "pragma"})
# Where a user is told apart: a browser that logs in as somebody else must not show what it kept from before.
TOLD_APART = ("Cookie", "Authorization")
# A page may not be framed by others, have its relative links bent, or carry plugins; scripts are the app's affair.
HTML_POLICY = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'"
HSTS = "max-age=63072000"  # two years, as browsers' preload lists want it; the front says the same
_quoted = re.compile(r'"(?:[^"\\]|\\.)*"?')


def with_caching(method: str, status: int, headers: Headers, is_sensitive: bool, keep: float) -> Headers:
    """Return an answer's headers with who may keep it.

    What the app says itself stands, but for two kinds: a sensitive answer is kept by nobody, and one that sets a
    cookie by no cache that others use.

    Args:
        method: of the request.
        status: of the answer.
        headers: what the app sends.
        is_sensitive: whether the answer must never be written down.
        keep: seconds for which a client may use a private answer without asking; 0 makes it ask each time.
    """
    said = ", ".join(values_of(headers, "Cache-Control"))
    if is_sensitive:
        return _replaced(headers, NOTHING)
    if values_of(headers, "Set-Cookie") and not is_private(said):
        return with_vary(_replaced(headers, PRIVATE if method in ("GET", "HEAD") else NOTHING), *TOLD_APART)
    if said:
        return headers
    if method not in ("GET", "HEAD") or status >= 400:
        return _replaced(headers, NOTHING)
    # A permanent redirect that names no time is kept for ever: it gets what other answers get.
    word = f"private, max-age={keep:.0f}, must-revalidate" if keep and status < 300 else PRIVATE
    return with_vary(_replaced(headers, word), *TOLD_APART)


def is_private(cache_control: str) -> bool:
    """Tell whether no shared cache may keep an answer.

    `private="a-header"` is about that header alone, and words that contradict each other are read in different
    ways by different caches: neither counts as private.
    """
    words = {word.strip().lower() for word in _quoted.sub('""', cache_control).split(",")}
    if "no-store" in words:
        return True
    is_shared = any(word == "public" or word.startswith("s-maxage") for word in words)
    return "private" in words and not is_shared


def with_vary(headers: Headers, *names: str) -> Headers:
    """Return headers whose one Vary has these names as well."""
    known = [word.strip() for value in values_of(headers, "Vary") for word in value.split(",") if word.strip()]
    if "*" in known:
        return headers
    lower = {word.lower() for word in known}
    all_names = [*known, *(name for name in names if name.lower() not in lower)]
    return [*_without(headers, {"vary"}), ("Vary", ", ".join(all_names))]


def with_security(headers: Headers, is_https: bool, html_policy: str) -> Headers:
    """Return headers with those for browsers that the app has not set itself.

    Args:
        headers: what the app sends.
        is_https: whether the client came by https, and may be told to come by nothing else.
        html_policy: the Content-Security-Policy of pages; "" sends none.
    """
    wanted = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}
    if any(value.lower().startswith("text/html") for value in values_of(headers, "Content-Type")):
        wanted["X-Frame-Options"] = "SAMEORIGIN"
        if html_policy:
            wanted["Content-Security-Policy"] = html_policy
    if is_https:
        wanted["Strict-Transport-Security"] = HSTS
    said = {name.lower() for name, _ in headers}
    return [*headers, *((name, value) for name, value in wanted.items() if name.lower() not in said)]


def values_of(headers: Headers, name: str) -> list[str]:
    """Return all values of a header, whatever its letters' case."""
    return [value for each, value in headers if each.lower() == name.lower()]


def _replaced(headers: Headers, cache_control: str) -> Headers:
    return [*_without(headers, OTHER_WORDS | {"cache-control"}), ("Cache-Control", cache_control)]


def _without(headers: Headers, names: frozenset[str] | set[str]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in names]
