"""How well replies are understood: labelled samples, judged and counted; printed by `make corpus`.

Two kinds of samples. The development corpus lies outside the repository (../shared/corpus) and was in view when the
rules were written; tests/unit/replies.jsonl holds replies found later, in several sets, each with its label and with
what the rules of that day said when they met it for the first time (`first`). Only the first meeting is an estimate
for replies nobody has seen.

Cross-validation: rules are written, not learned, so a fold is measured without every phrase, pattern and run of text
that decided replies of this fold and of no other. That is harsher than a newcomer: general wordings that happen to
stand in one fold go too.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from relay.classify import classify, parse_reply
from relay.classify.classifier import HARD
from relay.classify.rules import END, GAP, START, Leaf, Node, Rule, RuleSet, load_rules
from relay.classify.text import fold, words
from relay.model import Category, Reply, ReplyClass, Stage

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "replies.jsonl"
OWN = Path(__file__).parents[1] / "tests" / "unit" / "replies.jsonl"

#: Kinds of the corpus that were seen in real traffic.
_REAL = frozenset({"dsn", "provider_reply", "rule_sample"})

#: Whose words a reply holds, for leaving whole providers out; the rest is split by chance.
_PROVIDERS = {
    "google": ("gsmtp", "gmail", "google"),
    "microsoft": ("outlook", "hotmail", "office365", "microsoft", "exchange", "resolver."),
    "yahoo": ("yahoo", "[tss", "[ts0", "aol"),
    "orange": ("ofr", "lpn", "orange", "laposte", "wanadoo"),
    "gmx": ("gmx", "web.de", "kundenserver", "nemesis", "mail.com"),
    "apple": ("apple", "icloud", "[cs0", "[hm0"),
    "china": ("qq.com", "163.com", "netease", "aliyun", "mail.126"),
    "mimecast": ("mimecast",),
    "barracuda": ("barracuda",),
    "proofpoint": ("proofpoint",),
    "spamhaus": ("spamhaus",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reply and what it means, by somebody who is not the classifier."""

    reply: Reply
    written: str
    categories: tuple[Category, ...] = ()  #: the label first, then others to accept; none: only the class is known
    classes: frozenset[ReplyClass] = frozenset()  #: all that are acceptable
    source: str = ""
    is_real: bool = True
    first: tuple[Category, ReplyClass] | None = None  #: what was said at the first meeting


@dataclass(frozen=True, slots=True)
class Judged:
    """A sample and what the classifier said."""

    sample: Sample
    category: Category
    reply_class: ReplyClass
    blocks: bool

    @property
    def is_right(self) -> bool:
        """Tell whether the category is one to accept; a sample without category counts as right."""
        return not self.sample.categories or self.category in self.sample.categories


