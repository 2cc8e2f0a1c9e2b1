"""`python -m bench.million FOLDER`: fill a store with years of booking mail, so that pages can be timed on it.

Names, addresses, subjects in five languages, bookings, five apps and 400 days; every category, attempts for what
failed, notices, blocks and marks. The same seed gives the same mail. Rows are written through the store's own
statements, thousands in one transaction, without contents; the search index is filled as the delivery process does it.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from relay.address import address_key
from relay.model import (
    Attempt,
    Blame,
    Category,
    Delivery,
    DeliveryId,
    Message,
    MessageId,
    Outcome,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.status import FAILED, OPEN, Status
from relay.store import log, open_store, rows
from relay.store.engine import EngineStore
from relay.store.protocols import Tx, Value
from relay.store.text import reference_key

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
_DAYS = 400
_BATCH = 5_000

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_APPS = (("hotel", "BK-{:06d}", 50), ("spa", "RES {:06d}", 20), ("tours", "T{:07d}", 15), ("school", "KURS-{:06d}", 14))
_RARE_APP = ("club", "C/{:06d}", 1)

#: First names, surnames, subjects by kind, and the big domains of each language.
_PEOPLE: dict[str, tuple[str, str, tuple[str, str, str, str], str]] = {
    "fi": (
        "Sari Matti Anna Jukka Päivi Timo Elina Antti Kaisa Mikko Leena Ville",
        "Virtanen Korhonen Mäkinen Nieminen Mäkelä Hämäläinen Laine Heikkinen Koskinen Järvinen Salmela Öhman",
        ("Varausvahvistus {}", "Muistutus varauksesta {}", "Varauksen {} muutos", "Lasku varauksesta {}"),
        "gmail.com luukku.com hotmail.com kolumbus.fi elisanet.fi",
    ),
    "fr": (
        "Jean Marie Pierre Camille Hélène Luc Chloé Antoine Zoé René Lucie Étienne",
        "Dubois Martin Bernard Lefèvre Moreau Laurent Girard Rousseau Fournier Mercier Garnier Chevalier",
        ("Confirmation de réservation {}", "Rappel : votre réservation {}", "Modification {}", "Facture {}"),
        "gmail.com orange.fr free.fr wanadoo.fr laposte.net",
    ),
    "nl": (
        "Jan Sanne Pieter Lotte Daan Femke Bram Anouk Thijs Iris Joost Maaike",
        "Jansen Vries Berg Bakker Visser Smit Meijer Mulder Dekker Brouwer Dijkstra Kuipers",
        ("Bevestiging van reservering {}", "Herinnering: reservering {}", "Wijziging {}", "Factuur {}"),
        "gmail.com ziggo.nl kpnmail.nl hotmail.com xs4all.nl",
    ),
    "de": (
        "Hans Greta Jürgen Ursula Björn Anke Uwe Heike Lukas Jörg Birgit Käthe",
        "Müller Schmidt Schneider Fischer Weber Schäfer Koch Bauer Richter Krüger Vogel Götz",
        ("Buchungsbestätigung {}", "Erinnerung an Ihre Buchung {}", "Änderung {}", "Rechnung zu {}"),
        "gmail.com t-online.de gmx.de web.de outlook.com",
    ),
    "en": (
        "John Emma Oliver Grace Harry Alice George Lucy Jack Ruby Oscar Nora",
        "Smith Jones Taylor Brown Williams Wilson Evans Thomas Roberts Walker Wright Hughes",
        ("Booking confirmation {}", "Reminder: your booking {}", "Change to booking {}", "Invoice for {}"),
        "gmail.com outlook.com yahoo.com icloud.com btinternet.com",
    ),
}
_KINDS = ("confirmation", "reminder", "change", "invoice")

#: How deliveries end, in a thousand.
_ENDS = (
    *((Status.DELIVERED, 940), (Status.INVALID, 14), (Status.SOFT_BOUNCED, 16), (Status.HARD_BOUNCED, 9)),
    *((Status.REJECTED, 2), (Status.SUPPRESSED, 10), (Status.CANCELLED, 1), (Status.SENT, 8)),
)
_CATEGORIES = {
    Status.INVALID: (Category.INVALID_ADDRESS,),
    Status.HARD_BOUNCED: (Category.INVALID_DOMAIN, Category.MAILBOX_DISABLED, Category.MOVED),
    Status.REJECTED: (Category.AUTH_FAILURE, Category.SENDER_REJECTED),
    Status.DEFERRED: (Category.GREYLISTED, Category.RATE_LIMITED, Category.NETWORK),
}


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who books."""

    name: str
    address: str
    key: str
    domain: str
    language: str
    number: str


