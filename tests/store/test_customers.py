"""Which addresses are one customer's, what the log knows of a booking, and what blocks kept back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from relay.actions import CustomerIds, correspondence, customer_ids, make_customer_ids, nearest
from relay.model import Disposition, Reference, Suppression
from relay.status import Status
from relay.store import addresses, bookings, customers, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.suppressions import BlockQuery
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, submission


def _arrived(store: EngineStore, address: str, *, number: str, app: str = "hotel") -> None:
    """Mail under a customer number that arrived, so that the address is known."""
    found = (Reference(kind="customer", value=number, source="header"),)
    accept(store, address, customer=number, references=found, app=app)
    for one in claim(store, now=NOW + MINUTE):
        ended = Disposition(delivery_id=one.delivery.id, status=Status.DELIVERED, attempts=1, at=NOW + MINUTE)
        store.write_now(lambda tx, ended=ended: spool.record(tx, ended))  # type: ignore[misc]


def _accept_kind(store: EngineStore, booking: str, kind: str) -> None:
    """One mail of a kind for a booking."""
    made = submission(booking=booking)
    store.write_now(lambda tx: spool.accept(tx, replace(made, message=replace(made.message, kind=kind))))


def _block(value: str, **values: object) -> Suppression:
    block = Suppression(id=0, scope="address", value=value, reason="manual", since_at=NOW, source="manual")
    return replace(block, **values)  # type: ignore[arg-type]


def test_addresses_are_joined_by_a_correction_and_by_a_number_within_an_app(store: EngineStore) -> None:
    _arrived(store, "anna@example.com", number="C-7")
    _arrived(store, "anna@work.example", number="C-7")
    _arrived(store, "zoe@example.com", number="C-7", app="spa")
    store.write_now(lambda tx: addresses.correct(tx, "ana@example.com", "Anna@example.com", now=NOW))
    family = ["anna@example.com", "ana@example.com", "anna@work.example"]
    assert store.read_now(lambda tx: customers.family(tx, "anna@example.com")) == family
    assert store.read_now(lambda tx: customers.family(tx, "ana@example.com")) == family
    assert sorted(store.read_now(lambda tx: customers.family(tx, "anna@work.example"))) == sorted(family)
    assert store.read_now(lambda tx: customers.family(tx, "zoe@example.com")) == ["zoe@example.com"]


def test_an_address_nobody_knows_is_a_family_of_one(store: EngineStore) -> None:
    assert store.read_now(lambda tx: customers.family(tx, "x@example.com")) == ["x@example.com"]


def test_names_of_customers_are_the_same_after_a_restart_and_say_nothing(store: EngineStore) -> None:
    assert store.read_now(customer_ids) is None
    name = store.write_now(make_customer_ids).of("anna@example.com")
    again = store.read_now(customer_ids)
    assert again is not None
    assert again.of("anna@example.com") == name
    assert again.address(name) == "anna@example.com"
    assert "anna" not in name
    assert CustomerIds(b"k" * 32).address(name) is None
    for wrong in (name[:-1], name + "A", name[:-1] + ("A" if name[-1] != "A" else "B"), "", "é", "=" * 8):
        assert again.address(wrong) is None, wrong


def test_a_booking_is_known_in_any_spelling(store: EngineStore) -> None:
    found = (Reference(kind="booking", value="BK 20-931", source="pattern", rule="BK-#####"),)
    accept(store, booking="BK 20-931", references=found, phone="+358 40 1")
    (place,) = store.read_now(lambda tx: bookings.places(tx, "bk20931"))
    assert (place.value, place.source, place.rule) == ("BK 20-931", "pattern", "BK-#####")
    (about,) = store.read_now(lambda tx: bookings.about(tx, "BK-20931"))
    assert (about.phone, about.event_at, about.app) == ("+358 40 1", None, "hotel")


def test_a_slip_in_a_booking_number_is_found_near(store: EngineStore) -> None:
    for number, app in (("BK-20931", "hotel"), ("BK-20777", "hotel"), ("BK-20933", "spa")):
        accept(store, booking=number, references=(Reference(kind="booking", value=number, source="header"),), app=app)
    near = store.read_now(lambda tx: bookings.similar(tx, "BK-20913"))
    assert near[0] in {"BK-20931", "BK-20933"}
    assert store.read_now(lambda tx: bookings.similar(tx, "BK-20913", apps=["hotel"]))[0] == "BK-20931"
    assert store.read_now(lambda tx: bookings.similar(tx, "1")) == []
    assert "BK-20931" in store.read_now(lambda tx: nearest(tx, "BK-20913")).bookings


def test_kinds_are_usual_when_half_the_bookings_have_them(store: EngineStore) -> None:
    for number in range(6):
        for kind in (
            "confirmation",
            *(("reminder",) if number < 3 else ()),
            *(("cancellation",) if number == 0 else ()),
        ):
            _accept_kind(store, f"BK-{number}", kind)
    assert store.read_now(lambda tx: bookings.usual_kinds(tx, "hotel")) == ["confirmation", "reminder"]
    assert store.read_now(lambda tx: bookings.usual_kinds(tx, "spa")) == []


def test_a_block_gets_another_end_until_it_is_lifted(store: EngineStore) -> None:
    made = store.write_now(lambda tx: suppressions.block(tx, _block("anna@example.com")))
    assert made is not None
    end = NOW + 5 * HOUR
    changed = store.write_now(lambda tx: suppressions.extend(tx, made.id, until=end))
    assert changed is not None
    assert changed.until_at == end
    listed = store.read_now(lambda tx: suppressions.listed(tx, made.id))
    assert listed is not None
    assert listed.suppression.until_at == end
    store.write_now(lambda tx: suppressions.lift(tx, made.id, now=NOW, by="sari", note=""))
    assert store.write_now(lambda tx: suppressions.extend(tx, made.id, until=None)) is None
    assert store.read_now(lambda tx: suppressions.listed(tx, 999)) is None


def test_what_a_block_kept_back_is_counted(store: EngineStore) -> None:
    blocks = [_block("anna@example.com"), _block("example.org", scope="domain"), _block("quiet@example.com")]
    made = store.write_now(lambda tx: [suppressions.block(tx, one) for one in blocks])
    accept(store, "anna@example.com", "zoe@example.org", "max@example.org", at=NOW + MINUTE)
    for one in claim(store, now=NOW + MINUTE):
        assert one.blocked is not None
        ended = Disposition(delivery_id=one.delivery.id, status=Status.SUPPRESSED, attempts=0, at=NOW + MINUTE)
        store.write_now(lambda tx, ended=ended: spool.record(tx, ended))  # type: ignore[misc]
    ids = [one.id for one in made if one]
    held = store.read_now(lambda tx: suppressions.held_back(tx, ids))
    assert [held.get(one, 0) for one in ids] == [1, 2, 0]
    assert store.read_now(lambda tx: suppressions.held_back(tx, [])) == {}


def test_which_of_many_addresses_get_nothing(store: EngineStore) -> None:
    store.write_now(lambda tx: suppressions.block(tx, _block("anna@example.com")))
    store.write_now(lambda tx: suppressions.block(tx, _block("zoe@example.com", app="spa")))
    found = store.read_now(
        lambda tx: suppressions.standing_on(tx, ["anna@example.com", "zoe@example.com", "x@example.com"], now=NOW)
    )
    assert found == {"anna@example.com"}


def test_a_scope_sees_its_own_blocks_and_those_of_whom_it_writes_to(store: EngineStore) -> None:
    accept(store, "mine@example.com")
    accept(store, "theirs@example.com", app="spa")
    for block in (
        _block("mine@example.com"),
        _block("theirs@example.com"),
        _block("theirs@example.com", app="spa"),
        _block("other@example.com", app="hotel"),
        _block("example.net", scope="domain"),
    ):
        store.write_now(lambda tx, block=block: suppressions.block(tx, block))  # type: ignore[misc]
    query = BlockQuery(apps=("hotel",))
    seen = [one.suppression.value for one in store.read_now(lambda tx: suppressions.search(tx, query, now=NOW))]
    assert seen == ["example.net", "other@example.com", "mine@example.com"]
    nothing = store.read_now(lambda tx: suppressions.search(tx, BlockQuery(apps=()), now=NOW))
    assert [one.suppression.value for one in nothing] == ["example.net"]


def test_the_correspondence_has_each_mail_once_and_pages_by_key(store: EngineStore) -> None:
    for number in range(5):
        accept(store, "anna@example.com", subject=f"Mail {number}", at=NOW + number * MINUTE)
    now = NOW + timedelta(days=1)
    seen: list[str] = []
    before: int | None = None
    while True:
        page = store.read_now(
            lambda tx, before=before: correspondence(  # type: ignore[misc]
                tx, ["anna@example.com"], now=now, before=before, limit=2
            )
        )
        seen += [mail.original.subject for mail in page.mails]
        before = page.before
        if before is None:
            break
    assert seen == ["Mail 4", "Mail 3", "Mail 2", "Mail 1", "Mail 0"]
    old = store.read_now(lambda tx: correspondence(tx, ["anna@example.com"], now=NOW + timedelta(days=60)))
    assert old.mails == ()
