"""`waybill nodes`: who works on the store, who went silent, and a clock that is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from relay.cli import nodes as command
from relay.cli.times import utc_now
from relay.store import nodes
from relay.store.nodes import Member
from tests.cli.desk import Desk

BACKENDS = ("postgres", "sqlite")


def member(node: str, *, sources: str = "") -> Member:
    return Member(owner=f"{node}/1", node=node, role="delivery", version="1.0", sources=sources)


def test_the_living_are_shown_with_what_they_send_from(desk: Desk) -> None:
    with desk.store() as store:
        store.write_now(lambda tx: nodes.beat(tx, member("one", sources="192.0.2.1"), now=utc_now()))
        store.write_now(lambda tx: nodes.beat(tx, member("two"), now=utc_now()))
    got = desk.run("nodes")
    rows = [line.split() for line in got.out.splitlines()]
    assert [row[:3] for row in rows[1:]] == [["one", "delivery", "alive"], ["two", "delivery", "alive"]]
    assert "192.0.2.1" in got.out
    assert "as routed" in got.out
    assert got.err == ""
    assert [line["node"] for line in desk.run("nodes", "--json").lines()] == ["one", "two"]


@pytest.mark.parametrize(
    ("off", "words"), [(timedelta(seconds=60), "60 s ahead of"), (-timedelta(seconds=60), "60 s behind")]
)
def test_a_wrong_clock_of_this_machine_is_told(off: timedelta, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    def clock() -> datetime:
        return utc_now() + off

    row = nodes.NodeRow(member=member("one"), started_at=utc_now(), seen_at=utc_now(), at=utc_now())
    command.compare_clocks([row], asked=clock(), clock=clock)
    assert words in capsys.readouterr().err
