"""Read what a server answered and decide what it means: pure functions over data, no I/O, no clock, no state."""

from relay.classify.classifier import classify
from relay.classify.reply import parse_reply

__all__ = ["classify", "parse_reply"]
