"""The internet of the demo: which domains there are, how their servers behave, and what must come of it.

Owns the table CASES: a sample message, the guests' domain with its DNS records and mail servers, and for each guest the
status, category and number of tries the relay must arrive at. A delivery counts as arrived only if the recipient's
server has it. `Internet` makes it real on loopback: one name server on
127.0.0.1 and one mail server per host on 127.0.1.x, all on one port, which is the relay's delivery port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from relay.demo import temper as t
from relay.demo.connections import free_port
from relay.demo.dns import NULL_MX, FakeDns, Fault, Records
from relay.demo.mx import FakeMx
from relay.demo.temper import ACCEPTS, Temper
from relay.model import Category
from relay.settings import HostPort
from relay.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How a delivery must end."""

    status: Status = Status.DELIVERED
    category: Category | None = None
    tries: int = 1  #: at least
    is_exact: bool = True  #: no more tries than that
    has_copy: bool = False  #: an answer was lost, so the recipient has it twice

    @property
    def copies(self) -> int:
        """How often the recipient's server must have taken it."""
        return (1 if self.status is Status.DELIVERED else 0) + self.has_copy

    def matches(self, *, status: str, category: str | None, tries: int, copies: int) -> bool:
        """Tell whether a delivery ended like this, by the log and by the recipient's own server."""
        is_enough = tries == self.tries if self.is_exact else tries >= self.tries
        return (status, category, copies) == (self.status, self.category, self.copies) and is_enough


ARRIVES = Expected()
ARRIVES_LATER = Expected(tries=2, is_exact=False)


def gives_up(category: Category) -> Expected:
    """Make the end of a delivery whose retries are used up."""
    return Expected(status=Status.SOFT_BOUNCED, category=category, tries=2, is_exact=False)