def corpus_samples() -> list[Sample]:
    """Read the development corpus; empty where it is absent."""
    if not CORPUS.exists():
        return []
    return [_from_corpus(json.loads(line)) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def own_samples() -> dict[str, list[Sample]]:
    """Read the sets that were collected later, by name."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for line in OWN.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["set"]].append(_from_own(row))
    return dict(found)


def _from_corpus(row: Mapping[str, Any]) -> Sample:
    named = [row["category"], *row.get("also_ok", ())] if row["category"] else []
    return Sample(
        reply=parse_reply(row["reply"], Stage(row["phase"]) if row.get("phase") else None),
        written=row["reply"],
        categories=tuple(Category(name) for name in named),
        classes=frozenset({ReplyClass(row["expected"])}),
        source=row["source"].partition(":")[0],
        is_real=row["kind"] in _REAL,
    )


def _from_own(row: Mapping[str, Any]) -> Sample:
    reply = parse_reply(row["reply"], Stage(row["stage"]) if row.get("stage") else None)
    categories = tuple(Category(name) for name in (row["category"], *row.get("also_ok", ())))
    is_final = reply.code is not None and reply.code >= 500
    said, _, of_class = row["first"].partition("/")
    return Sample(
        reply=reply,
        written=row["reply"],
        categories=categories,
        classes=frozenset(class_of(category, is_final=is_final) for category in categories),
        source=row["from"],
        first=(Category(said), ReplyClass(of_class)),
    )


def class_of(category: Category, *, is_final: bool) -> ReplyClass:
    """Return the class that belongs to a category."""
    if not is_final:
        return ReplyClass.DEFERRED
    return ReplyClass.HARD if category in HARD else ReplyClass.SOFT


def judge(samples: Iterable[Sample], *, rules: RuleSet | None = None) -> list[Judged]:
    """Ask the classifier."""
    found = []
    for sample in samples:
        got = classify(sample.reply, rules=rules)
        found.append(Judged(sample, got.category, got.reply_class, got.suppress))
    return found


def first_met(samples: Iterable[Sample]) -> list[Judged]:
    """Return what was said when each sample was new."""
    found = []
    for sample in samples:
        if sample.first is not None:
            category, of_class = sample.first
            blocks = of_class is ReplyClass.HARD and category in (Category.INVALID_ADDRESS, Category.INVALID_DOMAIN)
            found.append(Judged(sample, category, of_class, blocks))
    return found


def without_stage(samples: Iterable[Sample]) -> list[Sample]:
    """Forget at which stage each reply came, as when it is pasted."""
    return [replace(sample, reply=parse_reply(sample.written)) for sample in samples]


# ---------------------------------------------------------------- counting


def summary(name: str, judged: Sequence[Judged]) -> str:
    """Count one set in one row of Markdown."""
    soft = [one for one in judged if one.sample.classes == {ReplyClass.SOFT}]
    hard = [one for one in judged if one.sample.classes == {ReplyClass.HARD}]
    later = [one for one in judged if one.sample.classes == {ReplyClass.DEFERRED}]
    wrongly = sum(one.reply_class is ReplyClass.HARD for one in soft)
    missed = sum(one.reply_class is not ReplyClass.HARD for one in hard)
    deferred = sum(one.reply_class is ReplyClass.DEFERRED for one in later)
    blocked = sum(one.blocks and ReplyClass.HARD not in one.sample.classes for one in judged)
    right = sum(one.is_right for one in judged)
    return (
        f"| {name} | {len(judged)} | {wrongly} of {len(soft)} | {missed} of {len(hard)} "
        f"| {deferred} of {len(later)} | {blocked} | {right / max(1, len(judged)):.1%} |"
    )


SUMMARY_HEAD = (
    "| set | replies | soft taken for hard | hard missed | 4yz deferred | good addresses blocked | category right |\n"
    "|---|---|---|---|---|---|---|"
)


def precision_table(judged: Sequence[Judged]) -> list[str]:
    """Give precision and recall of every class and category; an accepted alternative counts as right."""
    lines = ["| | precision | recall | replies |", "|---|---|---|---|"]
    pairs = [(_wanted_class(one), one.reply_class.value) for one in judged]
    lines += [_row(name.value, pairs) for name in ReplyClass]
    pairs = [(one.category.value if one.is_right else one.sample.categories[0].value, one.category.value)
             for one in judged if one.sample.categories]  # fmt: skip
    return lines + [_row(name, pairs) for name in sorted({want for want, _ in pairs})]


def _wanted_class(one: Judged) -> str:
    if one.reply_class in one.sample.classes:
        return one.reply_class.value
    return min(one.sample.classes).value


def _row(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    right = sum(want == got == name for want, got in pairs)
    said, wanted = sum(got == name for _, got in pairs), sum(want == name for want, _ in pairs)
    return f"| {name} | {_share(right, said)} | {_share(right, wanted)} | {wanted} |"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "–"


def confusions(judged: Iterable[Judged], *, most: int = 12) -> list[str]:
    """Name the pairs of categories that are taken for each other most often, with one reply of each."""
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in judged:
        if not one.is_right:
            pairs[one.sample.categories[0].value, one.category.value].append(one.sample.written)
    ranked = sorted(pairs.items(), key=lambda item: (-len(item[1]), item[0]))
    return [f"| {want} | {got} | {len(replies)} | `{replies[0][:90]}` |" for (want, got), replies in ranked[:most]]


# ---------------------------------------------------------------- cross-validation

#: What can be left out: a phrase with its rule (a gap phrase by its number), a run of text, or a rule's pattern.
Unit = tuple[str, tuple[str, ...] | int | str]


def cross_validated(samples: Sequence[Sample], key: Callable[[Sample], str]) -> list[Judged]:
    """Judge each fold with the rules that the other folds, or nobody's replies, justify."""
    rules = load_rules()
    folds: dict[str, list[Sample]] = defaultdict(list)
    owners: dict[Unit, set[str]] = defaultdict(set)
    for sample in samples:
        folds[key(sample)].append(sample)
        for unit in deciding_units(rules, sample.reply):
            owners[unit].add(key(sample))
    found: list[Judged] = []
    for name, members in folds.items():
        dropped = frozenset(unit for unit, names in owners.items() if names == {name})
        found += judge(members, rules=pruned(rules, dropped))
    return found


def by_source(sample: Sample) -> str:
    """Fold by where the reply was collected."""
    return sample.source


def by_provider(sample: Sample) -> str:
    """Fold by whose server speaks, the nameless split in five."""
    text = sample.written.lower()
    for name, marks in _PROVIDERS.items():
        if any(mark in text for mark in marks):
            return name
    return f"other {_hash(sample) % 5}"


def by_chance(sample: Sample) -> str:
    """Fold in ten by the words alone, so that rewordings of one reply stay together."""
    return str(_hash(sample) % 10)


def _hash(sample: Sample) -> int:
    template = " ".join(words(fold(sample.reply.text)))
    return int(sha256(template.encode()).hexdigest()[:8], 16)


def deciding_units(rules: RuleSet, reply: Reply) -> set[Unit]:
    """Return what in the deciding rule matched this reply."""
    rule = rules.by_name.get(classify(reply, rules=rules).rule)
    if rule is None or not rule.reads_text:
        return set()
    folded = fold(reply.text)
    found: set[Unit] = set(_phrases_of(rules, rule, [START, *words(folded), END]))
    found |= {(rule.name, run) for run, owner in rules.runs if owner is rule and run in folded}
    if rule.pattern and rule.pattern.search(f"{reply.code or ''} {folded}"):
        found.add((rule.name, "pattern"))
    return found


def _phrases_of(rules: RuleSet, rule: Rule, spoken: Sequence[str]) -> Iterable[Unit]:
    opened: dict[int, int] = {}
    for start in range(len(spoken)):
        node = rules.tree.next.get(spoken[start])
        position = start + 1
        while node is not None:
            for leaf in node.leaves:
                if leaf.rule is not rule:
                    continue
                if leaf.is_first:
                    opened[leaf.pair] = position
                elif leaf.pair < 0:
                    yield rule.name, tuple(spoken[start:position])
                elif 0 <= start - opened.get(leaf.pair, -GAP - 1) <= GAP:
                    yield rule.name, leaf.pair
            node = node.next.get(spoken[position]) if position < len(spoken) else None
            position += 1


def pruned(rules: RuleSet, dropped: frozenset[Unit]) -> RuleSet:
    """Return the rules without these units."""
    return replace(
        rules,
        tree=_without(rules.tree, dropped, ()),
        runs=tuple((run, rule) for run, rule in rules.runs if (rule.name, run) not in dropped),
        patterns={
            needs: tuple(rule for rule in ruled if (rule.name, "pattern") not in dropped)
            for needs, ruled in rules.patterns.items()
        },
    )


def _without(node: Node, dropped: frozenset[Unit], path: tuple[str, ...]) -> Node:
    def stays(leaf: Leaf) -> bool:
        return (leaf.rule.name, path if leaf.pair < 0 else leaf.pair) not in dropped

    return Node(
        next={word: _without(child, dropped, (*path, word)) for word, child in node.next.items()},
        leaves=[leaf for leaf in node.leaves if stays(leaf)],
    )


# ---------------------------------------------------------------- speed


def speed(samples: Sequence[Sample], *, rounds: int = 7) -> tuple[float, float]:
    """Return the microseconds to classify a parsed reply, and to parse and classify one.

    Of each reply the best round counts, because a busy machine only ever adds; of the replies the median.
    """
    classify(samples[0].reply)
    alone = [_timed(lambda sample: classify(sample.reply), samples) for _ in range(rounds)]
    both = [_timed(lambda sample: classify(parse_reply(sample.written)), samples) for _ in range(rounds)]
    return median(map(min, zip(*alone, strict=True))), median(map(min, zip(*both, strict=True)))


def _timed(work: Callable[[Sample], object], samples: Sequence[Sample]) -> list[float]:
    found = []
    for sample in samples:
        started = perf_counter()
        work(sample)
        found.append((perf_counter() - started) * 1e6)
    return found


# ---------------------------------------------------------------- the printed part


def print_replies(say: Callable[[str], None]) -> None:
    """Print every figure about replies."""
    corpus, own = corpus_samples(), own_samples()
    everything = [sample for samples in own.values() for sample in samples]
    say("## Replies\n\n### First meeting: what the rules of the day said to replies they had never seen\n")
    say(SUMMARY_HEAD)
    for name, samples in own.items():
        say(summary(f"set {name}", first_met(samples)))
    say(summary("all of them", first_met(everything)))
    say("\n### Now, with these replies in view\n\n" + SUMMARY_HEAD)
    for name, samples in own.items():
        say(summary(f"set {name}", judge(samples)))
    if corpus:
        _print_corpus(corpus, say)
        everything += corpus
    judged = judge(everything)
    say("\n### Precision and recall, all replies of this page\n")
    say("\n".join(precision_table(judged)))
    say("\n### Worst confusions at the first meeting\n\n| label | said | times | one of them |\n|---|---|---|---|")
    say("\n".join(confusions(first_met(everything))))
    alone, both = speed(everything)
    say(f"\n### Speed\n\n{alone:.1f} µs a reply (median), {both:.1f} µs with reading the text of the answer")


def _print_corpus(corpus: Sequence[Sample], say: Callable[[str], None]) -> None:
    say(summary("development corpus", judge(corpus)))
    say(summary("the same, stage unknown", judge(without_stage(corpus))))
    say(summary("the same, real ones only", judge([sample for sample in corpus if sample.is_real])))
    say("\n### Development corpus, cross-validated: each fold without what it alone justifies\n\n" + SUMMARY_HEAD)
    for name, key in (("by chance, ten folds", by_chance), ("by source", by_source), ("by provider", by_provider)):
        say(summary(name, cross_validated(corpus, key)))
    say("\n### Category right by source, development corpus\n\n| source | right | cross-validated |\n|---|---|---|")
    now, held_out = _right_by_source(judge(corpus)), _right_by_source(cross_validated(corpus, by_source))
    for source, (right, count) in sorted(now.items(), key=lambda item: -item[1][1]):
        say(f"| {re.sub('[(].*', '', source)[:50]} | {right} of {count} | {held_out[source][0]} of {count} |")


def _right_by_source(judged: Iterable[Judged]) -> dict[str, tuple[int, int]]:
    counts: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for one in judged:
        counts[one.sample.source] += 1
        right[one.sample.source] += one.is_right
    return {source: (right[source], counts[source]) for source in counts}
