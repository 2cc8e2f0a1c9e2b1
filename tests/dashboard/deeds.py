"""What people and the relay do in a full house, so that every page has something of ours to say.

Done through the actions and the store's own units, as pages and command line do it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay import actions, doctor
from relay.accounts import Role
from relay.actions import Wanted, accounts
from relay.doctor import Examination, Finding
from relay.doctor.answer import Answer, Said
from relay.doctor.blocklists import ListingFacts, check_listing
from relay.doctor.dmarc import Dmarc
from relay.doctor.dns_sender import SenderFacts, Sent, check_alignment, check_bulk, check_dmarc
from relay.doctor.identity import SourceFacts, check_identity
from relay.doctor.local import ClockFacts, DiskFacts, FolderFacts, check_clock, check_disk, check_folder, store_fault
from relay.doctor.reach import Ended, ReachFacts, check_nothing_probed, check_reach
from relay.doctor.sender_dkim import check_unsigned
from relay.doctor.sender_spf import SpfFacts, check_spf
from relay.settings import HostPort, Rate
from relay.store import notices
from relay.store.audit import Actor, Via
from relay.store.filters import Selection
from relay.store.protocols import Store, Tx
from relay.wording import say
from tests.acceptance.seed import Seeded

#: What somebody typed: no word of any language that pages speak.
NOTE = "zzz 4711"

_BY = "root"


def do_everything(store: Store, seeded: Seeded) -> None:
    """Leave a trace of every kind of deed."""
    now = datetime.now(UTC)
    for deed in (_blocks, _customers, _steering, _to_dos, _people):
        store.write_now(lambda tx, deed=deed: deed(tx, seeded, now))  # type: ignore[misc]
    store.write_now(lambda tx: doctor.save(tx, Examination(at=now, findings=tuple(findings()))))
    one = Examination(at=now, findings=tuple(findings()), fault=say("The check took too long and was stopped."))
    store.write_now(lambda tx: doctor.save(tx, one, domain="hotel.example"))


def _blocks(tx: Tx, seeded: Seeded, now: datetime) -> None:
    later = now + timedelta(days=3)
    actions.block(tx, "olivia@letters.example", by=_BY, now=now, note=NOTE, until=later, app="hotel")
    actions.unblock(tx, "olivia@letters.example", by=_BY, now=now, note=NOTE, app="hotel")
    actions.block(tx, "olivia@letters.example", by=_BY, now=now, app="spa")
    actions.block(tx, "@nowhere.example", by=_BY, now=now, note=NOTE)
    actions.reset(tx, "guest0@posti.example", by=_BY, now=now)


def _customers(tx: Tx, seeded: Seeded, now: datetime) -> None:
    later = now + timedelta(days=3)
    actions.redirect(tx, "olivia@letters.example", "olivia@other.example", by=_BY, now=now, until=later, note=NOTE)
    actions.end_redirect(tx, "olivia@letters.example", by=_BY, now=now)
    found = actions.plan_correction(tx, "anneke@postbus.example", "anneke@other.example", now=now, since=now)
    assert not isinstance(found, actions.Answer)
    actions.correct(tx, found, by=_BY, now=now)
    actions.set_booking(tx, seeded.delivered, "BK-77777", by=_BY, now=now)
    for wanted, form in ((seeded.delivered, "plain"), (seeded.blocked_id, "full"), (seeded.unknown, "full")):
        plan = actions.plan_resend(tx, wanted, by=_BY, now=now, hostname="relay.example.org", form=form)
        assert not isinstance(plan, actions.Answer), plan
        actions.resend(tx, plan)


def _steering(tx: Tx, seeded: Seeded, now: datetime) -> None:
    actions.hold(tx, Selection(ids=(seeded.deferred,)), by=_BY, now=now, note=NOTE)
    actions.release(tx, Selection(ids=(seeded.deferred,)), by=_BY, now=now)
    actions.flush(tx, Selection(ids=(seeded.deferred,)), by=_BY, now=now)
    actions.pause(tx, "domain", "posti.example", by=_BY, now=now, note=NOTE)
    actions.pause(tx, "all", "", by=_BY, now=now, note=NOTE, until=now + timedelta(hours=1))
    actions.slow(tx, "site", "mx1.posti.example", Rate(5, timedelta(minutes=1)), by=_BY, now=now, note=NOTE)
    actions.reroute(tx, "app", "hotel", HostPort("192.0.2.9", 25), by=_BY, now=now, note=NOTE)


def _to_dos(tx: Tx, seeded: Seeded, now: datetime) -> None:
    open_ones = [one.id for one in notices.search(tx, limit=10)]
    assert len(open_ones) >= 4
    first, second, third, fourth = ((each,) for each in open_ones[:4])
    actions.resolve_notices(tx, Wanted(ids=first), by=_BY, now=now, note=NOTE)
    actions.reopen_notices(tx, Wanted(ids=first), by=_BY, now=now)
    actions.clear_notices(tx, Wanted(ids=second), by=_BY, now=now)
    actions.assign_notices(tx, Wanted(ids=third), to="bob", by=_BY, now=now)
    actions.note_notices(tx, Wanted(ids=fourth), note=NOTE, by=_BY, now=now)


def _people(tx: Tx, seeded: Seeded, now: datetime) -> None:
    root = Actor(by=_BY, via=Via.CLI)
    accounts.create_account(tx, "zoe", role=Role.SUPPORT, apps=("hotel",), may_read_content=False, actor=root, now=now)
    accounts.change_account(tx, "zoe", role=Role.OPERATOR, actor=root, now=now)
    accounts.add_token(tx, "zed", role=Role.VIEWER, apps=("hotel",), actor=root, now=now)


def findings() -> list[Finding]:
    """What the doctor finds where nothing is right."""
    missing, failed = Answer(Said.NXDOMAIN), Answer(Said.FAILED, why=say("no answer"))
    found = [check_listing(ListingFacts(ip="192.0.2.1", zone="list.example", answer=one)) for one in (missing, failed)]
    dmarc = Dmarc(domain="hotel.example", failure="")
    sender = SenderFacts(domain="hotel.example", dmarc=dmarc, sent=(Sent(envelope="x.example"),), spf={}, keys=())
    found += [check_dmarc(sender), *check_alignment(sender), check_bulk(sender, has_ptr=False, has_tls=True)]
    source = SourceFacts(ip="192.0.2.1", ehlo="relay.example.org", ptr=missing, ehlo_addresses=missing)
    found += [*check_identity(source), check_unsigned("hotel.example", signed_by=frozenset())]
    found += [check_spf(SpfFacts(domain="hotel.example", by_ip=()))]
    found += [check_folder(FolderFacts(path="/data", mode=mode)) for mode in (None, 0o777)]
    found += [check_clock(ClockFacts(other="mx.example:25", ahead=timedelta(minutes=9)))]
    found += [check_disk(DiskFacts(folder="/data", free=10, reserve=20, is_shared=True)), store_fault("xx")]
    ends = [(ended, ReachFacts(source="IPv4", version=4, target="mx.example:25", ended=ended)) for ended in Ended]
    return found + [check_nothing_probed()] + [check_reach(facts, is_online=True) for _, facts in ends]
