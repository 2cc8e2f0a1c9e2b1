"""Every part of a query of the log, alone and together, on both backends; and that nothing reaches beyond a scope."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from relay.model import Blame, Category, DeliveryId, Submission, new_id
from relay.status import GROUPS, Group, Status, group_of
from relay.store import log, spool
from relay.store.engine import EngineStore
from relay.store.log import Query
from tests.store.making import HOUR, NOW, submission

DAY = timedelta(days=1)


def made(
    address: str, status: Status, *, app: str = "hotel", kind: str | None = None, marks: tuple[str, ...] = (),
    category: Category | None = None, code: int | None = None, name: str = "", subject: str = "Your booking",
    booking: str | None = None, number: int = 0,
) -> Submission:  # fmt: skip
    """A submission whose delivery has already come as far as the test wants it."""
    at = NOW + number * HOUR
    one = submission(address, app=app, name=name, subject=subject, booking=booking, at=at)
    is_open = status in (Status.QUEUED, Status.DEFERRED)
    delivery = replace(
        one.deliveries[0], status=status, marks=marks, category=category, code=code,
        blame=Blame.RECIPIENT if category else None, next_at=at + HOUR if is_open else None,
        attempts=0 if status is Status.QUEUED else 1,
    )  # fmt: skip
    return replace(one, message=replace(one.message, kind=kind), deliveries=(delivery,))


def fill(store: EngineStore) -> None:
    """Ten mails, the first letter of each address telling which."""
    mails = [
        made("a@one.example", Status.DELIVERED, kind="Reminder", code=250, name="Anna Li", number=0),
        made("b@one.example", Status.DELIVERED, code=250, marks=("opened", "clicked"), booking="BK-1", number=1),
        made("c@two.example", Status.DELIVERED, code=250, marks=("spam",), number=2),
        made("d@two.example", Status.INVALID, category=Category.INVALID_ADDRESS, code=550, app="spa", number=3),
        made("e@xn--bcher-kva.example", Status.SOFT_BOUNCED, category=Category.MAILBOX_FULL, code=452, number=4),
        made("f@one.example", Status.QUEUED, app="spa", subject="Invoice 12", number=5),
        made("g@one.example", Status.DEFERRED, category=Category.GREYLISTED, code=450, number=6),
        made("h@two.example", Status.SENT, code=250, number=7),
        made("i@one.example", Status.SUPPRESSED, app="spa", number=8),
        made("j@one.example", Status.CANCELLED, number=9),
    ]
    for mail in mails:
        store.write_now(lambda tx, m=mail: spool.accept(tx, m))  # type: ignore[misc]


def found(store: EngineStore, query: Query) -> str:
    return "".join(row.to[0] for row in store.read_now(lambda tx: log.search(tx, query)))


CASES: list[tuple[Query, str]] = [
    (Query(), "jihgfedcba"),
    (Query(name=("anna",)), "a"),
    (Query(name=("li",)), "a"),
    (Query(name=("nn",)), ""),
    (Query(name=("anna", "li")), "a"),
    (Query(name=("a@one",)), ""),
    (Query(subject=("invoice",)), "f"),
    (Query(subject=("12",)), "f"),
    (Query(subject=("hotel",)), ""),
    (Query(sender=("alice@",)), "jihgfedcba"),
    (Query(sender=("invoice",)), ""),
    (Query(to=("one.example", "f@")), "f"),
    (Query(kind="reminder"), "a"),
    (Query(domain=("two.example",)), "hdc"),
    (Query(domain=("xn--bcher-kva.example", "two.example")), "hedc"),
    (Query(domain=("wo.example",)), ""),
    (Query(not_domain=("one.example", "two.example")), "e"),
    (Query(category=(Category.MAILBOX_FULL,)), "e"),
    (Query(category=(Category.MAILBOX_FULL, Category.GREYLISTED)), "ge"),
    (Query(category=(Category.MAILBOX_FULL,), status=(Status.INVALID,)), ""),
    (Query(code=550), "d"),
    (Query(code=4), "ge"),
    (Query(code=2), "hcba"),
    (Query(code=551), ""),
    (Query(code=4, status=(Status.DEFERRED, Status.DELIVERED)), "g"),
    (Query(marks=("opened",)), "b"),
    (Query(marks=("opened", "spam")), ""),
    (Query(marks=("open",)), ""),
    (Query(is_resent=True), ""),
    (Query(is_resent=False), "jihgfedcba"),
    (Query(without=("invoice",)), "jihgedcba"),
    (Query(without=("in", "example.net")), "jihgedcba"),
    (Query(words=("example",), without=("two.example",)), "jigfeba"),
    (Query(not_status=(Status.DELIVERED, Status.QUEUED)), "jihged"),
    (Query(app="spa"), "ifd"),
    (Query(not_app=("spa",)), "jhgecba"),
    (Query(apps=("spa",)), "ifd"),
    (Query(apps=()), ""),
    (Query(apps=("hotel", "spa")), "jihgfedcba"),
    (Query(apps=("hotel",), app="spa"), ""),
    (Query(groups=(Group.PENDING,)), "hgf"),
    (Query(groups=(Group.DELIVERED,)), "ba"),
    (Query(groups=(Group.NOT_DELIVERED,)), "ed"),
    (Query(groups=(Group.CANCELLED,)), "j"),
    (Query(groups=(Group.BLOCKED,)), "ic"),
    (Query(groups=tuple(Group)), "jihgfedcba"),
    (Query(groups=(Group.BLOCKED,), status=(Status.DELIVERED,)), "icba"),
    (Query(groups=(Group.DELIVERED,), status=(Status.DELIVERED,)), "cba"),
    (Query(groups=(Group.NOT_DELIVERED,), domain=("two.example",)), "d"),
    (Query(groups=(Group.PENDING,), domain=("two.example", "one.example"), apps=("spa",)), "f"),
    (Query(groups=(Group.DELIVERED,), words=("example",)), "ba"),
    (Query(groups=(Group.BLOCKED, Group.PENDING), limit=3), "ihg"),
    (Query(booking="bk1", groups=(Group.DELIVERED,)), "b"),
    (Query(address="B@one.example", domain=("one.example",), status=(Status.DELIVERED,)), "b"),
    (Query(oldest_first=True, limit=3), "abc"),
    (Query(oldest_first=True, groups=(Group.PENDING, Group.BLOCKED), limit=3), "cfg"),
    (Query(oldest_first=True, words=("example",), limit=4), "abcd"),
]


@pytest.mark.parametrize(("query", "want"), CASES)
def test_each_part_and_the_index_changes_nothing(store: EngineStore, query: Query, want: str) -> None:
    fill(store)
    assert found(store, query) == want, "not indexed"
    store.write_now(lambda tx: log.index_pending(tx, limit=4))
    assert found(store, query) == want, "halfway"
    while store.write_now(log.index_pending):
        pass
    assert found(store, query) == want, "indexed"
    assert "".join(row.to[0] for row in store.read_now(lambda tx: log.page(tx, query)).rows) == want, "by the page"


SCOPED = [
    Query(),
    Query(words=("example",)),
    Query(words=("ex",)),
    Query(to="example"),
    Query(booking="BK-1"),
    Query(address="b@one.example"),
    Query(status=tuple(Status)),
    Query(groups=tuple(Group)),
    Query(category=tuple(Category)),
    Query(domain=("one.example", "two.example")),
    Query(code=5),
    Query(archived=True, now=NOW + 60 * DAY),
    Query(archived=False, now=NOW),
    Query(oldest_first=True),
]


@pytest.mark.parametrize("query", SCOPED)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_no_way_of_reading_leaves_the_scope(store: EngineStore, query: Query, is_indexed: bool) -> None:
    fill(store)
    while is_indexed and store.write_now(log.index_pending):
        pass
    everywhere = found(store, query)
    for apps in ((), ("spa",), ("hotel",), ("spa", "hotel")):
        want = "".join(
            letter for letter in everywhere if letter in {"spa": "dfi", "hotel": "abceghj"}.get("".join(apps), "")
        )
        want = everywhere if len(apps) == 2 else want
        assert found(store, replace(query, apps=apps)) == want
        assert len(store.read_now(lambda tx, a=apps: log.page(tx, replace(query, apps=a))).rows) == len(want)  # type: ignore[misc]
        counted = store.read_now(lambda tx, a=apps: log.counts(tx, replace(query, apps=a)))  # type: ignore[misc]
        if not query.status and not query.groups:
            assert sum(count.number for count in counted.values()) == len(want)


def test_pages_go_back_the_way_they_came(store: EngineStore) -> None:
    fill(store)
    older = store.read_now(lambda tx: log.search(tx, Query(limit=4)))
    newest = older[-1].seq
    query = Query(since_seq=newest, oldest_first=True, limit=2)
    back = store.read_now(lambda tx: log.search(tx, query))
    assert [row.to[0] for row in back] == ["h", "i"]
    assert [row.to[0] for row in store.read_now(lambda tx: log.page(tx, query)).rows] == ["h", "i"]


def test_a_resend_is_found_as_one(store: EngineStore) -> None:
    fill(store)
    first = store.read_now(lambda tx: log.search(tx, Query(to="a@one")))[0]
    copy = made("k@one.example", Status.DELIVERED)
    copy = replace(copy, deliveries=(replace(copy.deliveries[0], id=DeliveryId(new_id()), resend_of=first.id),))
    store.write_now(lambda tx: spool.accept(tx, copy))
    assert found(store, Query(is_resent=True)) == "k"
    assert found(store, Query(is_resent=False)) == "jihgfedcba"


def test_every_status_is_in_one_group() -> None:
    assert sorted(status for statuses in GROUPS.values() for status in statuses) == sorted(Status)
    for status in Status:
        assert status in GROUPS[group_of(status)]
        assert group_of(status, is_spam=True) is Group.BLOCKED


def test_counts_are_those_of_the_filter_whatever_group_is_shown(store: EngineStore) -> None:
    fill(store)
    whole = {Group.PENDING: 3, Group.DELIVERED: 2, Group.NOT_DELIVERED: 2, Group.CANCELLED: 1, Group.BLOCKED: 2}
    for query in (Query(), Query(groups=(Group.PENDING,), limit=1), Query(status=(Status.SENT,))):
        counted = store.read_now(lambda tx, q=query: log.counts(tx, q))  # type: ignore[misc]
        assert counted == {group: log.Count(number=number) for group, number in whole.items()}
    of_two = store.read_now(lambda tx: log.counts(tx, Query(domain=("two.example",))))
    assert {group: count.number for group, count in of_two.items() if count.number} == {
        Group.PENDING: 1,
        Group.NOT_DELIVERED: 1,
        Group.BLOCKED: 1,
    }


def test_counts_stop_at_the_cap(store: EngineStore) -> None:
    fill(store)
    counted = store.read_now(lambda tx: log.counts(tx, Query(), cap=2))
    assert counted[Group.PENDING] == log.Count(number=2, is_more=True)
    assert counted[Group.DELIVERED] == log.Count(number=2)
    assert counted[Group.CANCELLED] == log.Count(number=1)
    assert counted[Group.BLOCKED] == log.Count(number=2)


def test_counts_among_words_say_at_least_when_there_are_many(store: EngineStore) -> None:
    fill(store)
    while store.write_now(log.index_pending):
        pass
    exact = store.read_now(lambda tx: log.counts(tx, Query(words=("example",))))
    assert not any(count.is_more for count in exact.values())
    assert sum(count.number for count in exact.values()) == 10
    capped = store.read_now(lambda tx: log.counts(tx, Query(words=("example",)), cap=3))
    assert all(count.is_more for count in capped.values())
    assert sum(count.number for count in capped.values()) >= 3