def ends(status: Status, category: Category) -> Expected:
    """Make the end that the first answer brings."""
    return Expected(status=status, category=category)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sample message, where it goes, and what must become of it."""

    domain: str
    server: str  #: how the receiving side behaves, in words for the table
    sample: str
    guest: str  #: name
    expected: Mapping[str, Expected]  #: part before the @ -> its end
    hosts: tuple[Temper | None, ...] = ()  #: in the order of preference; None: nothing listens there
    records: Records | None = None  #: of the domain itself, instead of MX records for `hosts`
    is_second: bool = False  #: sent once all others have ended

    @property
    def addresses(self) -> tuple[str, ...]:
        """The recipients."""
        return tuple(f"{person}@{self.domain}" for person in self.expected)

    def host_names(self) -> Iterator[tuple[str, Temper | None]]:
        """Name the mail servers."""
        for number, temper in enumerate(self.hosts, start=1):
            yield f"mx{number}.{self.domain}", temper


def _one(
    domain: str, temper: Temper, sample: str, guest: str, person: str, expected: Expected, *, server: str = ""
) -> Case:
    """Make the common case: one server, one guest."""
    return Case(
        domain=f"{domain}.example",
        server=server or temper.name,
        sample=sample,
        guest=guest,
        expected={person: expected},
        hosts=(temper,),
    )


_FULL_END = ends(Status.SOFT_BOUNCED, Category.MAILBOX_FULL)
_INVALID = ends(Status.INVALID, Category.INVALID_ADDRESS)
_NO_DOMAIN = ends(Status.HARD_BOUNCED, Category.INVALID_DOMAIN)

CASES: tuple[Case, ...] = (
    _one("accepts", ACCEPTS, "en-confirmation", "Imogen Hartley", "imogen.hartley", ARRIVES),
    _one("greylists", t.GREYLISTS, "fi-confirmation", "Aino Mäkelä", "aino.makela", ARRIVES_LATER),
    _one("encrypts", t.TLS_GOOD, "fr-confirmation", "Élodie Marchand", "elodie.marchand", ARRIVES),
    _one("broken-tls", t.TLS_BROKEN, "en-reminder", "Tobias Fenwick", "tobias", ARRIVES),
    _one("slow", t.SLOW, "fi-reminder", "Väinö Koskela", "vaino.koskela", ARRIVES),
    _one("tarpit", t.TARPIT, "fr-reminder", "Bastien Lormeau", "bastien", ARRIVES),
    _one("old-server", t.OLD, "fi-old-app", "Sanna Hyökki", "sanna.hyokki", ARRIVES),
    _one("unknown-user", t.UNKNOWN_USER, "en-confirmation", "Rupert Ashdown", "rupert.ashdwon", _INVALID),
    _one("mailbox-full", t.FULL, "fr-cancellation", "Capucine Vasseur", "capucine", _FULL_END),
    _one("full-for-now", t.FULL_FOR_NOW, "fi-cancellation", "Oskari Laine", "oskari", gives_up(Category.MAILBOX_FULL)),
    _one(
        "blocks-us",
        t.REPUTATION,
        "en-cancellation",
        "Winifred Cole",
        "winifred",
        ends(Status.SOFT_BOUNCED, Category.REPUTATION_BLOCK),
    ),
    _one(
        "spam-filter",
        t.SPAM,
        "fr-reminder",
        "Théo Garrigue",
        "theo.garrigue",
        ends(Status.SOFT_BOUNCED, Category.SPAM_CONTENT),
    ),
    _one(
        "small-mail",
        t.SMALL,
        "fi-confirmation",
        "Helmi Rautio",
        "helmi",
        ends(Status.SOFT_BOUNCED, Category.MESSAGE_TOO_LARGE),
    ),
    _one(
        "rate-limit", t.recovering(t.RATE_LIMITED, after=1), "en-reminder", "Percy Wainwright", "percy", ARRIVES_LATER
    ),
    _one(
        "lost-answer",
        t.recovering(t.DROPS_FINAL, after=1),
        "fr-confirmation",
        "Noé Belcourt",
        "noe",
        replace(ARRIVES_LATER, has_copy=True),
    ),
    _one("drops", t.DROPS_MAIL, "en-cancellation", "Mabel Thorne", "mabel.thorne", gives_up(Category.NETWORK)),
    Case(
        domain="knows-some.example",
        server=t.PARTIAL.name,
        sample="fi-reminder",
        guest="Perhe Salonen",
        expected={"eero.salonen": ARRIVES, "unknown.salonen": _INVALID},
        hosts=(t.PARTIAL,),
    ),
    Case(
        domain="few-recipients.example",
        server=t.FEW_RECIPIENTS.name,
        sample="fr-confirmation",
        guest="Les Amis du Quai",
        expected={person: replace(ARRIVES, is_exact=False) for person in ("ines", "jules", "rose", "sacha")},
        hosts=(t.FEW_RECIPIENTS,),
    ),
    Case(
        domain="second-server.example",
        server="first server dead, second accepts",
        sample="en-confirmation",
        guest="Clement Rowe",
        expected={"clement.rowe": ARRIVES},
        hosts=(None, ACCEPTS),
    ),
    Case(
        domain="closed-first.example",
        server="first server takes no mail, second accepts",
        sample="fi-confirmation",
        guest="Lempi Aaltonen",
        expected={"lempi": ARRIVES},
        hosts=(t.NO_SERVICE, ACCEPTS),
    ),
    Case(
        domain="dead.example",
        server="nothing listens",
        sample="fr-cancellation",
        guest="Maxence Doré",
        expected={"maxence": gives_up(Category.NETWORK)},
        hosts=(None,),
    ),
    Case(
        domain="no-mx-record.example",
        server="no MX record, the host itself accepts",
        sample="en-reminder",
        guest="Hester Quill",
        expected={"hester": ARRIVES},
        hosts=(ACCEPTS,),
        records=Records(),
    ),
    Case(
        domain="alias.example",
        server="domain is an alias of another",
        sample="fi-reminder",
        guest="Toivo Niskala",
        expected={"toivo": ARRIVES},
        records=Records(cname="accepts.example"),
    ),
    Case(
        domain="takes-no-mail.example",
        server="null MX",
        sample="en-confirmation",
        guest="Barnaby Pike",
        expected={"barnaby": _NO_DOMAIN},
        records=NULL_MX,
    ),
    Case(
        domain="no-such-domain.example",
        server="domain does not exist",
        sample="fr-confirmation",
        guest="Solène Aubry",
        expected={"solene.aubry": _NO_DOMAIN},
    ),
    Case(
        domain="dns-trouble.example",
        server="name server fails",
        sample="fi-cancellation",
        guest="Kerttu Ylinen",
        expected={"kerttu": gives_up(Category.DNS_FAILURE)},
        records=Records(fault=Fault.SERVFAIL),
    ),
    Case(
        domain="unknown-user.example",
        server="no such user, second message",
        sample="en-cancellation",
        guest="Rupert Ashdown",
        expected={"rupert.ashdwon": Expected(status=Status.SUPPRESSED, tries=0)},
        is_second=True,
    ),
)


class Internet:
    """The name server and all mail servers of CASES, running: `async with Internet() as internet:`."""

    def __init__(self, cases: tuple[Case, ...] = CASES) -> None:
        self.port = 0  #: of every mail server
        self.dns = FakeDns()
        self.servers: dict[str, FakeMx] = {}  #: by host name
        self._cases = cases
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.dns)
        for is_last in (False, False, False, False, True):
            self.port = free_port()
            try:
                async with AsyncExitStack() as attempt:
                    await self._start_servers(attempt)
                    self._stack.push_async_exit(attempt.pop_all())
                return self
            except OSError:  # on one of the addresses that port is somebody else's
                if is_last:
                    await self._stack.aclose()
                    raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def dns_address(self) -> HostPort:
        """Where the name server listens."""
        return self.dns.address

    def copies(self, address: str) -> int:
        """Count the messages all servers took for one recipient."""
        return sum(got.recipients.count(address) for server in self.servers.values() for got in server.received)

    async def _start_servers(self, stack: AsyncExitStack) -> None:
        self.servers.clear()
        ip_number = 0
        for case in self._cases:
            hosts: list[str] = []
            for name, temper in case.host_names():
                ip_number += 1
                ip = f"127.0.1.{ip_number}"
                if temper is not None:
                    server = FakeMx(temper, host=ip, port=self.port, hostname=name)
                    self.servers[name] = await stack.enter_async_context(server)
                self.dns.set(name, Records(a=(ip,)))
                hosts.append(ip)
            self._publish(case, hosts)

    def _publish(self, case: Case, ips: list[str]) -> None:
        if case.records == Records():  # RFC 5321 5.1: without MX records the host itself is meant
            self.dns.set(case.domain, Records(a=tuple(ips)))
        elif case.records is not None:
            self.dns.set(case.domain, case.records)
        elif case.hosts:
            names = [name for name, _ in case.host_names()]
            self.dns.set(case.domain, Records(mx=tuple((10 * n, name) for n, name in enumerate(names, start=1))))