@dataclass(slots=True)
class Batch:
    """The rows of some deliveries, by the statement that writes them."""

    rows: dict[str, list[dict[str, Value]]] = field(default_factory=dict)

    def add(self, statement: str, params: dict[str, Value]) -> None:
        self.rows.setdefault(statement, []).append(params)


class Town:
    """Customers and what is sent to them, from one seed."""

    def __init__(self, seed: int, count: int) -> None:
        self._random = random.Random(seed)
        self._count = count
        self._languages = list(_PEOPLE)
        self._failures: dict[Status, int] = {}  #: so far: each reason has its turn
        self.customers = [self._customer(number) for number in range(max(1, count // 6))]
        self._apps = (*_APPS, _RARE_APP)
        self._weights = [weight for _, _, weight in self._apps]

    def _customer(self, number: int) -> Customer:
        pick = self._random
        language = pick.choice(self._languages)
        first_names, surnames, _, domains = _PEOPLE[language]
        first, last = pick.choice(first_names.split()), pick.choice(surnames.split())
        if pick.random() < 0.3:  # rarer names, as everywhere
            last = f"{last}{pick.choice(('son', 'ski', 'berg', 'nen', 'mann'))}"
        domain = pick.choice(domains.split()) if pick.random() < 0.9 else f"firm{pick.randrange(4000)}.example"
        plain = f"{first}.{last}".lower().translate(str.maketrans("äöüéèêëÉ", "aoueeeee"))
        address = f"{plain}{number if pick.random() < 0.8 else ''}@{domain}"
        return Customer(f"{first} {last}", address, address_key(address), domain, language, f"K{number:07d}")

    def batches(self) -> Iterator[Batch]:
        """All mail, oldest first."""
        batch = Batch()
        for number in range(self._count):
            self._deliver(batch, number)
            if (number + 1) % _BATCH == 0:
                yield batch
                batch = Batch()
        yield batch

    def _deliver(self, batch: Batch, number: int) -> None:
        pick = self._random
        at = NOW - timedelta(days=_DAYS) * (1 - (number + 1) / self._count)
        who = self.customers[int(pick.random() ** 2 * len(self.customers))]
        app, picture, _ = pick.choices(self._apps, self._weights)[0]
        kind = pick.randrange(4)
        booking = picture.format(number // 3)
        message = Message(
            id=MessageId(self._id(at)), accepted_at=at, app=app, mail_from=f"desk@{app}.example",
            header_from=f"desk@{app}.example", from_name=f"{app.capitalize()} desk",
            subject=_PEOPLE[who.language][2][kind].format(booking), message_id=f"<{number:x}.{app}@{app}.example>",
            size=8000, kind=_KINDS[kind], booking=booking, customer=who.number, listener="127.0.0.1:25",
            client_ip="127.0.0.1",
        )  # fmt: skip
        delivery = self._fate(message, who, at)
        batch.add("spool.insert_message", rows.message_params(message))
        batch.add("spool.insert_delivery", rows.delivery_params(delivery, address_key=who.key))
        for name, value in (("booking", booking), ("customer", who.number)):
            found = {"kind": name, "value": value, "value_key": reference_key(value), "source": "header", "rule": ""}
            batch.add("spool.insert_reference", {"message_id": message.id, "confidence": 100, **found})
        self._consequences(batch, delivery, who, app)

    def _fate(self, message: Message, who: Customer, at: datetime) -> Delivery:
        pick = self._random
        status = pick.choices([status for status, _ in _ENDS], [weight for _, weight in _ENDS])[0]
        age = NOW - at
        if age < timedelta(minutes=5):
            status = Status.QUEUED
        elif age < timedelta(days=2) and status in FAILED:
            status = Status.DEFERRED
        category = None
        if status in FAILED or status is Status.DEFERRED:
            known = _CATEGORIES.get(status, tuple(Category))
            self._failures[status] = turn = self._failures.get(status, 0) + 1
            category = known[turn % len(known)]
        marks = (("opened", "clicked") if pick.random() < 0.2 else ("opened",)) if pick.random() < 0.3 else ()
        if status is Status.DELIVERED and pick.random() < 0.001:
            marks = (*marks, "spam")
        is_tried = status not in (Status.QUEUED, Status.SUPPRESSED)
        code = (250 if category is None else 450 if status in OPEN else 550) if is_tried else None
        return Delivery(
            id=DeliveryId(self._id(at)), message_id=message.id, address=who.address, domain=who.domain, status=status,
            created_at=at, name=who.name, category=category, blame=Blame.RECIPIENT if category else None,
            rule="bench" if category else None, attempts=int(is_tried), code=code,
            reply="so the server said" if is_tried else None, mx=f"mx.{who.domain}" if is_tried else None,
            next_at=NOW + timedelta(minutes=9) if status in OPEN else None,
            delivered_at=at + timedelta(seconds=3) if status is Status.DELIVERED else None,
            ended_at=None if status in OPEN else at + timedelta(seconds=3),
            marks=marks if status is Status.DELIVERED else (),
        )  # fmt: skip

    def _consequences(self, batch: Batch, delivery: Delivery, who: Customer, app: str) -> None:
        """What an end leaves behind: attempts, the address's own row, notices, blocks."""
        at, category = delivery.created_at, delivery.category
        if category is not None:
            batch.add("record.insert_attempt", rows.attempt_params(_attempt(delivery, category)))
        known: dict[str, Value] = {
            "address": who.key, "shown": who.address, "added": int(category is not None), "last_category": category,
            "last_error_at": at if category else None, "last_reply": "no" if category else None, "name": who.name,
            "last_delivery_id": delivery.id if category else None, "last_delivered_at": delivery.delivered_at,
            "phone": None, "customer": who.number,
        }  # fmt: skip
        batch.add("record.save_address", known)
        if delivery.status in FAILED:
            raised: dict[str, Value] = {"address": who.key, "cause": "no-mailbox", "shown": who.address, "at": at}
            batch.add("notices.raise_new", {**raised, "delivery_id": delivery.id, "app": app})
        if delivery.status is Status.INVALID:
            block = Suppression(
                id=0, scope="address", value=who.key, reason="invalid_address", since_at=at, category=category,
                delivery_id=delivery.id,
            )  # fmt: skip
            batch.add("suppressions.add", rows.suppression_params(block))

    def _id(self, at: datetime) -> str:
        value = (int(at.timestamp() * 1000) << 80) | self._random.getrandbits(80)
        return "".join(_LETTERS[value >> shift & 31] for shift in range(125, -1, -5))


def _attempt(delivery: Delivery, category: Category) -> Attempt:
    reply = Reply(stage=Stage.RCPT, code=delivery.code, enhanced=None, text="so the server said", host=delivery.mx)
    reading = Outcome(reply_class=ReplyClass.HARD, category=category, blame=Blame.RECIPIENT, rule="bench")
    took = timedelta(milliseconds=800)
    tried = Attempt(delivery_id=delivery.id, number=1, started_at=delivery.created_at, took=took, reply=reply)
    return replace(tried, mx=delivery.mx, outcome=reading)


def fill(store: EngineStore, count: int, *, seed: int = 1) -> None:
    """Fill an empty store with so many deliveries, and index them."""
    for batch in Town(seed, count).batches():
        store.write_now(lambda tx, batch=batch: _write(tx, batch))  # type: ignore[misc]
    while store.write_now(lambda tx: log.index_pending(tx, limit=_BATCH)):
        pass


def _write(tx: Tx, batch: Batch) -> None:
    for statement, params in batch.rows.items():
        tx.many(statement, params)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--count", default=1_000_000, show_default=True, help="How many deliveries.")
@click.option("--seed", default=1, show_default=True, help="Another seed, other mail.")
def main(folder: Path, count: int, seed: int) -> None:
    """Fill the store FOLDER/data/waybill.db, which must not be there yet."""
    if (folder / "data" / "waybill.db").exists():
        click.echo("There is a store already.", err=True)
        sys.exit(2)
    begun = time.monotonic()
    with open_store("sqlite:data/waybill.db", folder) as store:
        fill(store, count, seed=seed)
    size = (folder / "data" / "waybill.db").stat().st_size / 1024**2
    click.echo(f"{count} deliveries in {time.monotonic() - begun:.0f} s, {size:.0f} MiB")


if __name__ == "__main__":
    main()
