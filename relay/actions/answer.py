"""What an action answers: a key for programs, a sentence for people, whether it was done."""

from __future__ import annotations

from dataclasses import dataclass

from relay.model import DeliveryId


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an action."""

    key: str  #: done, or why not: blocked, not_found, several, no_content, no_text, nothing_open, not_blocked …
    sentence: str  #: for people
    is_done: bool = True
    count: int = 0  #: how many deliveries, blocks or pauses were changed
    deliveries: tuple[DeliveryId, ...] = ()  #: those that were made or changed


def no(key: str, sentence: str) -> Answer:
    """Say that it was not done, and why."""
    return Answer(key=key, sentence=sentence, is_done=False)
