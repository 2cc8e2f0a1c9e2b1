"""Accounts as the store keeps them; who may do what is relay/accounts.py's, what may be changed relay/actions'."""

from __future__ import annotations

from datetime import datetime

from relay.accounts import Account, Role, fault_of_name, name_key
from relay.store.protocols import Row, Tx, Value


def add(tx: Tx, account: Account) -> bool:
    """Write a new account; False when another has its name."""
    return tx.run("accounts.insert", _params(account)) == 1


def get(tx: Tx, account_id: str) -> Account | None:
    """One account."""
    row = tx.one("accounts.get", {"id": account_id})
    return _account(row) if row is not None else None


def take(tx: Tx, account_id: str) -> Account | None:
    """One account, which nobody on any node changes before this unit of work has ended."""
    row = tx.one("accounts.take", {"id": account_id})
    return _account(row) if row is not None else None


def named(tx: Tx, name: str) -> Account | None:
    """The account of that name, in any case of letters."""
    key = name_key(name)
    if fault_of_name(key) is not None:  # nobody has it, and a database may not even take it
        return None
    row = tx.one("accounts.named", {"name_key": key})
    return _account(row) if row is not None else None


def of_subject(tx: Tx, issuer: str, subject: str) -> Account | None:
    """The account of somebody for whom a provider vouches."""
    if not subject:
        return None
    row = tx.one("accounts.of_subject", {"issuer": issuer, "subject": subject})
    return _account(row) if row is not None else None


def every(tx: Tx) -> list[Account]:
    """All accounts by name, the disabled ones too."""
    return [_account(row) for row in tx.rows("accounts.every")]


def is_any(tx: Tx) -> bool:
    """Tell whether there is an account at all."""
    return tx.one("accounts.any") is not None


def has_other_admin(tx: Tx, account_id: str) -> bool:
    """Tell whether somebody else can make accounts, also once this unit of work has ended."""
    return tx.one("accounts.other_admin", {"id": account_id}) is not None


def change(tx: Tx, account: Account) -> None:
    """Keep what an admin decides: shown name, role, reading of content, apps."""
    given = _params(account)
    tx.run("accounts.change", {key: given[key] for key in ("id", "shown", "role", "may_read_content", "apps")})


def prefer(tx: Tx, account: Account) -> None:
    """Keep what somebody decides for themselves: language, zone, theme, letter keys, height of rows."""
    given = _params(account)
    tx.run(
        "accounts.prefer", {key: given[key] for key in ("id", "language", "zone", "theme", "keys_off", "is_compact")}
    )


def disable(tx: Tx, account_id: str, *, at: datetime) -> bool:
    """Let nobody sign in to it any more; False when that is so already."""
    return tx.run("accounts.disable", {"id": account_id, "at": at}) == 1


def enable(tx: Tx, account_id: str) -> bool:
    """Let its owner sign in again; False when that is so already."""
    return tx.run("accounts.enable", {"id": account_id}) == 1


def set_password(tx: Tx, account_id: str, *, password_hash: str) -> None:
    """Keep the hash of a new password."""
    tx.run("accounts.set_password", {"id": account_id, "password_hash": password_hash})


def connect(tx: Tx, account_id: str, *, issuer: str, subject: str) -> bool:
    """Let a provider vouch for it, in place of password and code; False when it vouches for another account so."""
    return tx.run("accounts.connect", {"id": account_id, "issuer": issuer, "subject": subject}) == 1


def disconnect(tx: Tx, account_id: str) -> None:
    """Let no provider vouch for it any more."""
    tx.run("accounts.disconnect", {"id": account_id})


def set_totp(tx: Tx, account_id: str, *, secret: str | None) -> None:
    """Keep a secret that is still to be confirmed, or none."""
    tx.run("accounts.set_totp", {"id": account_id, "secret": secret})


def use_step(tx: Tx, account_id: str, *, secret: str, step: int) -> bool:
    """Take a code of that step; False when it, or a newer one, was used before."""
    return tx.run("accounts.use_step", {"id": account_id, "secret": secret, "step": step}) == 1


def seen(tx: Tx, account_id: str, *, at: datetime) -> None:
    """Remember when it was last used."""
    tx.run("accounts.seen", {"id": account_id, "at": at})


def _params(account: Account) -> dict[str, Value]:
    return {
        "id": account.id,
        "name": account.name,
        "name_key": name_key(account.name),
        "shown": account.shown,
        "role": account.role.value,
        "may_read_content": int(account.may_read_content),
        "apps": " ".join(account.apps),
        "password_hash": account.password_hash,
        "totp_secret": account.totp_secret,
        "totp_last_step": account.totp_last_step,
        "language": account.language,
        "zone": account.zone,
        "theme": account.theme,
        "keys_off": int(account.keys_off),
        "is_compact": int(account.is_compact),
        "created_at": account.created_at,
        "disabled_at": account.disabled_at,
        "last_seen_at": account.last_seen_at,
        "issuer": account.issuer,
        "subject": account.subject,
    }


def _account(row: Row) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        shown=row["shown"],
        role=Role(row["role"]),
        may_read_content=bool(row["may_read_content"]),
        apps=tuple(row["apps"].split()),
        password_hash=row["password_hash"],
        totp_secret=row["totp_secret"],
        totp_last_step=row["totp_last_step"],
        language=row["language"],
        zone=row["zone"],
        theme=row["theme"],
        keys_off=bool(row["keys_off"]),
        is_compact=bool(row["is_compact"]),
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
        last_seen_at=row["last_seen_at"],
        issuer=row["issuer"],
        subject=row["subject"],
    )
