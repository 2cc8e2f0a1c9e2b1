"""A whole house in operation: a relay in its own processes, guests' mail servers, and Bob at the desk in a browser."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from relay.accounts import Role
from relay.actions import accounts
from relay.store import open_store
from relay.store.audit import Actor, Via
from tests.acceptance.browser import Sight, sight
from tests.support.asking import Asking, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records, Temper
from tests.support.process import ConfigFile, config_file, running

PASSWORD = "a few easy words"

GUESTS = Temper(
    name="knows its guests",
    people=(
        ("nobody*", "550 5.1.1 <{rcpt}>: no such user here"),
        ("full*", "552 5.2.2 <{rcpt}>: mailbox is full"),
        ("later*", "450 4.3.0 <{rcpt}>: please try again later"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inn:
    """A running relay with its pages, and the servers it delivers to."""

    config: ConfigFile
    asking: Asking
    server: FakeMx  #: of guest.example
    base: str

    def send(self, to: str, *, subject: str = "Your booking", name: str = "", html: str = "", **about: str) -> str:
        """Hand in a booking mail as the app does; give the id of its message."""
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["Subject"] = "Harbour Hotel <desk@hotel.example>", subject
        mail["To"] = f"{name} <{to}>" if name else to
        for field, value in about.items():
            mail[f"X-Waybill-{field.title()}"] = value
        mail.set_content("See you soon.\n")
        if html:
            mail.add_alternative(html, subtype="html")
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port) as client:
            client.ehlo()
            client.mail("desk@hotel.example")
            client.rcpt(to)
            _, answer = client.data(mail.as_bytes())
        return answer.decode().rpartition(" ")[2]

    def ended(self, message: str) -> dict[str, Any]:
        """Wait until the first delivery of a message has ended; give its row of the log."""

        def look() -> dict[str, Any] | None:
            found = self.asking.log(message)
            return found[-1] if found and found[-1]["status"] not in {"queued", "deferred"} else None

        return wait_for(look, otherwise=lambda: self.asking.log(message))

    def arrived(self) -> list[str]:
        """Give the recipients of all mail the guests' server has, in order."""
        return [to for mail in self.server.received for to in mail.recipients]


@contextlib.contextmanager
def inn(folder: Path) -> Iterator[Inn]:
    """Open it: Bob (support), Olga (operator) and Ada (admin) have accounts."""
    with open_store("sqlite:data/waybill.db", folder) as store:
        made = accounts.make_hash(PASSWORD)
        for name, role in (("bob", Role.SUPPORT), ("olga", Role.OPERATOR), ("ada", Role.ADMIN)):
            store.write_now(
                lambda tx, name=name, role=role: accounts.create_account(  # type: ignore[misc]
                    tx,
                    name,
                    role=role,
                    actor=Actor(by="root", via=Via.CLI),
                    now=datetime.now(UTC),
                    password_hash=made,
                )
            )
    with Background() as world, contextlib.ExitStack() as stack:
        server = world.enter(FakeMx(GUESTS, host="127.0.7.1"))
        world.enter(FakeMx(ACCEPTS, host="127.0.7.2", port=server.port))
        zone = {"mx.guest.example": Records(a=("127.0.7.1",)), "mx.gmail.com": Records(a=("127.0.7.2",))}
        zone |= {name: Records(mx=((10, f"mx.{name}"),)) for name in ("guest.example", "gmail.com")}
        dns = world.enter(FakeDns(zone))
        app = {"name": "hotel", "networks": ["127.0.0.0/8"], "booking_pattern": ["BK-#####"]}
        config = config_file(
            folder, mx_port=server.port, dns=dns.address, retry=("1h",), give_up_after="2d", apps=[app]
        )
        node = stack.enter_context(running(config))
        node.wait_listening([config.dashboard])
        yield Inn(config=config, asking=Asking(config.path), server=server, base=f"http://{config.dashboard}")


@contextlib.contextmanager
def at_the_desk(browser: Browser, house: Inn, name: str = "bob", *, has_scripts: bool = True) -> Iterator[Sight]:
    """Sign in as people do and stand at Home."""
    with sight(browser, house.base, has_scripts=has_scripts) as seen:
        seen.open("/")
        seen.page.get_by_label("Name").fill(name)
        seen.page.get_by_label("Password").fill(PASSWORD)
        seen.page.get_by_role("button", name="Sign in").click()
        seen.page.wait_for_url(f"{house.base}/")
        yield seen
