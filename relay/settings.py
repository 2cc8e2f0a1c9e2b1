"""The configuration as frozen, checked objects; config.py reads the file into them.

Every key, its unit and its default stand here once and in config.example.toml once; tests/test_docs.py compares them.
Durations are written "30s", "5m", "2h", "5d"; sizes "25MiB"; addresses "host:port" or "[v6]:port".
Secrets come from files (`*_file`, or "credential:NAME" for systemd credentials), never from the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Network = IPv4Network | IPv6Network

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "KB": 1000, "MB": 1000**2, "GB": 1000**3}


def parse_duration(value: object) -> timedelta:
    """Read "30s", "5m", "2h", "5d" (a sum such as "1h30m" too).

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(n + u for n, u in parts) != text.replace(" ", ""):
        raise ValueError('write a duration such as "30s", "5m", "2h" or "5d"')
    return timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in parts))


def parse_size(value: object) -> int:
    """Read "25MiB", "64KiB", "10MB" or a plain number of bytes.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
    if match is None or match[2].upper() not in _SIZES:
        raise ValueError('write a size such as "25MiB" or "64KiB"')
    return int(float(match[1]) * _SIZES[match[2].upper()])


def parse_address(value: object) -> HostPort:
    """Read "127.0.0.1:2525", "[::1]:25" or "mail.example.com:587".

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, HostPort):
        return value
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]*)):(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65535:
        raise ValueError('write an address such as "127.0.0.1:2525" or "[::1]:25"')
    return HostPort(match[1] or match[2] or "0.0.0.0", int(match[3]))


def parse_rate(value: object) -> Rate:
    """Read "100/1m", "10/s", "5000/1h": so many in so much time.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, Rate):
        return value
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d*(?:ms|s|m|h|d))\s*", value) if isinstance(value, str) else None
    if match is None or int(match[1]) < 1:
        raise ValueError('write a rate such as "100/1m" or "10/s"')
    per = match[2] if match[2][0].isdigit() else "1" + match[2]
    return Rate(int(match[1]), parse_duration(per))


_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}\Z")
NO_HASH = 'that is no hash we can check; make one with "waybill app password"'


def is_password_hash(text: str) -> bool:
    """Tell whether the text is a hash that a login can be checked against."""
    match = _HASH.match(text)
    return match is not None and 1 <= int(match[1]) <= 20 and 1 <= int(match[2]) <= 32 and 1 <= int(match[3]) <= 16


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (name or IP) and a port; prints as it is written in the configuration."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count}/{self.per.total_seconds():g}s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
Address = Annotated[HostPort, BeforeValidator(parse_address)]
RateValue = Annotated[Rate, BeforeValidator(parse_rate)]


class Section(BaseModel):
    """The base of every section: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


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
    #: Refuse new mail (452) when the store's disk has less than this free.
    min_free_space: Size = 512 * 1024**2
    #: A session that says nothing is closed after this (RFC 5321 asks for at least 5 minutes).
    timeout: Duration = timedelta(minutes=5)
    #: The longest one message may take to arrive.
    data_timeout: Duration = timedelta(minutes=30)
    #: Failed passwords from one IP within 10 minutes before it has to wait.
    auth_failures: int = Field(10, ge=1)


class Listener(Section):
    address: Address
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
    kinds: dict[str, str] = {}  #: word in the subject -> kind
    mode: str = "live"  #: live | hold | redirect:ADDRESS
    store_content: Literal["all", "until_ended", "none"] = "all"
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


class TlsSettings(Section):
    #: Outbound: use TLS when offered (may), never (none), or always (encrypt: no clear-text delivery).
    mode: Literal["none", "may", "encrypt"] = "may"


class Dns(Section):
    servers: list[Address] = []  #: none = those of /etc/resolv.conf
    timeout: Duration = timedelta(seconds=3)  #: for one server
    lifetime: Duration = timedelta(seconds=15)  #: for one look-up over all servers


class Suppressions(Section):
    max_errors: int = Field(12, ge=1)  #: 12 still sends, the 13th blocks
    block_invalid_at_once: bool = True
    count_our_faults: bool = False


class Dashboard(Section):
    address: Address = HostPort("127.0.0.1", 8025)


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


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
    dns: Dns = Dns()
    suppression: Suppressions = Suppressions()
    dashboard: Dashboard = Dashboard()
    log: Log = Log()
    #: The folder relative paths start from; set by the loader, not a key.
    base_dir: Path = Field(Path(), exclude=True)

    def path(self, value: Path) -> Path:
        """Make a configured path absolute."""
        return value if value.is_absolute() else self.base_dir / value

    @property
    def data_dir(self) -> Path:
        return self.path(self.node.data_dir)
