"""Signing in with a provider of the house: [dashboard.oidc] of the configuration (OpenID Connect Core 1.0).

Policy: the provider says who somebody is; which group gives which role stands here and nowhere else. Whoever has no
such group stays out. Without `roles`, admins say what each account may do, and accounts are connected one by one.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

from relay.accounts import Role
from relay.setting_values import SECTION, is_loopback_host


class Oidc(BaseModel):
    model_config = SECTION

    issuer: str  #: as the provider writes it itself, such as "https://login.example.com/realms/hotel"
    client_id: str = Field(min_length=1)
    client_secret_file: Path | None = None  #: None: registered as a public client, which PKCE alone protects
    label: str = Field("Single sign-on", min_length=1, max_length=40)  #: on the button: "Sign in with …"
    scopes: list[str] = ["openid", "profile", "email"]
    name_claim: str = "preferred_username"  #: what a new account is called by
    groups_claim: str = "groups"  #: a list or one word; "realm_access.roles" for one within another
    roles: dict[str, Role] = {}  #: group -> role; the greatest one counts
    apps: dict[str, list[str]] = {}  #: group -> the only apps it sees; a group that is not named sees all
    create: bool = True  #: whether somebody new with a role gets an account

    @field_validator("issuer")
    @classmethod
    def _is_issuer(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError('write the issuer of the provider, such as "https://login.example.com/realms/hotel"')
        if parts.scheme == "http" and not is_loopback_host(parts.hostname):
            raise ValueError("an issuer is reached over https; http is for one on this machine")
        return value

    @field_validator("scopes")
    @classmethod
    def _has_openid(cls, value: list[str]) -> list[str]:
        if any(not scope or scope.split() != [scope] for scope in value):
            raise ValueError('write each scope by itself, such as ["openid", "profile", "email"]')
        return value if "openid" in value else ["openid", *value]

    @field_validator("roles", "apps")
    @classmethod
    def _names_groups(cls, value: dict[str, object]) -> dict[str, object]:
        if "" in value:
            raise ValueError("a group has a name")
        return value

    @model_validator(mode="after")
    def _says_who_may(self) -> Oidc:
        if self.create and not self.roles:
            raise ValueError(
                'new accounts need a role: write roles = { "a group" = "support" }, '
                "or create = false and connect accounts with waybill user connect"
            )
        strangers = [group for group in self.apps if group not in self.roles]
        if strangers:
            raise ValueError(f'apps names the group "{strangers[0]}", which roles does not name')
        return self
