"""The rules as data: rules.toml read once and compiled into a structure that finds the first rule that fits.

Phrases become a tree of words, so that thousands of them cost one look-up per word of the reply. Rules without words
wait in lists by enhanced and by basic code. The order of the file is the order of the rules; nothing here decides what
a category means (classifier.py does). Data that is wrong raises at the first use, and a test reads it all.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from relay.classify.text import fold, words
from relay.model import Category, Stage

#: Between the two halves of a phrase with "…" at most this many words may stand.
GAP = 8

#: Words that stand for the two ends of a reply.
START, END = "^", "$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How to know whose server speaks: by its host name, else by words only its replies have."""

    hosts: tuple[str, ...]
    words: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of rules.toml; every condition that is given must hold."""

    rank: int  #: its place in the file; the lowest that fits decides
    name: str
    category: Category
    phrases: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    needs: str = ""  #: the pattern is tried only where this stands in the text
    provider: Provider | None = None
    enhanced: frozenset[str] = frozenset()
    except_enhanced: frozenset[str] = frozenset()
    code: frozenset[int] = frozenset()
    stage: frozenset[Stage] = frozenset()
    final: bool | None = None
    any_stage: bool = False
    entry: str | None = None
    real: str = ""
    is_plain: bool = True  #: no condition beside the words

    @property
    def reads_text(self) -> bool:
        """Tell whether words decide, not codes alone."""
        return bool(self.phrases or self.runs or self.pattern or self.provider)


@dataclass(frozen=True, slots=True)
class Leaf:
    """The end of a phrase, or of one half of a phrase with a gap."""

    rule: Rule
    pair: int = -1  #: which phrase with a gap it belongs to
    is_first: bool = False


@dataclass(slots=True)
class Node:
    """One word of the tree."""

    next: dict[str, Node] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules, compiled."""

    rules: tuple[Rule, ...]
    by_name: dict[str, Rule]
    tree: Node
    runs: tuple[tuple[str, Rule], ...]
    patterns: dict[str, tuple[Rule, ...]]  #: by `needs`
    by_provider: tuple[Rule, ...]  #: rules that need nothing but a provider and codes
    by_enhanced: dict[str, tuple[Rule, ...]]
    by_code: dict[int, tuple[Rule, ...]]


@cache
def load_rules() -> RuleSet:
    """Read and compile rules.toml; the same object every time."""
    text = files("relay.classify").joinpath("rules.toml").read_text(encoding="utf-8")
    return compile_rules(tomllib.loads(text))


def compile_rules(data: dict[str, Any]) -> RuleSet:
    """Compile rules given as parsed TOML.

    Raises:
        KeyError, ValueError: the data is wrong.
    """
    providers = {
        name: Provider(hosts=tuple(p["hosts"]), words=frozenset(p["words"])) for name, p in data["providers"].items()
    }
    rules = tuple(_rule(rank, row, providers=providers) for rank, row in enumerate(data["rule"]))
    tree = Node()
    pairs = itertools.count()
    for rule in rules:
        for phrase in rule.phrases:
            _plant(tree, phrase, rule=rule, sets=data["sets"], pairs=pairs)
    codes_only = [rule for rule in rules if not rule.reads_text]
    return RuleSet(
        rules=rules,
        by_name={rule.name: rule for rule in rules},
        tree=tree,
        runs=tuple((fold(run), rule) for rule in rules for run in rule.runs),
        patterns=_grouped((rule.needs, rule) for rule in rules if rule.pattern),
        by_provider=tuple(rule for rule in rules if rule.provider and not rule.phrases and not rule.pattern),
        by_enhanced=_grouped((key, rule) for rule in codes_only for key in rule.enhanced),
        by_code=_grouped((key, rule) for rule in codes_only if not rule.enhanced for key in rule.code),
    )


def _rule(rank: int, row: dict[str, Any], *, providers: dict[str, Provider]) -> Rule:
    pattern, provider = row.get("pattern"), row.get("provider")
    conditions = ("provider", "enhanced", "except_enhanced", "code", "stage", "final")
    return Rule(
        rank=rank,
        name=row["name"],
        category=Category(row["category"]),
        phrases=tuple(row.get("phrases", ())),
        runs=tuple(row.get("runs", ())),
        pattern=re.compile(pattern) if pattern else None,
        needs=row.get("needs", ""),
        provider=providers[provider] if provider else None,
        enhanced=_all_codes(row.get("enhanced", ())),
        except_enhanced=_all_codes(row.get("except_enhanced", ())),
        code=frozenset(row.get("code", ())),
        stage=frozenset(Stage(stage) for stage in row.get("stage", ())),
        final=row.get("final"),
        any_stage=row.get("any_stage", False),
        entry=row.get("entry"),
        real=row["real"],
        is_plain=not any(condition in row for condition in conditions),
    )


def _all_codes(given: Iterable[str]) -> frozenset[str]:
    return frozenset(code for one in given for code in _codes(one))


def _codes(given: str) -> Iterable[str]:
    """Spell out "x.7.606-649": x is 4 and 5, the last part may be a range."""
    digit, subject, detail = given.split(".")
    low, _, high = detail.partition("-")
    for first in "45" if digit == "x" else digit:
        for number in range(int(low), int(high or low) + 1):
            yield f"{first}.{subject}.{number}"


def _grouped(pairs: Iterable[tuple[Any, Rule]]) -> dict[Any, tuple[Rule, ...]]:
    found: dict[Any, tuple[Rule, ...]] = {}
    for key, rule in pairs:
        found[key] = (*found.get(key, ()), rule)
    return found


def _plant(tree: Node, phrase: str, *, rule: Rule, sets: dict[str, str], pairs: Iterable[int]) -> None:
    """Put a phrase, with all its choices, into the tree."""
    first, gap, second = phrase.partition("…")
    if not gap:
        for spelled in _spellings(first, sets):
            _branch(tree, spelled, rule=rule).leaves.append(Leaf(rule))
        return
    pair = next(iter(pairs))
    for spelled in _spellings(first, sets):
        _branch(tree, spelled, rule=rule).leaves.append(Leaf(rule, pair, True))
    for spelled in _spellings(second, sets):
        _branch(tree, spelled, rule=rule).leaves.append(Leaf(rule, pair))


def _branch(tree: Node, spelled: tuple[str, ...], *, rule: Rule) -> Node:
    if not spelled:
        raise ValueError(f"a phrase of {rule.name} has no word that is not a filler")
    node = tree
    for word in spelled:
        node = node.next.setdefault(word, Node())
    return node


def _spellings(part: str, sets: dict[str, str]) -> set[tuple[str, ...]]:
    """Write out the choices of one half of a phrase, reduced as a reply is."""
    pieces = re.split(r"\{([^}]*)\}", part)
    choices = [
        _choices(sets.get(piece, piece)) if position % 2 else (_reduced(piece),)
        for position, piece in enumerate(pieces)
    ]
    return {tuple(itertools.chain.from_iterable(chosen)) for chosen in itertools.product(*choices)}


@cache
def _choices(given: str) -> tuple[tuple[str, ...], ...]:
    """Read "a|b"; a choice of filler words alone would make the rest of the phrase match everything."""
    choices = tuple(_reduced(choice) for choice in given.split("|"))
    if () in choices:
        raise ValueError(f"a choice among {given!r} has no word that is not a filler")
    return choices


def _reduced(text: str) -> tuple[str, ...]:
    text = text.strip()
    start = (START,) if text.startswith(START) else ()
    end = (END,) if text.endswith(END) else ()
    return (*start, *words(fold(text)), *end)
