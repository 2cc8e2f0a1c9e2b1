"""Who may do what in the pages: roles, permissions, and the rules for names and passwords.

A role includes every one before it. Two switches stand beside the role: whether the account may read what mails say,
and which apps it sees; mail of another app does not exist for it. Passwords have a least length and no other rule: they
may be pasted, and no kind of letter is asked for (NIST SP 800-63B). Nothing here reads the clock or the store.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from relay.wording import say


class Role(StrEnum):
    """What somebody is trusted with, the least first."""

    VIEWER = "viewer"
    SUPPORT = "support"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Tell whether who has this role may do what needs that one."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Permission(StrEnum):
    """One thing that can be done in the pages or through the API."""

    SEE_LOG = "see_log"
    READ_CONTENT = "read_content"
    RESEND = "resend"
    CORRECT = "correct"
    BLOCK = "block"
    UNBLOCK = "unblock"
    UNBLOCK_COMPLAINT = "unblock_complaint"
    HANDLE_NOTICES = "handle_notices"
    SET_BOOKING = "set_booking"
    EXPORT_ROWS = "export_rows"
    SAVE_VIEWS = "save_views"
    STEER_DELIVERIES = "steer_deliveries"
    STEER_QUEUE = "steer_queue"
    HANDLE_INCIDENTS = "handle_incidents"
    CHECK_DOMAINS = "check_domains"
    SEE_AUDIT = "see_audit"
    EXPORT_PERSON = "export_person"
    ERASE_PERSON = "erase_person"
    SEE_SENDERS = "see_senders"
    SEE_SETTINGS = "see_settings"
    MANAGE_ACCOUNTS = "manage_accounts"
    MANAGE_TOKENS = "manage_tokens"


#: permission -> the least role, and why that one.
PERMISSIONS: Mapping[Permission, tuple[Role, str]] = MappingProxyType(
    {
        Permission.SEE_LOG: (Role.VIEWER, "seeing what became of a mail is what an account is for"),
        Permission.READ_CONTENT: (Role.VIEWER, "the switch of the account decides, whatever its role"),
        Permission.RESEND: (Role.SUPPORT, "it sends mail to a customer"),
        Permission.CORRECT: (Role.SUPPORT, "it decides where a customer's mail goes"),
        Permission.BLOCK: (Role.SUPPORT, "the desk hears from the customer that mail is not wanted"),
        Permission.UNBLOCK: (Role.SUPPORT, "the desk hears from the customer that the mailbox works again"),
        Permission.UNBLOCK_COMPLAINT: (Role.OPERATOR, "mail to who called it spam costs the name of the whole relay"),
        Permission.HANDLE_NOTICES: (Role.SUPPORT, "the list of what did not arrive is the desk's"),
        Permission.SET_BOOKING: (Role.SUPPORT, "the desk knows which booking a mail belongs to"),
        Permission.EXPORT_ROWS: (Role.SUPPORT, "a file of addresses leaves the house; it is written to the audit log"),
        Permission.SAVE_VIEWS: (Role.SUPPORT, "a shared view is seen by all"),
        Permission.STEER_DELIVERIES: (Role.OPERATOR, "holding or stopping mail needs to know why it waits"),
        Permission.STEER_QUEUE: (Role.OPERATOR, "it stops or hurries the mail of many"),
        Permission.HANDLE_INCIDENTS: (Role.OPERATOR, "only who mends our own fault knows that it is mended"),
        Permission.CHECK_DOMAINS: (Role.OPERATOR, "DNS and keys are the sysadmin's"),
        Permission.SEE_AUDIT: (Role.OPERATOR, "it shows what colleagues did"),
        Permission.EXPORT_PERSON: (Role.ADMIN, "all that is known of one person, in one file"),
        Permission.ERASE_PERSON: (Role.ADMIN, "it cannot be undone"),
        Permission.SEE_SENDERS: (Role.ADMIN, "it shows how apps sign in"),
        Permission.SEE_SETTINGS: (Role.ADMIN, "it shows how the relay is built"),
        Permission.MANAGE_ACCOUNTS: (Role.ADMIN, "who makes accounts can make an admin"),
        Permission.MANAGE_TOKENS: (Role.ADMIN, "a token acts without a person"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who may sign in."""

    id: str
    name: str  #: for signing in, and as `by` everywhere
    role: Role
    created_at: datetime
    shown: str = ""  #: the name in full
    may_read_content: bool = True
    apps: tuple[str, ...] = ()  #: the only ones whose mail it sees; none = all
    password_hash: str = field(default="", repr=False)  #: "" = none yet
    totp_secret: str | None = field(default=None, repr=False)
    totp_last_step: int | None = None
    language: str = ""  #: "" = as the instance, like the two below
    zone: str = ""
    theme: str = ""
    keys_off: bool = False  #: no letter keys in the pages
    is_compact: bool = False  #: low rows in long tables
    disabled_at: datetime | None = None
    last_seen_at: datetime | None = None
    issuer: str = ""  #: the provider that vouches for its owner, and as whom; "" = a local account
    subject: str = ""

    @property
    def title(self) -> str:
        """The name as people say it."""
        return self.shown or self.name

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None

    @property
    def is_connected(self) -> bool:
        """Whether a provider vouches for its owner; then no password lets anybody in."""
        return self.subject != ""

    @property
    def has_second_step(self) -> bool:
        """Whether signing in asks for a code; a secret that was never confirmed asks for none."""
        return self.totp_secret is not None and self.totp_last_step is not None

    def may(self, permission: Permission) -> bool:
        """Tell whether it may do this."""
        if permission is Permission.READ_CONTENT and not self.may_read_content:
            return False
        return self.role.allows(PERMISSIONS[permission][0])

    def sees(self, app: str) -> bool:
        """Tell whether mail of this app exists for it."""
        return not self.apps or app in self.apps


# -- names and passwords

_NAME = re.compile(r"[\w.+@-]{1,64}\Z")
_APP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")

LEAST_PASSWORD = 10  #: letters
MOST_PASSWORD = 1024  #: octets, so that nobody makes us hash a book


def name_key(name: str) -> str:
    """Make two spellings of a name that differ in case alone the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).strip().casefold())


def fault_of_name(name: str) -> str | None:
    """Say what is wrong with the name of an account or a token; None: nothing."""
    if not _NAME.match(name) or not _NAME.match(name_key(name)):
        return say("A name has 1 to 64 letters, digits or signs of . _ + @ -, and no spaces.")
    return None


def fault_of_apps(apps: tuple[str, ...]) -> str | None:
    """Say what is wrong with a list of apps; None: nothing."""
    wrong = [app for app in apps if not _APP.match(app)]
    return say('"{app}" is no name of an app.', app=wrong[0]) if wrong else None


def prepared(password: str) -> str:
    """Make the same password typed on two keyboards the same (RFC 8265 asks for NFC)."""
    return unicodedata.normalize("NFC", password)


def fault_of_password(password: str, *, name: str = "") -> str | None:
    """Say what is wrong with a new password; None: nothing."""
    if len(prepared(password)) < LEAST_PASSWORD:
        return say(
            "A password has at least {count} letters, of any kind; a few words are easy to remember.",
            count=LEAST_PASSWORD,
        )
    if len(prepared(password).encode("utf-8", "surrogatepass")) > MOST_PASSWORD:
        return say("A password has at most {count} letters.", count=MOST_PASSWORD)
    if name and name_key(password) == name_key(name):
        return say("A password is not the name of the account.")
    return None


def link_of(base: str, token: str) -> str:
    """Write a one-time link; without a base (the pages' public address) only its path."""
    return f"{base.rstrip('/')}/link/{token}"
