"""Guess which address was meant where a mistyped one failed. A guess is shown as a question and never applied.

Policy, in words. A domain that we delivered to, or that is a known provider, is never doubted. Of any other, the slips
people make are undone one at a time: swapped, doubled, missing and extra letters, a neighbour on the keyboard or a
look-alike, a broken ending (.con, .cmo), a missing dot, an ending the provider does not have (gmail.fr). What comes out
is a guess when we delivered there, or when it is a provider's. A domain that does not exist may be any slip of those;
one that exists and only lacks the mailbox must be a slip of a big provider, since two firms may have similar names.
Two guesses as good as each other are none: a wrong guess misleads.

The caller checks by DNS, or by our own deliveries, that a guess takes mail. Pure: no I/O, no clock.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

from relay.address import split
from relay.store.text import distance

_DATA = tomllib.loads(files("relay").joinpath("suggest.toml").read_text(encoding="utf-8"))

#: Most used first.
PROVIDERS: tuple[str, ...] = tuple(_DATA["providers"])
_RANK = {domain: rank for rank, domain in enumerate(PROVIDERS)}
_TOP = 5  #: providers that win over any other guess as good as theirs
_BIG_BRANDS = frozenset(_DATA["big_brands"])
_NO_ENDING = frozenset(_DATA["broken_com"])
_BROKEN_COM = _NO_ENDING | frozenset(_DATA["doubtful_com"])

_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"

#: What a slip costs; the cheaper, the more often it happens.
_LIKELY, _POSSIBLE, _FAR = 1.0, 1.2, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Another address that took mail for the same booking or customer."""

    address: str
    name: str
    is_same_customer: bool  #: and not only the same booking
    sender_domain: str  #: of the app that wrote to it


def domain_guesses(domain: str, *, proven: Collection[str], is_gone: bool) -> tuple[str, ...]:
    """List the domains that were meant, the likeliest first; () when there is no good guess.

    `proven`: which of `slips(domain)` and of the domain itself took mail of ours. `is_gone`: it has no mail service.
    """
    if domain in _RANK or domain in proven or "xn--" in domain or not domain.isascii():
        return ()
    costs = slips(domain)
    found = {
        guess: cost
        for guess, cost in costs.items()
        if _is_allowed(domain, guess, cost, is_proven=guess in proven, is_gone=is_gone)
    }
    if not found and is_gone:
        found = _far_providers(domain)
    if not found and (fixed := _fixed_ending(domain)) is not None:
        return (fixed,)
    ranked = sorted(found, key=lambda guess: (found[guess], guess not in proven, _RANK.get(guess, len(_RANK))))
    return tuple(ranked[:3]) if ranked and not _is_tie(ranked, found, proven) else ()


def with_domain(address: str, domain: str) -> str:
    """Put another domain behind the @."""
    return f"{split(address)[0]}@{domain}"


def relative_guess(address: str, name: str, relatives: Iterable[Relative]) -> str | None:
    """Choose the address of the same person among those of the same booking or customer; None when unsure."""
    for one in relatives:
        if split(one.address)[1].lower() == one.sender_domain.lower():
            continue  # the hotel's own copy
        is_alike = SequenceMatcher(None, address.casefold(), one.address.casefold()).ratio() >= 0.8
        is_namesake = bool(name) and name.casefold() == one.name.casefold()
        if one.is_same_customer or is_alike or is_namesake:
            return one.address
    return None


@lru_cache(maxsize=64)
def slips(domain: str) -> dict[str, float]:
    """List what may have been meant if one slip happened, with what the slip costs."""
    found: dict[str, float] = {}
    for guess, cost in _all_slips(domain):
        if guess != domain and "." in guess and cost < found.get(guess, 99.0):
            found[guess] = cost
    return found


