"""What accept keeps, and what it finds out about a mail by looking at earlier ones."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from relay.errors import StoreError
from relay.model import Reference
from relay.status import Status
from relay.store import content, log, spool
from relay.store.engine import EngineStore
from tests.store.making import HOUR, MINUTE, NOW, accept, submission


def test_everything_of_a_submission_comes_back(store: EngineStore) -> None:
    made = accept(store, "ann@example.com", "bob@example.org", booking="BK-1042", phone="+358 40 1", name="Ann Ä")
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    assert found.message == made.message
    assert [each.address for each in found.deliveries] == ["ann@example.com", "bob@example.org"]
    assert all(each.next_at == NOW and each.status is Status.QUEUED for each in found.deliveries)
    assert found.references == made.references
    assert found.has_content


def test_a_delivery_id_finds_the_same_message_in_any_case(store: EngineStore) -> None:
    made = accept(store)
    wanted = made.deliveries[0].id
    found = store.read_now(lambda tx: log.find(tx, f" {wanted.lower()} "))
    assert found is not None
    assert (found.message.id, found.delivery_id) == (made.message.id, wanted)
    assert store.read_now(lambda tx: log.find(tx, "01K0000000000000000000000X")) is None


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"short\r\n", b"repeated words " * 9000, os.urandom(50_000)],
    ids=["empty", "one byte", "short", "compressible", "random"],
)
def test_content_comes_back_byte_for_byte(store: EngineStore, raw: bytes) -> None:
    made = accept(store, content=raw)
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) == raw


def test_only_content_that_shrinks_is_compressed() -> None:
    assert content.pack(b"again and again " * 5000).encoding == "zlib"
    assert content.pack(os.urandom(50_000)).encoding == "identity"


def test_content_packed_beforehand_is_stored_as_packed(store: EngineStore) -> None:
    made = submission(content=b"again and again " * 5000)
    packed = spool.pack(made.content)
    store.write_now(lambda tx: spool.accept(tx, made, packed=packed))
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) == made.content


def test_missing_content_is_none(store: EngineStore) -> None:
    assert store.read_now(lambda tx: spool.load_content(tx, submission().message.id)) is None


def test_a_resend_may_have_its_own_content(store: EngineStore) -> None:
    made = accept(store)
    copy = submission(at=NOW + HOUR).deliveries[0]
    first = made.deliveries[0].id
    copy = replace(copy, message_id=made.message.id, resend_of=first, form="plain", by="alice")
    store.write_now(lambda tx: spool.add_delivery(tx, copy, changed_content=b"plain"))
    load = spool.load_content
    assert store.read_now(lambda tx: load(tx, made.message.id, delivery_id=copy.id)) == b"plain"
    assert store.read_now(lambda tx: load(tx, made.message.id, delivery_id=first)) == made.content
    found = store.read_now(lambda tx: log.find(tx, copy.id))
    assert found is not None
    assert [(each.resend_of, each.form, each.by) for each in found.deliveries] == [
        (None, "full", None),
        (first, "plain", "alice"),
    ]


@pytest.mark.parametrize(
    ("app", "later", "is_duplicate"),
    [
        ("hotel", MINUTE, True),
        ("hotel", timedelta(days=7), True),
        ("hotel", timedelta(days=7, seconds=1), False),
        ("spa", MINUTE, False),
    ],
)
def test_the_same_message_id_of_the_same_app_within_a_week_is_a_duplicate(
    store: EngineStore, app: str, later: timedelta, is_duplicate: bool
) -> None:
    first = accept(store, message_id="<1@hotel.example>")
    second = accept(store, message_id="<1@hotel.example>", app=app, at=NOW + later)
    found = store.read_now(lambda tx: log.find(tx, second.message.id))
    assert found is not None
    assert found.message.duplicate_of == (first.message.id if is_duplicate else None)


def test_mails_without_message_id_are_no_duplicates(store: EngineStore) -> None:
    accept(store)
    found = store.read_now(lambda tx: log.search(tx, log.Query()))
    assert found[0].duplicate_of is None


def test_a_follow_up_inherits_the_booking_of_its_thread_when_it_is_unique(store: EngineStore) -> None:
    accept(store, message_id="<1@hotel.example>", booking="BK-1")
    accept(store, message_id="<2@hotel.example>", booking="BK-2")
    one = Reference(kind="thread", value="<1@hotel.example>", source="thread")
    two = Reference(kind="thread", value="<2@hotel.example>", source="thread")
    for references, want in [((one,), "BK-1"), ((one, two), None)]:
        made = accept(store, references=references)
        found = store.read_now(lambda tx, made=made: log.find(tx, made.message.id))  # type: ignore[misc]
        assert found is not None
        assert found.message.booking == want


def test_a_failed_accept_leaves_nothing(store: EngineStore) -> None:
    made = accept(store)
    again = submission("someone@else.example")
    broken = type(again)(message=again.message, content=b"", deliveries=(*again.deliveries, made.deliveries[0]))
    with pytest.raises(StoreError):
        store.write_now(lambda tx: spool.accept(tx, broken))
    assert store.read_now(lambda tx: log.find(tx, again.message.id)) is None
    assert store.is_healthy
