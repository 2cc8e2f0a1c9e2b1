"""How the pages are served: [dashboard] of the configuration."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import BaseModel, field_validator, model_validator

from relay.oidc_settings import Oidc
from relay.setting_values import SECTION, Address, HostPort, Network, is_loopback_host


class Dashboard(BaseModel):
    model_config = SECTION

    address: Address = HostPort("127.0.0.1", 8025)
    #: Where browsers reach the pages, when that is not `address`: "https://mail.example.com".
    public_url: str | None = None
    #: Networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: list[Network] = []
    cert_file: Path | None = None  #: serve https ourselves
    key_file: Path | None = None
    language: Literal["en", "fi", "fr", "nl", "de"] = "en"  #: for readers whose browser asks for no other
    time_zone: str = "UTC"  #: the clock of readers who chose none, such as "Europe/Helsinki"
    require_note: bool = False  #: blocking and unblocking need a note
    oidc: Oidc | None = None  #: sign in with a provider of the house as well; None: local accounts alone

    @field_validator("public_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise ValueError('write it as "https://mail.example.com"')
        return value.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError('write a time zone such as "Europe/Helsinki"')
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        return (
            [ip_network(v, strict=False) if isinstance(v, str) else v for v in value]
            if isinstance(value, list)
            else value
        )

    @model_validator(mode="after")
    def _is_safe(self) -> Dashboard:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if not self.is_https and not is_loopback_host(self.address.host):
            raise ValueError(
                "passwords and mail would cross the network in clear: give cert_file and key_file, "
                "or public_url with https and the trusted_proxies that serve it"
            )
        if self.oidc is not None and self.public_url is None and self.address.host in {"0.0.0.0", "::"}:
            raise ValueError("oidc needs public_url: the provider sends people back to that address")
        return self

    @property
    def is_https(self) -> bool:
        """Tell whether browsers come by https, to us or to a proxy before us."""
        return self.cert_file is not None or (self.public_url or "").startswith("https://")

    @property
    def url(self) -> str:
        """Where browsers reach the pages."""
        return self.public_url or f"{'https' if self.is_https else 'http'}://{self.address}"

    @property
    def hosts(self) -> list[str]:
        """The names by which the pages may be called."""
        own = [urlsplit(self.public_url).hostname or ""] if self.public_url else []
        bound = [self.address.host] if self.address.host not in {"0.0.0.0", "::"} else []
        return list(dict.fromkeys([*own, *bound, "localhost", "127.0.0.1", "::1", "[::1]"]))
