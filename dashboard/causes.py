"""The few words for causes of notices and for reasons of failures, where a list has no room for a sentence."""

from __future__ import annotations

from dashboard.marking import N_
from relay.model import Category

#: The cause of a notice.
CAUSE: dict[str, str] = {
    "no-mailbox": N_("Address does not exist"),
    "no-domain": N_("Domain does not exist"),
    "bad-address": N_("Not a valid address"),
    "mailbox-off": N_("Mailbox is switched off"),
    "mailbox-full": N_("Mailbox is full"),
    "too-big": N_("Email is too large"),
    "virus": N_("Attachment was refused"),
    "too-late": N_("Its time was over"),
    "gave-up": N_("We stopped trying"),
    "their-fault": N_("Fault at their server"),
    "refused-policy": N_("They do not accept mail from us"),
    "not-theirs": N_("Their server is not set up for it"),
    "blocked-auto": N_("Blocked after errors"),
    "complaint": N_("Marked as spam"),
    "unknown": N_("Reason unclear"),
}

#: While the mail is still being tried: the notice of a deadline that comes near.
MAY_BE_LATE = N_("It may come too late")

#: Why a delivery failed or waits.
REASON: dict[Category, str] = {
    Category.INVALID_ADDRESS: N_("there is no such address"),
    Category.INVALID_DOMAIN: N_("there is no mail service at that domain"),
    Category.MAILBOX_DISABLED: N_("the mailbox is switched off"),
    Category.MOVED: N_("the person has left this address"),
    Category.MAILBOX_FULL: N_("the mailbox is full"),
    Category.MESSAGE_TOO_LARGE: N_("the email is too large"),
    Category.SPAM_CONTENT: N_("it was taken for spam"),
    Category.CONTENT_REJECTED: N_("the content was refused"),
    Category.POLICY: N_("their rules refuse our email"),
    Category.SENDER_REJECTED: N_("our sender address was refused"),
    Category.REPUTATION_BLOCK: N_("our mail server is blocked there"),
    Category.RATE_LIMITED: N_("too much email at once"),
    Category.GREYLISTED: N_("their server asked us to wait"),
    Category.AUTH_FAILURE: N_("our sender check failed"),
    Category.SENDER_DNS: N_("our server's name is not set up rightly"),
    Category.RELAY_DENIED: N_("their server is not set up for this domain"),
    Category.TLS_REQUIRED: N_("no safe connection was possible"),
    Category.PROTOCOL_ERROR: N_("the servers did not understand each other"),
    Category.SYSTEM_ERROR: N_("a fault on their server"),
    Category.NETWORK: N_("their server did not answer"),
    Category.DNS_FAILURE: N_("their domain could not be looked up"),
    Category.EXPIRED: N_("we ran out of time"),
    Category.UNKNOWN: N_("an answer we do not understand"),
}


def cause(key: str) -> str:
    """Give the words for a cause; a key nobody gave words to stands for itself."""
    return CAUSE.get(key, key)
