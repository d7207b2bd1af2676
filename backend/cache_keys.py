"""Names of cache entries: each part told from the next, so that no value can lead to another one's entry.

    {cache:shop/tenant=7}k:customer:3        an entry of tenant 7
    {cache:shop/tenant=7}t:customer:3        the tag that its change invalidates

What people name (namespaces, tenants, values in a key) is percent-encoded, so that "a:b" is one part and never
two. The braces are Redis Cluster's hash tag: an entry and its tags lie on one node. Knows no store. If this is
wrong, one tenant is answered with another's data.
"""

from __future__ import annotations

import hashlib
import inspect
import string
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import quote
from uuid import UUID

from .errors import CacheError

LONGEST = 200  # bytes of a key that is kept as it is; a longer one, or an unprintable one, by its SHA-256
MOST_TAGS = 32
ENTRY, TAG, LOCK = "k", "t", "l"


class Names:
    """The names of one namespace, and of one tenant where it has tenants.

    Args:
        namespace: the app's, with its release where two releases may not share; any text.
        within: what narrows it, such as {"tenant": 7}.
    """

    def __init__(self, namespace: str, within: Mapping[str, Any] | None = None) -> None:
        if not isinstance(namespace, str):
            raise CacheError(f"namespace must be text, not {type(namespace).__name__}")
        self.namespace, self._within = namespace, dict(within or {})
        narrowed = [f"{quote(name, safe='')}={encoded(value)}" for name, value in sorted(self._within.items())]
        self.is_narrowed = bool(narrowed)
        self.prefix = "{cache:" + "/".join([quote(namespace, safe=""), *narrowed]) + "}"

    def within(self, parts: Mapping[str, Any]) -> Names:
        """Return the names of a narrower space.

        Raises:
            CacheError: nothing narrows it, a part is narrowed already, or has no value.
        """
        if not parts:
            raise CacheError("within() needs what to narrow by, such as tenant=7")
        for name, value in parts.items():
            if value is None or value == "":
                raise CacheError(f"within({name}={value!r}): without a value it would be everybody's")
            if name in self._within:
                raise CacheError(f"within({name}=...): it is {self._within[name]!r} here already")
        return Names(self.namespace, {**self._within, **parts})

    def entry(self, key: str) -> str:
        """Return the name of an entry."""
        return self._named(ENTRY, key)

    def lock(self, key: str) -> str:
        """Return the name of an entry's lock."""
        return self._named(LOCK, key)

    def tags(self, tags: Iterable[str]) -> tuple[str, ...]:
        """Return the names of tags, each once.

        Raises:
            CacheError: `tags` is text instead of a list, or there are more than 32.
        """
        if isinstance(tags, (str, bytes)):
            raise CacheError(f"tags must be a list of texts, not the text {str(tags)[:60]!r}")
        named = tuple(dict.fromkeys(self._named(TAG, tag) for tag in tags))
        if len(named) > MOST_TAGS:
            raise CacheError(f"{len(named)} tags on one entry; at most {MOST_TAGS}, each costs every read")
        return named

    def _named(self, kind: str, key: str) -> str:
        if not isinstance(key, str) or not key:
            raise CacheError(f"a key or tag must be text that is not empty, not {str(key)[:60]!r}")
        raw = key.encode("utf-8", "surrogatepass")
        if len(raw) <= LONGEST and key.isprintable():
            return f"{self.prefix}{kind}:{key}"
        return f"{self.prefix}{kind.upper()}:{hashlib.sha256(raw).hexdigest()}"


def encoded(value: Any) -> str:
    """Return a value as one part of a key; values of different types that could be confused stay apart.

    Raises:
        CacheError: a value of another type than str, int, bool, None, UUID, date or datetime.
    """
    if value is None or isinstance(value, bool):
        return f"%{value!r}"  # quote() never makes such an escape
    if isinstance(value, str):
        return quote(value, safe="", errors="surrogatepass")
    if isinstance(value, (int, UUID)):
        return str(value)
    if isinstance(value, date):
        return quote(value.isoformat(), safe="")
    raise CacheError(
        f"{type(value).__name__} cannot be part of a cache key; give text, a number, a date, a UUID, True, "
        "False or None"
    )


class Template:
    """A key such as "customer:{id}" and the values that fill it: each one encoded.

    Args:
        text: with the names of arguments in braces, and nothing else in them.

    Raises:
        CacheError: the braces hold something else than a name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parts = list(string.Formatter().parse(text))
        except (ValueError, TypeError) as error:
            raise CacheError(f"{text!r} is no template of a key: {error}") from None
        self.names = {name for _, name, _, _ in self._parts if name is not None}
        for _, name, spec, conversion in self._parts:
            if name is not None and (not name.isidentifier() or spec or conversion):
                raise CacheError(f"{text!r}: braces hold the name of an argument alone, such as {{id}}")

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the key."""
        filled = [literal + ("" if name is None else encoded(values[name])) for literal, name, _, _ in self._parts]
        return "".join(filled)


def checked_signature(
    function: Callable[..., Any], key: Template, tags: Iterable[Template], ignore: Iterable[str]
) -> inspect.Signature:
    """Return a function's signature, once it is sure that different arguments make different keys.

    Raises:
        CacheError: the key leaves out an argument that `ignore` does not name, or names one that is not there.
    """
    signature = inspect.signature(function)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise CacheError(f"{function.__qualname__} takes *args or **kwargs, which a key cannot name")
    known, ignored = set(signature.parameters), set(ignore)
    missing = sorted(known - key.names - ignored)
    if missing:
        raise CacheError(
            f"the key {key.text!r} leaves out {', '.join(missing)} of {function.__qualname__}: calls that differ "
            f"would share an answer; put {{{missing[0]}}} into the key, or say ignore=[{missing[0]!r}]"
        )
    unknown = sorted(set().union(key.names, ignored, *(tag.names for tag in tags)) - known)
    if unknown:
        raise CacheError(f"{function.__qualname__} has no argument {', '.join(unknown)}, which key or tags name")
    return signature
