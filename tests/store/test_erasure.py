"""Erasing one person: nothing that says who it was is left, not even in the file; what is counted and blocked holds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from relay import actions
from relay.actions import Answer
from relay.model import Attempt, Event, MessageId, Refusal, Submission, Suppression
from relay.status import Status
from relay.store import addresses, erasure, events, filters, log, refusals, scrub, spool, stats, suppressions
from relay.store.engine import EngineStore
from relay.store.erasure import ERASED, Found
from tests.store.making import HOUR, NOW, accept, claim, disposition, outcome, reply

#: Anything of the person that must not be found afterwards, in a spelling that occurs nowhere else.
WHO = "zelda.quux@example.org"
NAME = "Zelda Quuxington"
TRACES = (b"zelda", b"Zelda", b"Quux", b"quux", b"BK-77331", b"+15550199", b"C-99177")


def bounce(store: EngineStore, made: Submission, *, status: Status = Status.INVALID) -> None:
    for each in claim(store):
        said = reply(550, f"5.1.1 <{each.delivery.address}>: no such user", enhanced="5.1.1")
        result = disposition(each.delivery.id, status, said=said, reading=outcome(suppress=True))
        tried: Attempt = replace(result.attempt_rows[0], conversation=f"C: RCPT TO:<{each.delivery.address}>\nS: 550")
        store.write_now(partial(spool.record, disposition=replace(result, attempt_rows=(tried,)), owner="one"))


def fill(store: EngineStore) -> Submission:
    """One message to the person that bounced and blocked, with traces in every table, and one to somebody else."""
    content = f"To: {NAME} <{WHO}>\r\nSubject: Zelda's booking BK-77331\r\n\r\nDear Zelda\r\n".encode()
    made = accept(
        store, WHO, subject="Zelda's booking", booking="BK-77331", phone="+15550199", customer="C-99177", name=NAME,
        message_id="<zelda@hotel.example>", content=content,
    )  # fmt: skip
    bounce(store, made)
    accept(store, "other@example.com", subject="Unrelated")
    store.write_now(
        lambda tx: events.add(tx, Event(at=NOW, kind="unblock", text="Zelda called", address=WHO, by="bob"))
    )
    seen = Refusal(
        at=NOW, listener="l", client_ip="127.0.0.1", stage="rcpt", code=550, enhanced="5.7.1",
        text=f"{WHO} refused", reason="relay", rcpt_to=WHO,
    )  # fmt: skip
    store.write_now(lambda tx: refusals.add_all(tx, [seen]))
    while store.write_now(lambda tx: log.index_pending(tx)):
        pass
    return made


def erase(store: EngineStore, who: str = WHO) -> Answer:
    found = store.read_now(lambda tx: actions.look_for_person(tx, who))
    if isinstance(found, Answer):
        return found
    place: int | None = 0
    while place is not None:
        place = store.write_now(partial(actions.erase_some, found=found, start=place))
    return store.write_now(lambda tx: actions.erase_person(tx, found, by="alice", now=NOW + HOUR))


def test_no_trace_is_left_and_others_are_untouched(store: EngineStore) -> None:
    made = fill(store)
    before = store.read_now(lambda tx: actions.export_person(tx, WHO))
    assert before is not None
    assert all(trace.decode() in str(before) for trace in TRACES)
    answer = erase(store)
    assert (answer.key, answer.count) == ("done", 1)
    assert store.read_now(lambda tx: actions.export_person(tx, WHO)) is None
    assert store.read_now(lambda tx: log.search(tx, filters.Query(words=("quux",)))) == []
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is None
    rows = store.read_now(lambda tx: log.search(tx, filters.Query()))
    assert [(row.to, row.subject, row.status) for row in rows] == [
        ("other@example.com", "Unrelated", Status.QUEUED),
        (ERASED, "", Status.INVALID),
    ]
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    shown = f"{found.message} {found.deliveries} {found.attempts} {found.events} {found.references}"
    assert [trace for trace in TRACES if trace.decode() in shown] == []


def test_nothing_can_be_read_in_the_file_afterwards(store: EngineStore, database: Path, tmp_path: Path) -> None:
    fill(store)
    assert all(trace in everything(database) for trace in TRACES), "else the test would see nothing at all"
    erase(store)
    assert scrub(f"sqlite:{database}", tmp_path)
    assert [trace for trace in TRACES if trace in everything(database)] == []


def everything(database: Path) -> bytes:
    return b"".join(path.read_bytes() for path in database.parent.iterdir() if path.name.startswith(database.name))


def test_the_counts_of_the_past_stay_right(store: EngineStore) -> None:
    fill(store)
    before = counts(store)
    erase(store)
    assert counts(store) == before


def counts(store: EngineStore) -> list[object]:
    asked = (stats.by_status, stats.by_category, stats.by_app, stats.delivery_rate)
    return [store.read_now(partial(ask, since=NOW - HOUR)) for ask in asked]


def test_a_block_and_the_counter_hold_when_the_address_comes_back(store: EngineStore) -> None:
    fill(store)
    erase(store)
    assert store.read_now(lambda tx: addresses.get(tx, WHO)) is None
    accept(store, WHO.upper(), subject="Again")
    (back,) = [each for each in claim(store, owner="two") if each.message.subject == "Again"]
    assert back.blocked is not None
    assert (back.blocked.reason, back.blocked.value) == ("invalid_address", WHO)
    known = store.read_now(lambda tx: addresses.get(tx, WHO))
    assert known is not None
    assert known.error_count == 1


def test_mail_that_has_not_ended_is_never_touched(store: EngineStore) -> None:
    made = accept(store, WHO)
    answer = erase(store)
    assert (answer.key, answer.is_done) == ("still_open", False)
    assert "1 mail" in answer.sentence
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is not None


def test_mail_that_came_while_erasing_stops_the_last_step(store: EngineStore) -> None:
    fill(store)
    found = store.read_now(lambda tx: actions.look_for_person(tx, WHO))
    assert isinstance(found, Found)
    store.write_now(lambda tx: actions.erase_some(tx, found, start=0))
    accept(store, WHO)
    answer = store.write_now(lambda tx: actions.erase_person(tx, found, by="alice", now=NOW))
    assert answer.key == "still_open"


def test_other_recipients_of_the_same_mail_keep_their_row(store: EngineStore) -> None:
    made = accept(store, WHO, "hotel@example.com", subject="Zelda's booking")
    bounce(store, made)
    erase(store)
    rows = store.read_now(lambda tx: log.search(tx, filters.Query()))
    assert {row.to for row in rows} == {ERASED, "hotel@example.com"}
    assert {row.subject for row in rows} == {""}


def test_who_only_wrote_is_erased_too(store: EngineStore) -> None:
    made = accept(store, "desk@example.com")
    store.write_now(
        lambda tx: tx.compose(
            "UPDATE message SET reply_to = :who, header_from = :who WHERE id = :id RETURNING id",
            {"who": f"Zelda <{WHO}>", "id": made.message.id},
        )
    )
    bounce(store, made)
    found = store.read_now(lambda tx: erasure.look(tx, WHO))
    assert found.messages == (MessageId(made.message.id),)
    erase(store)
    assert store.read_now(lambda tx: erasure.look(tx, WHO)).messages == ()


def test_a_block_by_hand_stays_under_the_hash(store: EngineStore) -> None:
    fill(store)
    by_hand = Suppression(
        id=0, scope="address", value=WHO, reason="manual", source="manual", by="bob", note="Zelda asked", since_at=NOW
    )
    store.write_now(lambda tx: suppressions.block(tx, by_hand))
    erase(store)
    listed = store.read_now(lambda tx: tx.compose("SELECT value, note, by FROM suppression", {}))
    assert all(row["value"].startswith("erased:") and row["note"] == "" for row in listed)
    assert {row["by"] for row in listed} == {"", "bob"}
