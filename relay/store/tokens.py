"""Tokens of the API: what a program shows instead of a name and a password. Only their hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.accounts import Role, fault_of_name, name_key
from relay.store.protocols import Row, Tx, Value
from relay.store.sessions import TOUCH, hash_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of one token; not the token itself."""

    name: str
    prefix: str  #: its first letters, to know it again by
    role: Role
    created_at: datetime
    by: str
    apps: tuple[str, ...] = ()  #: the only ones whose mail it sees; none = all
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def sees(self, app: str) -> bool:
        """Tell whether mail of this app exists for it."""
        return not self.apps or app in self.apps


def add(tx: Tx, secret: str, token: Token) -> bool:
    """Keep a new token; False when one that is in use has its name."""
    params: dict[str, Value] = {
        "token_hash": hash_of(secret),
        "name": token.name,
        "name_key": name_key(token.name),
        "prefix": token.prefix,
        "role": token.role.value,
        "apps": " ".join(token.apps),
        "created_at": token.created_at,
        "by": token.by,
    }
    return tx.run("tokens.insert", params) == 1


def find(tx: Tx, secret: str) -> Token | None:
    """The token that this is, when it is in use."""
    row = tx.one("tokens.alive", {"token_hash": hash_of(secret)})
    return _token(row) if row is not None else None


def named(tx: Tx, name: str) -> Token | None:
    """The token in use that has this name."""
    key = name_key(name)
    row = tx.one("tokens.named", {"name_key": key}) if fault_of_name(key) is None else None
    return _token(row) if row is not None else None


def every(tx: Tx) -> list[Token]:
    """All tokens by name, the revoked ones last."""
    return [_token(row) for row in tx.rows("tokens.every")]


def touch(tx: Tx, secret: str, *, now: datetime) -> bool:
    """Write that it was used; False when that was written less than a minute ago."""
    return tx.run("tokens.touch", {"token_hash": hash_of(secret), "now": now, "before": now - TOUCH}) == 1


def revoke(tx: Tx, name: str, *, now: datetime) -> bool:
    """Let a token count no more; False when none in use has this name."""
    return tx.run("tokens.revoke", {"name_key": name_key(name), "now": now}) == 1


def _token(row: Row) -> Token:
    return Token(
        name=row["name"],
        prefix=row["prefix"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        by=row["by"],
        apps=tuple(row["apps"].split()),
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
