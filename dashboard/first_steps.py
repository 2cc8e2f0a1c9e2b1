"""The way from an empty store to the first mail that arrived: four steps, ticked as they are done.

An app has to be named in the configuration, told where to send, and tried; a look at the sending domain's records
belongs to it, and has its own page. The steps go away once mail of an app has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay import doctor
from relay.settings import Config, Listener
from relay.store import tallies
from relay.store.protocols import Tx

#: Lines for config.toml that make a first app.
APP_LINES = """[[app]]
name = "booking"
username = "booking"
password_hash = "…"   # waybill app password
from_domains = ["example.com"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is typed into an app's mail settings."""

    host: str
    port: int
    encryption: str  #: none | starttls | implicit


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How far one has come."""

    has_app: bool
    has_mail: bool  #: an app handed us mail
    has_arrived: bool  #: mail arrived somewhere
    has_good_records: bool  #: the last examination found nothing bad
    is_empty: bool  #: nothing was ever handed to us, not even a test
    servers: tuple[Server, ...]
    usernames: tuple[str, ...]

    @property
    def is_over(self) -> bool:
        """Tell whether the steps need not be shown any more."""
        return self.has_app and self.has_mail and self.has_arrived


def look(tx: Tx, config: Config) -> Steps:
    """See which steps are done."""
    apps = tallies.first_apps(tx)
    return Steps(
        has_app=bool(config.app),
        has_mail=any(app != "waybill" for app in apps),
        has_arrived=tallies.last_delivered_at(tx) is not None,
        has_good_records=_has_good_records(tx),
        is_empty=not apps,
        servers=tuple(_server(one, config) for one in config.listener if one.kind == "submission"),
        usernames=tuple(app.username for app in config.app if app.username),
    )


def _has_good_records(tx: Tx) -> bool:
    last = doctor.load(tx)
    return last is not None and not last.fault and all(one.state is not doctor.State.BAD for one in last.findings)


def _server(listener: Listener, config: Config) -> Server:
    host = listener.address.host
    is_everywhere = host in {"0.0.0.0", "::", ""}
    return Server(
        host=config.node.hostname if is_everywhere else host, port=listener.address.port, encryption=listener.tls
    )
