"""The scheduler with its pool, sites and records on a real store: what becomes of a mail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from relay.classify import classify
from relay.delivery.contract import Credentials
from relay.model import Category, Reply, Stage
from relay.status import Status
from tests.delivery.fake_sites import Clock, World, refusal
from tests.delivery.running import Running, config, play


def world(**domains: tuple[str, ...]) -> World:
    made = World(Clock())
    for domain, hosts in (domains or {"guest": ("mx1.guest",)}).items():
        made.serve(domain + ".example", *hosts)
    return made


def test_a_message_is_delivered_and_its_attempt_stored(tmp_path: Path) -> None:
    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.attempts, delivery.mx) == (Status.DELIVERED, 1, "mx1.guest")
        (row,) = running.attempts("anna@guest.example")
        assert (row["number"], row["code"], row["mx"], row["conversation"]) == (1, 250, "mx1.guest", None)
        await running.until_idle()

    assert play(tmp_path, scene, world=world()).taken == ["anna@guest.example"]


def test_recipients_of_one_message_at_one_site_share_a_transaction(tmp_path: Path) -> None:
    made = World(Clock())
    made.serve("a.example", "mx.shared")
    made.serve("b.example", "mx.shared")

    async def scene(running: Running) -> None:
        await running.accept("1@a.example", "2@a.example", "3@b.example")
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert [sorted(addresses) for _, addresses in made.transactions] == [["1@a.example", "2@a.example", "3@b.example"]]


def test_a_connection_is_reused_for_the_next_message(tmp_path: Path) -> None:
    made = world()

    async def scene(running: Running) -> None:
        for number in range(3):
            await running.accept(f"{number}@guest.example")
            await running.until_ended()
        assert running.attempts("2@guest.example")[0]["reused"] == 1

    play(tmp_path, scene, world=made)
    assert made.connects == ["mx1.guest"]


def test_a_stale_connection_is_replaced_within_the_same_attempt(tmp_path: Path) -> None:
    made = world()
    made.host("mx1.guest").is_stale = True

    async def scene(running: Running) -> None:
        await running.accept("1@guest.example")
        await running.until_ended()
        await running.accept("2@guest.example")
        await running.until_ended()
        rows = running.attempts("2@guest.example")
        assert [(row["number"], row["code"]) for row in rows] == [(1, None), (1, 250)]

    play(tmp_path, scene, world=made)
    assert made.connects == ["mx1.guest", "mx1.guest"]


def test_a_connection_is_closed_after_its_number_of_messages(tmp_path: Path) -> None:
    made = world()

    async def scene(running: Running) -> None:
        for number in range(5):
            await running.accept(f"{number}@guest.example")
            await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(delivery={"site": {"messages_per_connection": 2}}))
    assert made.connects == ["mx1.guest"] * 3


def test_the_next_host_is_tried_in_the_same_attempt(tmp_path: Path) -> None:
    made = world(guest=("mx1.guest", "mx2.guest"))
    made.host("mx1.guest").connect = refusal(None, stage=Stage.CONNECT, text="network timed out")

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        assert running.deliveries()["anna@guest.example"].mx == "mx2.guest"
        rows = running.attempts("anna@guest.example")
        assert [(row["number"], row["mx"], row["code"]) for row in rows] == [
            (1, "mx1.guest", None),
            (1, "mx2.guest", 250),
        ]

    play(tmp_path, scene, world=made)


def test_a_dead_host_is_not_asked_again_by_every_message(tmp_path: Path) -> None:
    made = world(guest=("mx1.guest", "mx2.guest"))
    made.host("mx1.guest").connect = refusal(None, stage=Stage.CONNECT, text="network timed out")

    async def scene(running: Running) -> None:
        for number in range(40):
            await running.accept(f"{number}@guest.example")
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert made.connects.count("mx1.guest") == 1


def test_each_recipient_has_its_own_end_and_only_the_deferred_is_tried_again(tmp_path: Path) -> None:
    made = world()
    answers = {
        "full@guest.example": refusal(452, enhanced="4.2.2", text="mailbox_full"),
        "gone@guest.example": refusal(550, enhanced="5.1.1", text="invalid_address"),
    }
    made.host("mx1.guest").replies = lambda _: answers

    async def scene(running: Running) -> None:
        await running.accept("good@guest.example", "full@guest.example", "gone@guest.example")
        await running.until_tried("full@guest.example")
        assert running.statuses() == {
            "good@guest.example": Status.DELIVERED,
            "full@guest.example": Status.DEFERRED,
            "gone@guest.example": Status.INVALID,
        }
        del answers["full@guest.example"]
        await running.advance_to_retry("full@guest.example")
        await running.until_ended()
        assert running.attempts("full@guest.example")[0]["conversation"] is not None

    play(tmp_path, scene, world=made)
    assert made.taken == ["good@guest.example", "full@guest.example"]
    assert made.transactions[-1] == ("mx1.guest", ["full@guest.example"])


def test_recipients_that_were_too_many_follow_at_once_in_another_transaction(tmp_path: Path) -> None:
    made = world()
    enough = refusal(452, enhanced="4.5.3", text="rate_limited too many recipients")
    made.host("mx1.guest").replies = lambda envelope: {d.address: enough for d in envelope.deliveries[2:]}

    async def scene(running: Running) -> None:
        await running.accept(*(f"{number}@guest.example" for number in range(5)))
        await running.until_ended()
        assert set(running.statuses().values()) == {Status.DELIVERED}
        assert running.deliveries()["4@guest.example"].attempts == 1
        assert [row["code"] for row in running.attempts("4@guest.example")] == [452, 452, 250]

    play(tmp_path, scene, world=made)
    assert [len(addresses) for _, addresses in made.transactions] == [5, 3, 1]


def test_a_site_that_takes_no_recipient_at_all_defers_them(tmp_path: Path) -> None:
    made = world()
    enough = refusal(552, enhanced="5.5.3", text="rate_limited too many recipients")
    made.host("mx1.guest").replies = lambda envelope: {d.address: enough for d in envelope.deliveries}

    async def scene(running: Running) -> None:
        await running.accept("1@guest.example", "2@guest.example")
        delivery = await running.until_tried("2@guest.example")
        assert (delivery.status, delivery.attempts) == (Status.DEFERRED, 1)

    play(tmp_path, scene, world=made)
    assert len(made.transactions) == 1


def test_a_lost_final_answer_is_called_unknown_and_sent_again(tmp_path: Path) -> None:
    made = world()
    made.host("mx1.guest").is_unknown = True

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        delivery = await running.until_tried("anna@guest.example")
        assert (delivery.status, delivery.is_unknown) == (Status.DEFERRED, True)
        made.host("mx1.guest").is_unknown = False
        await running.advance_to_retry("anna@guest.example")
        await running.until_ended()
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.is_unknown, delivery.attempts) == (Status.DELIVERED, True, 2)
        assert [row["is_unknown"] for row in running.attempts("anna@guest.example")] == [1, 0]

    play(tmp_path, scene, world=made)
    assert len(made.transactions) == 2


def test_retries_follow_the_ladder_and_end_with_the_last_reason(tmp_path: Path) -> None:
    made = world()
    made.host("mx1.guest").replies = lambda e: {d.address: refusal(451, text="greylisted") for d in e.deliveries}

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        waits: list[float] = []
        while True:
            delivery = await running.until_tried("anna@guest.example", times=len(waits) + 1)
            if delivery.next_at is None:
                break
            waits.append((delivery.next_at - running.clock.now()).total_seconds())
            await running.advance_to_retry("anna@guest.example")
        assert waits[:3] == [60, 300, 900]
        assert all(wait == 900 for wait in waits[3:-1])
        assert waits[-1] <= 900
        assert (running.clock.now() - delivery.created_at).total_seconds() == pytest.approx(86400, abs=1)
        assert (delivery.status, delivery.category) == (Status.SOFT_BOUNCED, Category.GREYLISTED)

    play(tmp_path, scene, world=made)


def test_a_smarthost_takes_mail_as_sent(tmp_path: Path) -> None:
    made = World(Clock())
    made.serve("guest.example", "smart.example", site="smart.example:587", is_smarthost=True)

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        assert running.statuses() == {"anna@guest.example": Status.SENT}

    play(tmp_path, scene, world=made)


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.EHLO])
def test_a_greeting_that_says_5yz_is_final_only_when_every_host_gave_one(tmp_path: Path, stage: Stage) -> None:
    made = world(all=("mx1.all", "mx2.all"), some=("mx1.some", "mx2.some"))
    no = refusal(554, stage=stage, text="policy no mail here")
    for name in ("mx1.all", "mx2.all", "mx2.some"):
        made.host(name).connect = no
    made.host("mx1.some").connect = refusal(None, stage=Stage.CONNECT, text="network timed out")

    async def scene(running: Running) -> None:
        await running.accept("anna@all.example")
        await running.accept("anna@some.example")
        await running.until_tried("anna@all.example")
        await running.until_tried("anna@some.example")
        assert running.statuses() == {
            "anna@all.example": Status.SOFT_BOUNCED,
            "anna@some.example": Status.DEFERRED,
        }

    play(tmp_path, scene, world=made)


def test_an_app_with_other_credentials_never_travels_on_this_ones_connection(tmp_path: Path) -> None:
    made = World(Clock())
    for domain, user in (("one.example", "one"), ("two.example", "two")):
        made.serve(domain, "smart.example", site="smart.example:587", is_smarthost=True)
        made.routes[domain] = replace(made.routes[domain], credentials=Credentials(username=user, password="x"))

    async def scene(running: Running) -> None:
        for domain in ("one.example", "two.example", "two.example"):
            await running.accept(f"{len(made.transactions)}@{domain}")
            await running.until_ended()

    play(tmp_path, scene, world=made)
    assert [each.username for each in made.credentials if each] == ["one", "two"]


def test_unclassified_replies_of_the_real_classifier_fit(tmp_path: Path) -> None:
    made = world()
    made.host("mx1.guest").replies = lambda e: {
        d.address: Reply(stage=Stage.RCPT, code=550, enhanced="5.1.1", text="User unknown") for d in e.deliveries
    }

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.category) == (Status.INVALID, Category.INVALID_ADDRESS)
        assert running.count("SELECT COUNT(*) FROM suppression") == 1

    play(tmp_path, scene, world=made, classify=classify)
