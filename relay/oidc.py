"""What a provider's word about a person means here: who it is, what the account is called, what it may do. Pure.

Whoever calls has checked signature, issuer, audience, time and nonce. The person is issuer and subject and nothing
else: names and addresses change hands, so that none of them finds an account. The greatest role of the person's groups
counts, and only the apps of the groups that give it: two groups never add up to more than one of them allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relay.accounts import Role, fault_of_name
from relay.settings import Oidc

_SUBJECT = 255  #: letters, OpenID Connect Core 2
_GROUPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Somebody whom the provider vouches for."""

    issuer: str
    subject: str
    name: str  #: what a new account would be called; "" = nothing that can be a name
    shown: str  #: the name in full
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the groups of a person give."""

    role: Role
    apps: tuple[str, ...]  #: none = all


def guest_of(claims: Mapping[str, object], settings: Oidc) -> Guest | None:
    """Read what was vouched for; None when it names nobody."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    if issuer != settings.issuer or not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT:
        return None
    if any(ord(letter) < 32 for letter in subject):
        return None
    named = (claims.get(name) for name in (settings.name_claim, "preferred_username", "email", "sub"))
    texts = (value.strip() for value in named if isinstance(value, str))
    shown = claims.get("name")
    return Guest(
        issuer=settings.issuer,
        subject=subject,
        name=next((text for text in texts if fault_of_name(text) is None), ""),
        shown=" ".join(shown.split()) if isinstance(shown, str) else "",
        groups=groups_of(claims, settings.groups_claim),
    )


def groups_of(claims: Mapping[str, object], name: str) -> tuple[str, ...]:
    """List the groups of a claim: a list or one word, by its whole name or as a path into other claims."""
    value: object = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    values = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(one for one in values[:_GROUPS] if isinstance(one, str) and one))


def granted(groups: tuple[str, ...], settings: Oidc) -> Grant | None:
    """Say what somebody in these groups may do; None: nothing at all."""
    roles = [settings.roles[group] for group in groups if group in settings.roles]
    if not roles:
        return None
    order = list(Role)
    role = max(roles, key=order.index)
    giving = [group for group in groups if settings.roles.get(group) is role]
    if any(group not in settings.apps for group in giving):
        return Grant(role=role, apps=())
    return Grant(role=role, apps=tuple(dict.fromkeys(app for group in giving for app in settings.apps[group])))
