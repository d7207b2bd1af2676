"""One-time secrets in Redis (or Valkey): one script decides who wins.

Each entry names the start of Redis that it was made in. After a restart from a snapshot, or on a replica that took
over, a secret that was used meanwhile could be there again unused; so entries of another start are refused, and
people begin anew. A Redis that is away, full or read-only is an error, never a yes.
If this is wrong, two racing requests both win.
"""

from __future__ import annotations

import importlib
from typing import Any

from .errors import OneTimeUnavailable
from .one_time import UNKNOWN, Taken

PREFIX = "one-time:"
START = """
    local start = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
"""
PUT = (
    START
    + """
    redis.call('HSET', KEYS[1], 'purpose', ARGV[1], 'binding', ARGV[2], 'data', ARGV[3], 'start', start)
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1
"""
)
# A used one keeps its life, without its data: a replay is told from a guess.
TAKE = (
    START
    + """
    local kept = redis.call('HMGET', KEYS[1], 'purpose', 'binding', 'data', 'start', 'used')
    if kept[1] ~= ARGV[1] or kept[4] ~= start then return {'unknown'} end
    if kept[5] then return {'used'} end
    if kept[2] ~= ARGV[2] then return {'of another browser'} end
    redis.call('HSET', KEYS[1], 'used', '1')
    redis.call('HDEL', KEYS[1], 'data')
    return {'won', kept[3]}
"""
)


class RedisSecrets:
    """Secrets in Redis, each a hash that expires by itself.

    Args:
        url: redis://, rediss:// or unix://.
        client: a client of redis-py instead, such as Sentinel's `master_for`.
        timeout: seconds that one question may take.

    Raises:
        ValueError: the URL is none of Redis, or the package redis is not there.
    """

    def __init__(self, url: str | None = None, *, client: Any = None, timeout: float = 1.0) -> None:
        try:
            self._library = importlib.import_module("redis")
            retry, backoff = importlib.import_module("redis.retry"), importlib.import_module("redis.backoff")
        except ImportError:
            raise ValueError("one-time secrets in Redis need the package redis: pip install redis") from None
        if client is None:
            # Never sent twice by itself: the first try may have used the secret.
            never = retry.Retry(backoff.NoBackoff(), 0)
            limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": never}
            try:
                client = self._library.Redis.from_url(url, **limits)
            except (ValueError, AttributeError):  # its text may repeat the password
                raise ValueError("the url is none of Redis; write redis://:password@host:6379/0") from None
        self._client = client

    def put(self, purpose: str, digest: str, binding: str, data: str, ttl: float) -> None:
        """Keep one; see SecretStore."""
        self._ask(PUT, PREFIX + digest, purpose, binding, data, max(1, int(ttl * 1000)))

    def take(self, purpose: str, digest: str, binding: str) -> Taken:
        """Use one; see SecretStore. What expired is unknown here."""
        outcome, *data = self._ask(TAKE, PREFIX + digest, purpose, binding) or [UNKNOWN]
        return Taken(_text(outcome), _text(data[0]) if data else None)

    def clean_up(self, most: int) -> int:
        """Do nothing: Redis forgets what is over by itself."""
        return 0

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, script: str, *arguments: Any) -> Any:
        try:
            return self._client.eval(script, 1, *arguments)
        except self._library.ConnectionError:
            # An idle connection may be one of before a restart. Asked again, a used secret is refused, and the
            # person begins anew: never the other way round.
            return self._asked_again(script, arguments)
        except (self._library.RedisError, OSError) as error:
            raise OneTimeUnavailable(f"one-time secrets: Redis does not do what it is asked: {error}") from error

    def _asked_again(self, script: str, arguments: tuple[Any, ...]) -> Any:
        try:
            return self._client.eval(script, 1, *arguments)
        except (self._library.RedisError, OSError) as error:
            raise OneTimeUnavailable(f"one-time secrets: Redis does not answer: {error}") from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
