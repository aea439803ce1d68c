"""Limits that every process shares: a counter in Redis for each window. Fails closed: no broker, no permission."""

from __future__ import annotations

import hashlib

import redis
from django.conf import settings

_client: redis.Redis | None = None


def allow(name: str, subject: str, *, limit: int, seconds: int) -> bool:
    """Count one act of `subject` and tell whether it is within `limit` acts in `seconds` (fixed window)."""
    global _client  # noqa: PLW0603 (one pool a process)
    _client = _client or redis.Redis.from_url(settings.REDIS_URL)
    digest = hashlib.blake2s(subject.encode(), digest_size=12).hexdigest()
    key = f"{settings.LIMIT_PREFIX}:limit:{name}:{digest}"
    try:
        with _client.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, seconds, nx=True)
            count = pipe.execute()[0]
    except redis.RedisError:
        return False
    return int(count) <= limit
