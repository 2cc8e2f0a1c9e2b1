"""The past of the demo: planned alike for the same seed, and full of what there is to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.address import domain_of
from relay.demo import entrance, history
from relay.demo.bookings import APP_OF, DAYS, STORY_DOMAINS, Fate, plan, stories
from relay.demo.guests import DOMAINS, LANGUAGES, person
from relay.demo.node import to_toml
from relay.demo.samples import BUSINESSES
from relay.status import FAILED, Status
from relay.store import incidents, log, notices, open_store, refusals, stats, suppressions
from relay.store.filters import Query
from relay.store.protocols import Store, Tx
from relay.suggesting import guesses

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store("sqlite:waybill.db", tmp_path_factory.mktemp("past")) as opened:
        history.fill(opened, now=NOW)
        yield opened


def rows_to(tx: Tx, address: str) -> list[log.LogRow]:
    return log.search(tx, Query(address=address, limit=50))


def test_same_seed_plans_the_same_mail_and_another_seed_other_mail() -> None:
    assert plan(now=NOW, seed=3) == plan(now=NOW, seed=3)
    assert plan(now=NOW, seed=3) != plan(now=NOW, seed=4)


@pytest.mark.parametrize("hour", [0, 3, 12, 23])
def test_plan_is_a_month_of_mail_in_five_languages_whenever_the_demo_starts(hour: int) -> None:
    now = NOW.replace(hour=hour)

    mails = plan(now=now)

    assert 1300 <= len(mails) <= 1800
    assert {mail.to.language for mail in mails} == set(LANGUAGES) == set(APP_OF)
    assert {mail.app for mail in mails} == set(BUSINESSES)
    assert all(now - timedelta(days=DAYS) <= mail.at < now for mail in mails)
    assert [mail.at for mail in mails] == sorted(mail.at for mail in mails)


def test_nights_are_quiet() -> None:
    hours = Counter(mail.at.hour for mail in plan(now=NOW))

    assert sum(hours[hour] for hour in range(5)) * 10 < sum(hours[hour] for hour in range(9, 14))


def test_guests_have_addresses_of_their_own_at_domains_that_take_mail() -> None:
    people = [person(number) for number in range(500)]

    assert {one.domain for one in people} <= set(DOMAINS)
    assert all(one.address.isascii() for one in people)
    assert len({one.address for one in people}) == len({one.name for one in people})


def test_every_domain_of_a_story_is_known_to_dns_unless_it_is_a_typing_mistake() -> None:
    for story in stories():
        assert (domain_of(story.address) in {*DOMAINS, *STORY_DOMAINS}) is (story.fate is not Fate.NO_DOMAIN)


def test_most_mail_arrived_and_all_ends_are_there(store: Store) -> None:
    counts = store.read_now(lambda tx: stats.by_status(tx, since=NOW - timedelta(days=DAYS + 1)))

    total = sum(counts.values())
    assert 0.95 <= counts[Status.DELIVERED] / total <= 0.98
    assert all(counts[status] for status in (FAILED - {Status.REJECTED}) | {Status.SUPPRESSED, Status.DEFERRED})
    assert counts[Status.QUEUED] == 0


def test_greylisted_mail_arrived_at_the_second_try(store: Store) -> None:
    tries = Counter(
        row.attempts for row in store.read_now(lambda tx: log.search(tx, Query(status=(Status.DELIVERED,), limit=2000)))
    )

    assert tries[2] > 5
    assert set(tries) == {1, 2}


def test_only_the_last_days_are_left_to_do(store: Store) -> None:
    open_ones = store.read_now(lambda tx: notices.search(tx, limit=100))
    all_of_them = store.read_now(lambda tx: notices.search(tx, with_closed=True, limit=500))

    assert {one.cause for one in open_ones} >= {"no-domain", "no-mailbox", "mailbox-full", "mailbox-off", "complaint"}
    assert all(NOW - one.last_at <= timedelta(days=3) for one in open_ones)
    assert len(all_of_them) > 2 * len(open_ones)
    assert {bool(one.by) for one in all_of_them if one.closed_at} == {True, False}  # by people, and by mail that came


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sari.lehtonen@kirej.example", "sari.lehtonen@kirje.example"),
        ("margret.ellingham@letters.example", "margaret.ellingham@letters.example"),
        ("jb.delacroix-montaigne@couriel.example", "jb.delacroix-montaigne@courriel.example"),
    ],
)
def test_mistyped_address_leads_to_the_one_that_was_meant(store: Store, typed: str, meant: str) -> None:
    (notice,) = store.read_now(lambda tx: notices.search(tx, address=typed))

    found = store.read_now(lambda tx: guesses(tx, notice))

    assert [(one.address, one.is_proven) for one in found][:1] == [(meant, True)]


def test_blocked_guest_gets_nothing_more(store: Store) -> None:
    address = "rosalind@quickmail.example"
    found = store.read_now(lambda tx: rows_to(tx, address))

    assert [row.status for row in found] == [Status.SUPPRESSED] * 3 + [Status.INVALID]
    assert store.read_now(lambda tx: suppressions.active_on(tx, address, scope="address", now=NOW))


def test_one_guest_has_only_archived_mail(store: Store) -> None:
    found = store.read_now(lambda tx: log.search(tx, Query(to="gustav.adler", archived=True, now=NOW)))
    live = store.read_now(lambda tx: log.search(tx, Query(to="gustav.adler", archived=False, now=NOW)))

    assert (len(found), live) == (2, [])


def test_one_server_blocks_us_and_nobody_is_blocked_for_it(store: Store) -> None:
    (newest, *others) = store.read_now(incidents.every)

    assert (newest.subject.domain, newest.category, newest.count) == ("marlow-post.example", "reputation_block", 3)
    assert others == []
    assert not store.read_now(
        lambda tx: suppressions.active_on(tx, "edith@marlow-post.example", scope="address", now=NOW)
    )


def test_refused_logins_can_be_found(store: Store) -> None:
    found = store.read_now(lambda tx: refusals.search(tx, limit=10))

    assert {row.refusal.reason for row in found} == {"auth_failed"}


def test_prepared_store_has_an_admin_and_a_link(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(to_toml({"dashboard": {"address": "127.0.0.1:8925"}}), "utf-8")

    way_in = entrance.prepare(config, now=NOW)

    assert way_in.link.startswith("http://127.0.0.1:8925/link/")
    assert len(way_in.password) >= 10
    assert way_in.deliveries > 1000