def _all_slips(domain: str) -> Iterator[tuple[str, float]]:
    yield from _letter_slips(domain)
    yield from _ending_slips(domain)
    if domain.startswith("www."):
        yield domain.removeprefix("www."), _LIKELY
    if "." not in domain:
        yield f"{domain}.com", _LIKELY
    labels = domain.split(".")
    for count in range(1, len(labels)):
        inner = ".".join(labels[:count])
        if inner in _RANK:
            yield inner, _LIKELY  # gmail.com.fi, gmail.com.com


def _letter_slips(domain: str) -> Iterator[tuple[str, float]]:
    for place in range(len(domain) + 1):
        before, after = domain[:place], domain[place:]
        around = before[-1:] + after[:1]
        for letter in (*_LETTERS, "."):  # one was left out
            is_likely = letter in around or letter in ".-"
            yield f"{before}{letter}{after}", _LIKELY if is_likely else _POSSIBLE
        if not after:
            continue
        typed, rest = after[0], after[1:]
        neighbours = before[-1:] + rest[:1]
        is_slip = any(typed == other or (typed, other) in _NEAR for other in neighbours)
        yield before + rest, _LIKELY if is_slip else _POSSIBLE  # one is too many
        for letter in _LETTERS:
            if typed != ".":
                yield f"{before}{letter}{rest}", _LIKELY if (typed, letter) in _NEAR else _FAR
        if rest and rest[0] != typed:
            yield f"{before}{rest[0]}{typed}{rest[1:]}", _LIKELY


def _ending_slips(domain: str) -> Iterator[tuple[str, float]]:
    label, _, ending = domain.rpartition(".")
    if label and ending in _BROKEN_COM:
        yield f"{label}.com", _LIKELY
    brand, _, endings = domain.partition(".")
    if all(0 < len(part) <= 3 for part in endings.split(".")) and endings.count(".") <= 1:
        own = [provider for provider in PROVIDERS if provider.partition(".")[0] == brand]
        if len(own) == 1:
            yield own[0], _LIKELY  # a brand with one ending only: gmail.fr, icloud.de


def _fixed_ending(domain: str) -> str | None:
    """Mend an ending that does not exist, of a name nobody knows."""
    label, _, ending = domain.rpartition(".")
    return f"{label}.com" if label and ending in _NO_ENDING else None


def _far_providers(domain: str) -> dict[str, float]:
    """Find the big providers that two slips lead to."""
    found = {}
    for provider in PROVIDERS:
        brand = provider.partition(".")[0]
        is_big = brand in _BIG_BRANDS and domain[:1] == provider[:1] and abs(len(provider) - len(domain)) <= 2
        if is_big and distance(domain, provider) == 2:
            found[provider] = 2 * _POSSIBLE
    return found


def _is_allowed(domain: str, guess: str, cost: float, *, is_proven: bool, is_gone: bool) -> bool:
    rank = _RANK.get(guess)
    if rank is None and not is_proven:
        return False
    brand = guess.partition(".")[0]
    if not is_gone:  # the first letter is hardly ever wrong, and cloud.com is not icloud.com
        return brand in _BIG_BRANDS and cost <= _POSSIBLE and guess[:1] == domain[:1]
    if cost <= _POSSIBLE:
        return len(brand) >= 3 or cost == _LIKELY
    return rank is not None and len(brand) >= 5


def _is_tie(ranked: list[str], costs: dict[str, float], proven: Collection[str]) -> bool:
    """Tell whether the second guess is as good as the first."""
    if len(ranked) < 2:
        return False
    first, second = ranked[:2]
    if costs[first] != costs[second] or (first in proven) != (second in proven):
        return False
    return _RANK.get(first, len(_RANK)) >= _TOP


def _near_pairs() -> Iterator[tuple[str, str]]:
    """List the keys that lie side by side, and the signs that look alike."""
    for row, line in enumerate(_ROWS):
        yield from pairwise(line)
        if row > 0:
            upper = _ROWS[row - 1]
            for place, key in enumerate(line):
                yield from ((key, above) for above in upper[place : place + 2])
    yield from ((pair[0], pair[1]) for pair in _DATA["look_alikes"])


_NEAR = frozenset(order for one, other in _near_pairs() for order in ((one, other), (other, one)))
