"""The configuration as frozen, checked objects; config.py reads the file into them.

Every key, its unit and its default stand here once and in config.example.toml once; tests/test_docs.py compares them.
Durations are written "30s", "5m", "2h", "5d"; sizes "25MiB"; addresses "host:port" or "[v6]:port".
Secrets come from files (`*_file`, or "credential:NAME" for systemd credentials), never from the environment.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from relay.address import to_a_label, validate
from relay.dashboard_settings import Dashboard as Dashboard
from relay.errors import Refused
from relay.oidc_settings import Oidc as Oidc
from relay.setting_values import NO_HASH as NO_HASH
from relay.setting_values import SECTION
from relay.setting_values import Address as Address
from relay.setting_values import BookingUrl as BookingUrl
from relay.setting_values import Deadline as Deadline
from relay.setting_values import Duration as Duration
from relay.setting_values import HostPort as HostPort
from relay.setting_values import Keep as Keep
from relay.setting_values import Network as Network
from relay.setting_values import Rate as Rate
from relay.setting_values import RateValue as RateValue
from relay.setting_values import Size as Size
from relay.setting_values import is_password_hash as is_password_hash
from relay.setting_values import parse_address as parse_address
from relay.setting_values import parse_duration as parse_duration
from relay.setting_values import parse_rate as parse_rate


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values never change."""

    model_config = SECTION


class Node(Section):
    #: Our name in greeting, EHLO and Received; "" = this machine's own host name.
    hostname: str = ""
    #: Where the store, keys and locks live; relative to the configuration file's folder.
    data_dir: Path = Path("data")


class StoreSettings(Section):
    #: "sqlite:PATH", relative paths relative to the configuration file's folder; or "postgresql://USER@HOST/DATABASE".
    url: str = "sqlite:data/waybill.db"


class IntakeSettings(Section):
    #: How many intake processes share the listeners.
    workers: int = Field(1, ge=1, le=64)
    #: Connections at one time over all listeners, per process.
    max_connections: int = Field(1000, ge=1)
    #: Bytes of message content being received or committed at one time, per process; above it clients wait.
    memory: Size = 256 * 1024**2
    #: Refuse new mail (452) when the store's disk has less than this free; at least 16MiB, which deliveries go on with.
    min_free_space: Size = 512 * 1024**2
    #: A session that says nothing is closed after this (RFC 5321 asks for at least 5 minutes).
    timeout: Duration = timedelta(minutes=5)
    #: The longest one message may take to arrive.
    data_timeout: Duration = timedelta(minutes=30)
    #: Failed passwords from one IP within 10 minutes before it has to wait.
    auth_failures: int = Field(10, ge=1)

    @field_validator("min_free_space")
    @classmethod
    def _reserve(cls, value: int) -> int:
        if value < 16 * 1024**2:
            raise ValueError("at least 16MiB: deliveries go on with it when the disk is full")
        return value


