"""The exceptions of the relay: few, and each means "stop this".

Expected outcomes (a remote refusal, an empty search) are values, never exceptions.
They are caught in three places only: the listener (unknown -> 451 4.3.0), one delivery attempt (unknown -> deferred),
and the command line or dashboard (a plain sentence).
"""

from __future__ import annotations


class RelayError(Exception):
    """The root of all errors of the relay."""


class ConfigError(RelayError):
    """The configuration cannot be used; `problems` holds one sentence per fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Refused(RelayError):
    """Intake says no to a client, with the reply to give."""

    def __init__(self, code: int, enhanced: str, text: str, *, reason: str = "") -> None:
        super().__init__(f"{code} {enhanced} {text}")
        self.code = code
        self.enhanced = enhanced
        self.text = text
        #: Stable word for the log: auth_failed, sender_not_allowed, too_large, rate_limited, shortage, bad_command …
        self.reason = reason


class StoreError(RelayError):
    """The store could not do it; nothing of the failed unit of work was kept."""


class StoreBusy(StoreError):
    """Another process kept the store locked for too long."""


class StoreSlow(StoreError):
    """A read reached the time limit it was given; what it had until then is its own to use."""


class StoreFull(StoreError):
    """There is no space left for the store."""


class StoreLocked(StoreError):
    """A process that must be alone on this store is already running."""


class IllegalTransition(RelayError):
    """A delivery cannot go from this status to that one."""
