"""The rules as data: each answers to its own line, stands in the right place, and can be told from the others."""

from __future__ import annotations

from typing import Any

import pytest

from relay.classify import classify, parse_reply
from relay.classify.rules import Rule, compile_rules, load_rules
from relay.model import Stage

RULES = load_rules().rules


def stage_of(rule: Rule) -> Stage | None:
    return None if not rule.stage or Stage.RCPT in rule.stage else min(rule.stage)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_decides_the_line_that_it_quotes(rule: Rule) -> None:
    got = classify(parse_reply(rule.real, stage_of(rule)), sender="desk@hotel.example")
    assert (got.rule, got.category) == (rule.name, rule.category)


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))


def test_providers_come_before_text_and_text_before_codes() -> None:
    order = ["provider", "text", "code", "basic"]
    layers = [rule.name.partition(".")[0].replace("guard", "text") for rule in RULES]
    ranks = [order.index(layer) if layer in order else 0 for layer in layers]
    assert ranks == sorted(ranks)


def test_every_rule_can_fire_at_all() -> None:
    assert [rule.name for rule in RULES if not (rule.reads_text or rule.enhanced or rule.code)] == []


def rules_of(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"providers": {}, "sets": {"who": "user|guest"}, "rule": [{"real": "", **row} for row in rows]}


def test_choices_sets_gaps_and_ends_are_spelled_out() -> None:
    compiled = compile_rules(
        rules_of({"name": "a", "category": "policy", "phrases": ["{who} {gone|left} $", "box … full"]})
    )
    assert set(compiled.tree.next) == {"user", "guest", "box", "full"}
    assert set(compiled.tree.next["guest"].next) == {"gone", "left"}


@pytest.mark.parametrize(
    "row",
    [
        {"name": "a", "category": "no_such_category"},
        {"name": "a", "category": "policy", "phrases": ["the … full"]},
        {"name": "a", "category": "policy", "phrases": [""]},
        {"name": "a", "category": "policy", "phrases": ["user not {known|in}"]},
        {"name": "a", "category": "policy", "stage": ["lunch"]},
        {"name": "a", "category": "policy", "enhanced": ["5.7"]},
    ],
)
def test_wrong_rules_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_rules(rules_of(row))