class Listener(Section):
    address: Address
    #: submission: mail from apps; returned: only what comes back to our return paths, from anybody, without a login.
    kind: Literal["submission", "returned"] = "submission"
    tls: Literal["none", "starttls", "implicit"] = "none"
    tls_min: Literal["1.0", "1.1", "1.2", "1.3"] = "1.2"
    #: Allow AUTH in clear; only on loopback or private addresses.
    auth_without_tls: bool = False
    cert_file: Path | None = None  #: None: a self-signed certificate made at first start
    key_file: Path | None = None
    #: What to do with bare LF or CR in the content: mend it, refuse it, or (legacy) also end the mail at LF.LF.
    bare_newline: Literal["normalize", "reject", "legacy"] = "normalize"
    #: The real client address comes in a PROXY v1/v2 header from these networks.
    proxy_protocol: list[Network] = []

    @field_validator("proxy_protocol", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return (
            [ip_network(v, strict=False) if isinstance(v, str) else v for v in value]
            if isinstance(value, list)
            else value
        )

    @model_validator(mode="after")
    def _auth_in_clear_is_private(self) -> Listener:
        if self.auth_without_tls and self.kind == "returned":
            raise ValueError('nobody logs in where kind = "returned"; remove auth_without_tls')
        if self.auth_without_tls and not is_private_host(self.address.host):
            raise ValueError("auth_without_tls is only allowed on a loopback or private address")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


def is_private_host(host: str) -> bool:
    """Tell whether only this machine or a private network reaches a listener there."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return not address.is_unspecified and (address.is_private or address.is_loopback)


class Limits(Section):
    size: Size = 25 * 1024**2  #: of one message
    recipients: int = Field(1000, ge=1)  #: of one message
    connections: int = Field(100, ge=1)  #: at one time from one of the app's networks
    rate: RateValue | None = None  #: messages, such as "100/1m"; none = no limit


class App(Section):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    networks: list[Network] = []  #: with `username`: both are required
    listeners: list[Address] = []  #: only mail from these listeners; none = any
    username: str | None = None
    password_hash: str | None = None  #: made by `waybill app password`
    password_file: Path | None = None  #: a file that holds such a hash, or the password itself
    from_domains: list[str] = []  #: From: and MAIL FROM must be in these; none = any
    default_from: str | None = None  #: replaces a sender such as www-data@localhost
    booking_pattern: list[str] = []  #: pictures such as "BK-#####" (# digit, @ letter, * 1-20 of both), or "re:…"
    booking_url: BookingUrl | None = None  #: a booking in the app's own pages, with {ref} where its number goes
    kinds: dict[str, str] = {}  #: word in the subject -> kind
    source_addresses: list[str] = []  #: of delivery.source_addresses, those its mail leaves from; none = any
    #: How long its mail is worth delivering: so long, "event" = until that begins, "none" = for ever; None = the last
    #: for all but reminders.
    deadline: Deadline = None
    mode: str = "live"  #: live | hold | redirect:ADDRESS
    store_content: Literal["all", "until_ended", "none"] = "all"
    #: What its senders are told by mail: asked = what NOTIFY asks for; failure, delay = also where nothing is asked.
    dsn: Literal["none", "asked", "failure", "delay"] = "asked"
    limits: Limits = Limits()

    @field_validator("networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return (
            [ip_network(v, strict=False) if isinstance(v, str) else v for v in value]
            if isinstance(value, list)
            else value
        )

    @field_validator("from_domains")
    @classmethod
    def _lower(cls, value: list[str]) -> list[str]:
        return [v.lower().lstrip("@") for v in value]

    @field_validator("password_hash")
    @classmethod
    def _is_hash(cls, value: str | None) -> str | None:
        if value is not None and not is_password_hash(value):
            raise ValueError(NO_HASH)
        return value

    @field_validator("booking_pattern", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("mode")
    @classmethod
    def _mode(cls, value: str) -> str:
        if value not in {"live", "hold"} and not re.fullmatch(r"redirect:[^@\s<>]+@[^@\s<>]+", value):
            raise ValueError('mode is "live", "hold" or "redirect:ADDRESS"')
        return value

    @model_validator(mode="after")
    def _can_be_recognised(self) -> App:
        if not self.networks and not self.username:
            raise ValueError("an app needs networks, a username, or both; otherwise anyone could send through it")
        if self.username and not (self.password_hash or self.password_file):
            raise ValueError("username needs password_hash or password_file")
        return self


class SourceAddress(Section):
    address: str  #: an IP of this machine to send from
    hostname: str = ""  #: its EHLO name; "" = node.hostname


class SiteLimits(Section):
    connections: int = Field(20, ge=1)  #: at one time
    messages_per_connection: int = Field(100, ge=1)
    idle: Duration = timedelta(seconds=5)  #: how long an idle connection is kept for more mail
    rate: RateValue | None = None  #: messages, such as "100/1m"; none = no limit


class SiteOverride(Section):
    match: str  #: MX host or domain; "*.example.com" for all below it
    connections: int | None = Field(None, ge=1)
    messages_per_connection: int | None = Field(None, ge=1)
    idle: Duration | None = None
    rate: RateValue | None = None


class Timeouts(Section):
    """RFC 5321 4.5.3.2; shorter values lose mail to slow servers."""

    connect: Duration = timedelta(seconds=30)
    greeting: Duration = timedelta(minutes=5)
    command: Duration = timedelta(minutes=5)  #: EHLO, STARTTLS, AUTH, MAIL, RCPT
    data: Duration = timedelta(minutes=2)  #: answer to DATA
    block: Duration = timedelta(minutes=3)  #: sending one block of content
    final: Duration = timedelta(minutes=10)  #: answer to the final dot


class DeliverySettings(Section):
    port: int = Field(25, ge=1, le=65535)
    source_addresses: list[SourceAddress] = []
    ip: Literal["auto", "4", "6"] = "auto"
    retry: list[Duration] = [timedelta(minutes=m) for m in (1, 5, 15, 60, 240)]
    give_up_after: Duration = timedelta(days=5)
    #: How long a mail may wait until a sender who asked for it is told, once.
    delay_notice_after: Duration = timedelta(hours=4)
    #: How long before a mail's deadline the desk hears that it has not arrived; zero = never.
    deadline_notice: Duration = timedelta(hours=2)
    smarthost: Address | None = None
    smarthost_tls: Literal["none", "may", "encrypt", "verify", "implicit"] = "encrypt"
    smarthost_username: str | None = None
    smarthost_password_file: Path | None = None
    allow_private_addresses: bool = False
    record: Literal["failures", "all"] = "failures"  #: whose SMTP conversations are kept
    max_connections: int = Field(500, ge=1)
    site: SiteLimits = SiteLimits()
    timeouts: Timeouts = Timeouts()

    @field_validator("retry")
    @classmethod
    def _ladder(cls, value: list[timedelta]) -> list[timedelta]:
        if not value or any(step <= timedelta(0) for step in value):
            raise ValueError("retry needs at least one step, each above zero")
        return value


class Route(Section):
    """A domain's private MX, or one app's smarthost."""

    domain: str | None = None  #: "example.com" or "*.example.com"
    app: str | None = None
    host: str
    port: int = Field(25, ge=1, le=65535)
    tls: Literal["none", "may", "encrypt", "verify", "implicit"] = "may"
    username: str | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _matches_something(self) -> Route:
        if not self.domain and not self.app:
            raise ValueError("a route needs domain, app, or both")
        return self


class TlsDomain(Section):
    """What mail to one domain must be protected with, whatever it publishes itself."""

    name: str  #: a domain, or "*.domain"
    mode: Literal["none", "may", "encrypt", "verify", "dane"]


class TlsSettings(Section):
    #: Outbound: use TLS when offered (may), never (none), or always (encrypt: no clear-text delivery).
    mode: Literal["none", "may", "encrypt"] = "may"
    mta_sts: bool = True  #: keep to the MTA-STS policies that recipients' domains publish
    dane: bool = True  #: keep to their TLSA records, when the DNS servers can be trusted
    ca_file: Path | None = None  #: None: the system's certificate authorities
    domain: list[TlsDomain] = []


class Dkim(Section):
    """A key that signs the mail of one domain; several of one domain all sign."""

    domain: str  #: of the From: address, or a parent of it
    selector: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$")
    key_file: Path
    resign: bool = False  #: also sign what the domain has signed itself


class Dns(Section):
    servers: list[Address] = []  #: none = those of /etc/resolv.conf
    #: Whether the servers check DNSSEC and the way to them is safe; "auto": when all are on this machine.
    trusted: bool | Literal["auto"] = "auto"
    timeout: Duration = timedelta(seconds=3)  #: for one server
    lifetime: Duration = timedelta(seconds=15)  #: for one look-up over all servers


class Returned(Section):
    """Mail that comes back: bounces, complaints, auto-replies."""

    #: Each delivery leaves with a return path of its own at this domain; none = the app's sender goes out unchanged.
    domain: str | None = None
    #: Addresses at which feedback loops report complaints; the listener takes mail to them too.
    complaints: list[str] = []
    #: A mailbox that gets a copy of every bounce that was read; none = they stay here.
    forward: str | None = None
    #: How long after a mail was sent it can come back.
    accept_for: Duration = timedelta(days=60)
    size: Size = 10 * 1024**2  #: of one returned mail
    rate: RateValue = Rate(1000, timedelta(minutes=1))  #: returned mails with a valid address

    @field_validator("domain")
    @classmethod
    def _a_label(cls, value: str | None) -> str | None:
        if value is None:
            return None
        label = to_a_label(value.strip().removeprefix("@"))
        if label is None or "." not in label:
            raise ValueError('write a domain such as "bounce.example.com"')
        return label

    @field_validator("complaints")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        return [_mailbox(address) for address in value]

    @field_validator("forward")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        return _mailbox(value) if value is not None else None


def _mailbox(value: str) -> str:
    """Read an address of our own side.

    Raises:
        ValueError: it is none.
    """
    try:
        validate(value, is_smtputf8=True)
    except Refused as error:
        raise ValueError('write an address such as "desk@example.com"') from error
    return value


class Suppressions(Section):
    max_errors: int = Field(12, ge=1)  #: 12 still sends, the 13th blocks
    block_invalid_at_once: bool = True
    count_our_faults: bool = False


class Retention(Section):
    #: How long the raw mail is kept; None ("forever"): as long as the store.
    content: Keep = timedelta(days=180)
    #: How long messages, attempts and events are kept; never shorter than the content.
    log: Keep = timedelta(days=730)

    @model_validator(mode="after")
    def _log_outlives_content(self) -> Retention:
        if self.log is not None and (self.content is None or self.content > self.log):
            raise ValueError("the log must be kept at least as long as the content")
        return self


class IncidentSettings(Section):
    failures: int = Field(5, ge=1)  #: of one recipient domain blamed on us; one more and mail to it waits
    within: Duration = timedelta(minutes=10)


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Doctor(Section):
    """What `waybill doctor` asks beside DNS."""

    #: Where port 25 outwards is tried: a domain (its MX hosts) or "host:port"; "" = nowhere.
    probe: str = "gmail.com"
    #: A web server ("host:port") whose Date header our clock is held against; "" = none.
    clock: str = "gmail.com:80"
    #: The addresses the world sees, when this machine is behind address translation.
    public_addresses: list[str] = []
    #: DNS zones of block lists to ask about our addresses.
    blocklists: list[str] = []
    #: Kinds of mail that many get at once and must be able to unsubscribe from.
    bulk_kinds: list[str] = ["newsletter", "marketing", "promotion"]
    #: How long the look-ups for one domain, or one connection, may take.
    timeout: Duration = timedelta(seconds=20)

    @field_validator("probe")
    @classmethod
    def _probe(cls, value: str) -> str:
        if value and ":" in value:
            return str(parse_address(value))
        if value and to_a_label(value) is None:
            raise ValueError('write a domain such as "example.com", or "host:port"')
        return value

    @field_validator("clock")
    @classmethod
    def _clock(cls, value: str) -> str:
        return str(parse_address(value)) if value else value

    @field_validator("public_addresses")
    @classmethod
    def _ips(cls, value: list[str]) -> list[str]:
        return [str(ip_address(each)) for each in value]

    @field_validator("blocklists")
    @classmethod
    def _zones(cls, value: list[str]) -> list[str]:
        zones = [to_a_label(each.strip().strip(".")) for each in value]
        if None in zones:
            raise ValueError('write DNS zones such as "bl.example.net"')
        return [zone for zone in zones if zone]


class Config(Section):
    node: Node = Node()
    store: StoreSettings = StoreSettings()
    intake: IntakeSettings = IntakeSettings()
    listener: list[Listener] = []
    app: list[App] = []
    delivery: DeliverySettings = DeliverySettings()
    site: list[SiteOverride] = []
    route: list[Route] = []
    tls: TlsSettings = TlsSettings()
    dkim: list[Dkim] = []
    dns: Dns = Dns()
    returned: Returned = Returned()
    suppression: Suppressions = Suppressions()
    incident: IncidentSettings = IncidentSettings()
    retention: Retention = Retention()
    dashboard: Dashboard = Dashboard()
    doctor: Doctor = Doctor()
    log: Log = Log()
    #: The folder relative paths start from; set by the loader, not a key.
    base_dir: Path = Field(Path(), exclude=True)

    def path(self, value: Path) -> Path:
        """Make a configured path absolute."""
        return value if value.is_absolute() else self.base_dir / value

    @property
    def data_dir(self) -> Path:
        return self.path(self.node.data_dir)
