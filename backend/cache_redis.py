"""A cache's store in Redis (or Valkey): shared by workers and hosts, and never needed.

Every call has a short time limit. Whatever Redis does (away, slow, full, read-only, loading, of another version),
its errors end here as "nothing found", and the breaker keeps callers from waiting for it one after another.
An invalidation that could not be sent is kept and sent before this process reads from Redis again; a Redis that
was restarted is known by its run id, and nothing of its life before is believed.
Knows nothing of entries' contents. If this is wrong, a request fails because of its cache.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .cache_breaker import Breaker
from .cache_lease import LEASE, Leases
from .errors import CacheError

log = logging.getLogger(__name__)
BATCH = 500  # names in one command
CONNECTIONS, PATIENCE = 50, 2.0  # most to Redis, per process; seconds that a caller waits for a free one
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
RENEW = RELEASE.replace("'del', KEYS[1]", "'pexpire', KEYS[1], ARGV[2]")


class RedisStore:
    """Bytes by name in Redis.

    Args:
        url: redis://, rediss:// or unix://; None where `client` is given.
        timeout: seconds that one command, or a connect, may take.
        client: a ready client of redis-py instead, such as Sentinel's `master_for` or a RedisCluster; give it
            short timeouts and no retries. It is not asked for run ids: after a restart from a snapshot an
            invalidation may be missing for as long as the entry's TTL.

    Raises:
        CacheError: the package redis is not there, or the URL is none.
    """

    is_shared = True

    def __init__(self, url: str | None, timeout: float, client: Any = None) -> None:
        self._redis = _library()
        self._server: str | None = None if client is None else ""
        self._client = client if client is not None else self._connect(url, timeout)
        self.breaker = Breaker(self._ping, self._send_forgotten)
        self._leases = Leases(self._renew)

    def _connect(self, url: str | None, timeout: float) -> Any:
        library = self._redis
        try:
            pool = library.BlockingConnectionPool.from_url(
                url, max_connections=CONNECTIONS, timeout=PATIENCE, socket_timeout=timeout,
                socket_connect_timeout=timeout, retry=library.retry.Retry(library.backoff.NoBackoff(), 0),
                redis_connect_func=self._greet,
            )  # fmt: skip
            return library.Redis.from_pool(pool)
        except ValueError:  # its text may repeat the password
            raise CacheError("the cache's url is none of Redis; write redis://:password@host:6379/0") from None

    @property
    def server(self) -> str:
        """The run id of the Redis that was connected to last; "" where it does not tell."""
        if self._server is None:
            self._ask(self._client.ping)
        return self._server or ""

    def _greet(self, connection: Any) -> None:
        """Ask each new connection which start of Redis it leads to."""
        connection.on_connect()
        try:
            connection.send_command("INFO", "server")
            told = connection.read_response()
        except self._redis.ResponseError as error:  # an ACL that forbids INFO
            log.debug("Redis does not tell its run id: %s", error)
            self._server = ""
            return
        lines = (told.decode() if isinstance(told, bytes) else str(told)).splitlines()
        self._server = next((line[7:] for line in lines if line.startswith("run_id:")), "")

    def fetch(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the values, None where there is none, or no Redis."""
        found = self._ask(lambda: self._client.mget(names))
        return [_raw(each) for each in found] if found is not None else [None] * len(names)

    def remaining(self, name: str) -> float:
        """Return how many seconds an entry still has, by Redis's own clock."""
        return max(0.0, (self._ask(lambda: self._client.pttl(name)) or 0) / 1000)

    def keep(self, name: str, value: bytes, ttl: float) -> bool:
        """Keep a value for so many seconds; False when Redis does not."""
        return bool(self._ask(lambda: self._client.set(name, value, px=_milliseconds(ttl))))

    def tokens(self, proposed: Mapping[str, str], ttl: float) -> list[str | None]:
        """Return the token of each name; where there is none, the proposed one is from now on. None: not known."""

        def ask() -> Any:
            pipe = self._client.pipeline(transaction=False)
            for name, token in proposed.items():
                pipe.set(name, token, px=_milliseconds(ttl), nx=True)
            for name in proposed:  # not MGET, which a cluster's pipeline refuses
                pipe.get(name)
            return pipe.execute()[len(proposed) :]

        # Not sent twice: a token that comes back to life after an invalidation would vouch for the old value.
        found = self._ask(ask, tries=1)
        if found is None:
            return [None] * len(proposed)
        return [None if each is None else bytes(_raw(each) or b"").decode(errors="replace") for each in found]

    def forget(self, names: Sequence[str]) -> None:
        """Forget values; what cannot be told to Redis now is told before it is read again.

        Redis is told also while it is left alone: it may be back, and another process may read it already.
        """
        if self._ask(lambda: self._client.delete(*names), is_needed=True) is None:
            self.breaker.owe(names)

    def forget_all(self, prefix: str) -> int:
        """Forget everything whose name begins so, a batch at a time by SCAN; returns how many."""
        pattern = "".join(f"\\{sign}" if sign in "*?[]\\^-" else sign for sign in prefix) + "*"

        def ask() -> int:
            gone = 0
            for batch in _batches(self._client.scan_iter(match=pattern, count=BATCH)):
                gone += int(self._client.unlink(*batch))
            return gone

        return int(self._ask(ask) or 0)

    def claim(self, name: str, token: str) -> bool:
        """Take a lock until `release`, or shortly after this process has died.

        Also where Redis cannot say, for then everybody works alone.
        """
        if self.breaker.is_open:
            return True
        taken = self._ask(lambda: [self._client.set(name, token, px=_milliseconds(LEASE), nx=True)])
        if taken is None or not taken[0]:
            return taken is None
        self._leases.hold(name, token)
        return True

    def release(self, name: str, token: str) -> None:
        """Give a lock back, if it still is the caller's."""
        self._leases.drop(name, token)
        self._ask(lambda: self._client.eval(RELEASE, 1, name, token))

    def _renew(self, name: str, token: str) -> None:
        self._ask(lambda: self._client.eval(RENEW, 1, name, token, _milliseconds(LEASE)))

    def close(self) -> None:
        """Close the connections."""
        self._leases.close()
        self.breaker.close()
        self._client.close()

    def stats(self) -> dict[str, float]:
        """Return how Redis is: errors so far, whether it is left alone at the moment, invalidations owed."""
        return self.breaker.stats()

    def _ask(self, question: Callable[[], Any], tries: int = 2, *, is_needed: bool = False) -> Any:
        """Ask Redis; None where it does not answer, or with an error, or is left alone and need not be asked."""
        library = self._redis
        if self.breaker.is_open and not is_needed:
            return None
        for attempt in range(tries):
            try:
                answer = question()
            except library.BusyLoadingError as error:
                self.breaker.failed(error)
                return None
            except library.ConnectionError as error:
                if attempt + 1 == tries:  # the first was perhaps a connection of before a restart
                    self.breaker.failed(error)
            except library.ResponseError as error:  # full, read-only, no such command: it answers, and is not away
                self.breaker.refused(error)
                return None
            except (library.RedisError, OSError) as error:
                self.breaker.failed(error)
                return None
            else:
                self.breaker.answered()
                return answer
        return None

    def _ping(self) -> None:
        self._client.ping()

    def _send_forgotten(self, names: Sequence[str]) -> None:
        for batch in _batches(names):
            self._client.delete(*batch)


def _library() -> Any:
    try:
        library = importlib.import_module("redis")
    except ImportError:
        raise CacheError("a cache in Redis needs the package redis: pip install redis") from None
    for part in ("backoff", "retry"):
        importlib.import_module(f"redis.{part}")
    return library


def _raw(value: Any) -> bytes | None:
    """Return an answer as bytes, also of a client that decodes."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _batches(names: Any) -> Any:
    batch: list[Any] = []
    for name in names:
        batch.append(name)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
