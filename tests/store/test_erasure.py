"""Erasing one person: nothing that says who it was is left, not even in the file; what is counted and blocked holds."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from importlib import resources
from pathlib import Path

from relay import actions
from relay.actions import Answer
from relay.classify.report_model import Report, ReportKind
from relay.model import Attempt, Event, MessageId, Refusal, Submission, Suppression
from relay.status import Status
from relay.store import (
    addresses,
    audit,
    content,
    erasure,
    events,
    filters,
    form_tokens,
    log,
    refusals,
    reports,
    saved_views,
    scrub,
    spool,
    stats,
    suppressions,
)
from relay.store.engine import EngineStore
from relay.store.erasure import ERASED, Found
from relay.store.protocols import Tx, Value
from relay.store.saved_views import SavedView
from tests.store.making import HOUR, NOW, accept, claim, disposition, outcome, reply, submission

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
    store.write_now(name_elsewhere)
    while store.write_now(lambda tx: log.index_pending(tx)):
        pass
    return made


def name_elsewhere(tx: Tx) -> None:
    """Let rows of other people, and of nobody, name the person."""
    other, text = "zoe.smith@example.com", f"it is {WHO} now"
    for kind in ("correct", "redirect", "resend"):
        events.add(tx, Event(at=NOW, kind=kind, text=text, address=other, by="bob"))
    notice: dict[str, Value] = {
        "address": other, "cause": "no-mailbox", "shown": other, "delivery_id": "d", "app": "hotel-desk", "at": NOW,
    }  # fmt: skip
    tx.run("notices.raise_new", notice)
    (row,) = tx.rows("notices.open_on", {"address": other})
    tx.run("notices.suggest", {"id": row["id"], "suggestion": WHO.title(), "at": NOW})
    tx.run("notices.close", {"id": row["id"], "state": "resolved", "at": NOW, "by": "", "note": f"sent to {WHO}"})
    suppressions.block(
        tx,
        Suppression(id=0, scope="domain", value="example.net", reason="manual", since_at=NOW, note=text, reply=text),
    )
    form_tokens.take(tx, "token", now=NOW)
    form_tokens.save(tx, "token", result=f'{{"sentence": "Queued again to {WHO}."}}')
    tx.run("redirects.insert", {
        "address": other, "new_address": WHO, "since_at": NOW, "until_at": None, "by": "bob", "note": text,
    })  # fmt: skip
    saved_views.add(tx, SavedView(name=f"Mail of {WHO}", text=f"to:{WHO.upper()}", by="bob", saved_at=NOW))
    incident: dict[str, Value] = {
        "kind": "content", "domain": "example.org", "app": "", "at": NOW, "category": "spam_content", "rule": "r",
        "reply": f"<{WHO}> wants no such mail",
    }  # fmt: skip
    tx.rows("incidents.join", incident)
    tx.run("sites.save", {
        "key": "mx.example.org", "step": 1, "until_at": NOW, "category": "rate_limited",
        "reply": f"too much for {WHO}", "updated_at": NOW,
    })  # fmt: skip
    raw = f"From: {WHO}\r\nSubject: Away\r\n\r\nZelda is away\r\n".encode()
    unknown = reports.ReturnedMail(
        id="01J00000000000000000000000", at=NOW, digest="x", report=Report(kind=ReportKind.NONE),
        packed=content.pack(raw), delivery_id=None, mail_from=WHO, subject="Away", since=NOW,
    )  # fmt: skip
    reports.take(tx, unknown)
    staff = audit.Actor(by="bob", via=audit.Via.PAGE, ip="192.0.2.9")
    for kind, what in (("address", WHO), ("address", other), ("booking", "BK-1")):
        audit.add(tx, audit.Entry(at=NOW, actor=staff, action="block", object_kind=kind, object=what, note=text))


def audited(store: EngineStore) -> list[tuple[str, str, str, str, str]]:
    rows = store.read_now(audit.search)
    return [(row.entry.actor.by, row.entry.action, *(row.entry.object, row.entry.text, row.entry.note)) for row in rows]


def test_of_what_staff_did_only_the_words_about_the_person_go(store: EngineStore) -> None:
    made = fill(store)
    staff = audit.Actor(by="bob", via=audit.Via.PAGE)
    seen = (made.message.id, made.deliveries[0].id, "01OTHER")
    for each in seen:
        entry = audit.Entry(at=NOW, actor=staff, action="read_content", object_kind="message", object=each, text="Z.")
        store.write_now(lambda tx, entry=entry: audit.add(tx, entry))  # type: ignore[misc]
    erase(store)
    assert audited(store) == [
        ("bob", "read_content", "01OTHER", "Z.", ""),
        *(("bob", "read_content", each, "", "") for each in reversed(seen[:2])),
        ("bob", "block", "BK-1", "", ""),
        ("bob", "block", "zoe.smith@example.com", "", ""),
        ("bob", "block", ERASED, "", ""),
    ]


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


def test_no_row_of_any_table_names_the_person(store: EngineStore) -> None:
    fill(store)
    assert set(tables_that_name(store)) >= TELLING, "else the test would see nothing at all"
    erase(store)
    assert tables_that_name(store) == {}


#: Tables in which an address or what was said of it may stand.
TELLING = {
    *("message", "delivery", "attempt", "reference", "event", "notice", "suppression", "redirect", "refusal"),
    *("address", "report", "incident", "site", "form_token", "saved_view"),
}


def tables_that_name(store: EngineStore) -> dict[str, str]:
    """Every table with a row that holds a trace of the person."""
    found = {}
    for table in TABLES:
        rows = store.read_now(lambda tx, table=table: tx.compose(f"SELECT * FROM {table}", {}))  # type: ignore[misc]  # noqa: S608
        text = str([[value for value in row.values() if isinstance(value, str)] for row in rows])
        if any(trace.decode() in text for trace in TRACES):
            found[table] = text
    return found


TABLES = re.findall(
    r"^CREATE TABLE (\w+)", resources.files("relay.store").joinpath("sql/schema.sqlite.sql").read_text(), re.M
)


def test_a_copy_of_a_bounce_that_was_sent_on_is_emptied(store: EngineStore) -> None:
    made = fill(store)
    copy = submission("desk@example.com", subject="Undeliverable: a booking", at=NOW)
    copy = replace(copy, message=replace(copy.message, app="returned"))
    mail = reports.ReturnedMail(
        id="01J00000000000000000000001", at=NOW, digest="y", report=Report(kind=ReportKind.BOUNCE),
        packed=content.pack(b"x"), delivery_id=made.deliveries[0].id, since=NOW, forward=copy,
    )  # fmt: skip
    assert store.write_now(lambda tx: reports.take(tx, mail)).is_forwarded
    bounce(store, copy)
    assert erase(store).is_done
    assert store.read_now(lambda tx: log.search(tx, filters.Query(words=("Undeliverable",)))) == []


def test_mail_that_still_goes_to_somebody_else_is_never_touched(store: EngineStore) -> None:
    made = accept(store, WHO, "hotel@example.com", subject="Zelda's booking")
    store.write_now(lambda tx: spool.record(tx, disposition(made.deliveries[0].id, Status.INVALID)))
    answer = erase(store)
    assert (answer.key, answer.is_done) == ("still_open", False)
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is not None
    found = Found(address=WHO, messages=(made.message.id,))
    store.write_now(lambda tx: actions.erase_some(tx, found, start=0))
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is not None, "resent meanwhile"


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
    listed = store.read_now(
        lambda tx: tx.compose("SELECT value, note, by FROM suppression WHERE scope = 'address'", {})
    )
    assert all(row["value"].startswith("erased:") and row["note"] == "" for row in listed)
    assert {row["by"] for row in listed} == {"", "bob"}


def test_the_same_persons_other_addresses_are_named_and_stay(store: EngineStore) -> None:
    fill(store)
    accept(store, "zelda@home.example", customer="C-99177", subject="Another")
    bounce(store, accept(store, "zelda@typo.example", subject="Mistyped"))
    store.write_now(
        lambda tx: tx.compose(
            "UPDATE address SET corrected_to = :who, corrected_to_key = :who WHERE address = :typo RETURNING address",
            {"who": WHO, "typo": "zelda@typo.example"},
        )
    )
    answer = erase(store)
    assert answer.is_done
    assert answer.sentence.endswith("The same customer has other addresses: zelda@home.example, zelda@typo.example.")
    assert store.read_now(lambda tx: addresses.get(tx, "zelda@typo.example")) is not None
