"""Searching and following the log: the same answer before and after a mail is indexed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.model import Reference
from relay.status import Status
from relay.store import log, spool
from relay.store.engine import EngineStore
from relay.store.log import Query
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, submission

KEYS = [
    "id",
    "message",
    "accepted_at",
    "app",
    "from",
    "to",
    "subject",
    "booking",
    "kind",
    "status",
    "category",
    "blame",
    "attempts",
    "mx",
    "code",
    "enhanced",
    "reply",
    "next_at",
    "marks",
    "intended",
    "resend_of",
    "delivered_at",
    "expires_at",
]


def found(store: EngineStore, query: Query) -> list[str]:
    return [row.to for row in store.read_now(lambda tx: log.search(tx, query))]


def index(store: EngineStore) -> None:
    while store.write_now(lambda tx: log.index_pending(tx, limit=2)):
        continue


def fill(store: EngineStore) -> None:
    accept(
        store,
        "anna.makinen@example.com",
        name="Anna Mäkinen",
        subject='Vahvistus: "Päivällinen" 100% sure',
        booking="LU-1042",
        message_id="<abc.123@hotel.example>",
    )
    accept(
        store,
        "Bob_Smith@Example.org",
        "carol@example.net",
        app="spa",
        subject="Reminder",
        customer="C-77",
        at=NOW + HOUR,
        references=(
            Reference(kind="booking", value="RES 5550", source="pattern"),
            Reference(kind="booking", value="RES 5551", source="pattern"),
        ),
    )


# Short words hold letters that no id has (I, L, O, U), so that an id never matches them by chance.
WORDS: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("part of an address", ("makinen@exam",), ["anna.makinen@example.com"]),
    ("other case", ("ANNA.MAK",), ["anna.makinen@example.com"]),
    ("name with an umlaut in capitals", ("MÄKINEN",), ["anna.makinen@example.com"]),
    ("subject", ("vahvistus",), ["anna.makinen@example.com"]),
    ("quotes", ('"päiv',), ["anna.makinen@example.com"]),
    ("a percent sign is no wildcard", ("100%",), ["anna.makinen@example.com"]),
    ("an underscore is no wildcard", ("b_s",), ["Bob_Smith@Example.org"]),
    ("an underscore elsewhere", ("a_m",), []),
    ("booking", ("u-104",), ["anna.makinen@example.com"]),
    ("a booking that is only a reference", ("s 5551",), ["carol@example.net", "Bob_Smith@Example.org"]),
    ("customer", ("C-77",), ["carol@example.net", "Bob_Smith@Example.org"]),
    ("Message-ID", ("abc.123@",), ["anna.makinen@example.com"]),
    ("From", ("alice@hotel",), ["carol@example.net", "Bob_Smith@Example.org", "anna.makinen@example.com"]),
    ("two words", ("reminder", "carol"), ["carol@example.net"]),
    ("two words of different mails", ("vahvistus", "carol"), []),
    ("a short word", ("lu",), ["anna.makinen@example.com"]),
    ("a short and a long word", ("lu", "mäki"), ["anna.makinen@example.com"]),
    ("two letters begin a name", ("mä",), ["anna.makinen@example.com"]),
    ("two letters inside a word", ("ki",), []),
    ("one letter begins an address", ("b",), ["Bob_Smith@Example.org"]),
    ("one letter inside a word", ("_",), []),
    ("nothing", ("nobody",), []),
    ("pieces are there, the word is not", ("annakinen",), []),
    ("words do not run from one field into the next", ("example.comanna",), []),
    ("SQL", ("'; DROP TABLE delivery; --",), []),
    ("FTS words", ('mak" OR "bob',), []),
    ("empty", ("",), ["carol@example.net", "Bob_Smith@Example.org", "anna.makinen@example.com"]),
]


@pytest.mark.parametrize(("words", "want"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_words_find_the_same_before_halfway_and_after_indexing(
    store: EngineStore, words: tuple[str, ...], want: list[str]
) -> None:
    fill(store)
    assert found(store, Query(words=words)) == want, "not indexed"
    store.write_now(lambda tx: log.index_pending(tx, limit=2))
    assert found(store, Query(words=words)) == want, "halfway"
    index(store)
    assert found(store, Query(words=words)) == want, "indexed"


ALL = ["carol@example.net", "Bob_Smith@Example.org", "anna.makinen@example.com"]


@pytest.mark.parametrize(
    ("query", "want"),
    [
        (Query(), ALL),
        (Query(to="carol@example.net"), ALL[:1]),
        (Query(to="BOB_SMITH@example.org"), ALL[1:2]),
        (Query(to="@example."), ALL),
        (Query(to="mäkinen"), ALL[2:]),
        (Query(to="reminder"), []),
        (Query(booking="lu 10-42"), ALL[2:]),
        (Query(booking="RES5551"), ALL[:2]),
        (Query(booking="LU-104"), []),
        (Query(app="spa"), ALL[:2]),
        (Query(since=NOW + MINUTE), ALL[:2]),
        (Query(until=NOW + MINUTE), ALL[2:]),
        (Query(since=NOW, until=NOW), []),
        (Query(since=NOW + 9 * HOUR), []),
        (Query(status=(Status.QUEUED,)), ALL),
        (Query(status=(Status.INVALID,)), []),
        (Query(status=(Status.INVALID, Status.QUEUED), words=("reminder",)), ALL[:2]),
        (Query(words=("alice",), since=NOW + MINUTE, limit=1), ALL[:1]),
    ],
)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_every_filter(store: EngineStore, query: Query, want: list[str], is_indexed: bool) -> None:
    fill(store)
    if is_indexed:
        index(store)
    assert found(store, query) == want


@pytest.mark.parametrize("words", [(), ("guest",)], ids=["all", "words"])
def test_pages_follow_one_another_without_gap(store: EngineStore, words: tuple[str, ...]) -> None:
    want = [accept(store, f"guest{number}@example.com").deliveries[0].address for number in range(11)][::-1]
    store.write_now(lambda tx: log.index_pending(tx, limit=6))  # so that one page spans both parts
    got: list[str] = []
    before = None
    while page := store.read_now(lambda tx, before=before: log.search(tx, Query(words=words, before=before, limit=4))):  # type: ignore[misc]
        got += [row.to for row in page]
        before = page[-1].seq
    assert got == want


def test_a_row_has_exactly_the_promised_keys(store: EngineStore) -> None:
    made = accept(store, "Ann@Example.com", booking="BK-1")
    (row,) = store.read_now(lambda tx: log.search(tx, Query()))
    got = row.as_json()
    assert list(got) == KEYS
    assert (got["id"], got["message"], got["to"]) == (made.deliveries[0].id, made.message.id, "Ann@Example.com")
    assert (got["accepted_at"], got["next_at"]) == ("2026-03-01T12:00:00.000Z",) * 2
    assert (got["category"], got["marks"], got["attempts"]) == (None, [], 0)


def test_a_redirected_mail_is_found_by_the_guest_it_was_meant_for(store: EngineStore) -> None:
    made = submission("test@hotel.example")
    made = replace(made, deliveries=(replace(made.deliveries[0], intended="guest@example.com"),))
    store.write_now(lambda tx: spool.accept(tx, made))
    assert found(store, Query(to="guest@example.com")) == ["test@hotel.example"]


def test_following_gives_new_and_changed_rows_once(store: EngineStore) -> None:
    first = accept(store, "a@example.com").deliveries[0].id
    seen = store.read_now(log.position)
    assert store.read_now(lambda tx: log.changed_since(tx, seen)) == ([], seen)
    accept(store, "b@example.com")
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(first), owner="one"))
    rows, seen = store.read_now(lambda tx: log.changed_since(tx, seen))
    assert [(row.to, row.status) for row in rows] == [
        ("a@example.com", Status.DELIVERED),
        ("b@example.com", Status.QUEUED),
    ]
    assert store.read_now(lambda tx: log.changed_since(tx, seen))[0] == []


def test_logging_began_with_the_first_message(store: EngineStore) -> None:
    assert store.read_now(log.first_at) is None
    accept(store, at=NOW - HOUR)
    accept(store)
    assert store.read_now(log.first_at) == NOW - HOUR
