"""Check the passwords of apps: a cache of successes, and a brake on guessing.

One check of a hash (relay/passwords.py) costs about 50 ms of CPU on purpose, so it runs in a thread, two at a time at
most, and a success is remembered as an HMAC under a key that lives and dies with the process. An unknown user costs
the same time as a known one: a hash nobody has is checked instead.

Failures are counted by client IP over ten minutes: each makes the next answer slower, and beyond the configured number
the client is turned away without a check. Nothing locks a user name, so a stranger's guesses never lock out the app
from another address. The words of the AUTH exchange stand in login.py. RFC 4954 6.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections import OrderedDict, deque
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from relay.config import read_secret
from relay.errors import ConfigError
from relay.passwords import hash_password, nobodys_hash, verify_password
from relay.settings import Config, is_password_hash

_CACHE_SIZE = 1000
_WINDOW = 600.0  # seconds failures are remembered
_MAX_DELAY = 4.0


def load_hashes(config: Config) -> dict[str, str]:
    """Give username -> hash of every app that logs in; a file with a plain password is hashed now.

    Raises:
        ConfigError: a password file cannot be read, or a hash is none.
    """
    hashes: dict[str, str] = {}
    problems = []
    for app in config.app:
        if app.username is None:
            continue
        stored = app.password_hash or _from_file(config, app.password_file)
        if stored.startswith("$"):
            if not is_password_hash(stored):
                problems.append(f'app "{app.name}": the password hash cannot be read; make one with "app password"')
        else:
            stored = hash_password(stored)
        hashes[app.username] = stored
    if problems:
        raise ConfigError(problems)
    return hashes


def _from_file(config: Config, path: Path | None) -> str:
    return read_secret(config, path) if path is not None else ""


class Authenticator:
    """Checks user and password of one process's clients."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        self._hashes = dict(hashes)
        self._nobody = nobodys_hash()
        self._key = os.urandom(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._slots = asyncio.Semaphore(2)

    async def check(self, username: str, password: bytes) -> bool:
        """Tell whether the password is this user's."""
        mark = hmac.digest(self._key, username.encode("utf-8", "replace") + b"\0" + password, "sha256")
        if mark in self._known:
            return True
        async with self._slots:
            stored = self._hashes.get(username)
            is_right = await asyncio.to_thread(verify_password, password, stored or self._nobody)
        if stored is None or not is_right:
            return False
        self._known[mark] = None
        if len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)
        return True


class Failures:
    """Failed logins by client IP, over the last ten minutes."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._by_ip: OrderedDict[str, deque[float]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, ip: str) -> asyncio.Lock:
        """Give what a client holds while its password is checked: one at a time, so that guesses are all counted."""
        return self._turns.setdefault(ip, asyncio.Lock())

    def is_blocked(self, ip: str, *, now: float) -> bool:
        """Tell whether this client has to wait before it may try again."""
        return len(self._recent(ip, now)) >= self._limit

    def record(self, ip: str, *, now: float) -> float:
        """Count a failure; gives how many seconds the answer should wait."""
        times = self._by_ip.setdefault(ip, deque(maxlen=max(self._limit, 16)))
        times.append(now)
        self._by_ip.move_to_end(ip)
        if len(self._by_ip) > 10_000:
            self._by_ip.popitem(last=False)
        return min(_MAX_DELAY, 0.25 * 2.0 ** (len(self._recent(ip, now)) - 1))

    def _recent(self, ip: str, now: float) -> deque[float]:
        times = self._by_ip.get(ip)
        if times is None:
            return deque()
        while times and times[0] <= now - _WINDOW:
            times.popleft()
        if not times:
            del self._by_ip[ip]
        return times
