"""What every status and mark means, and what to do about it, in words for the desk (mission 004)."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.marking import N_
from relay.status import Status


@dataclass(frozen=True, slots=True)
class Help:
    """The words for one status or mark."""

    elsewhere: str  #: what other systems call it
    means: str
    to_do: str


STATUS_HELP: dict[Status, Help] = {
    Status.QUEUED: Help(
        N_("queued"),
        N_("We have the email and will send it in a moment."),
        N_("Wait. If it is still here after 10 minutes, tell your admin."),
    ),
    Status.SENT: Help(
        N_("sent"),
        N_("The email has left us, and the answer is not known yet."),
        N_("Wait: the status becomes one of the others."),
    ),
    Status.DELIVERED: Help(
        N_("delivered"),
        N_("The recipient's mail server confirmed that it has the email. It may be in the spam folder."),
        N_("If the customer does not find it: look in spam, search for the subject, then resend or phone."),
    ),
    Status.DEFERRED: Help(
        N_("deferred"),
        N_("The recipient's server has a problem or asked us to wait. We try again by ourselves."),
        N_("Wait. Resending now does not speed it up."),
    ),
    Status.SOFT_BOUNCED: Help(
        N_("soft bounced"),
        N_("It could not be delivered for a reason that can pass, such as a full mailbox. We stopped trying."),
        N_("Read the reason on the email's page, have it put right, then resend."),
    ),
    Status.HARD_BOUNCED: Help(
        N_("hard bounced"),
        N_("The recipient's server does not take this email, now or later. It is not sent again by itself."),
        N_("Read the reason on the email's page. Often another address is needed."),
    ),
    Status.INVALID: Help(
        N_("invalid address"),
        N_("The recipient's server says that there is no such address, usually because of a typing mistake."),
        N_("Ask for the right address, correct it, then resend."),
    ),
    Status.REJECTED: Help(
        N_("rejected"),
        N_("Our own set-up or the service we send through refused the email. The address is fine."),
        N_("Tell your admin. Resend it by hand once that is fixed."),
    ),
    Status.SUPPRESSED: Help(
        N_("blocked"),
        N_("The address is blocked, so nothing was sent, not even by hand."),
        N_("Make sure that the address is right, unblock it, then resend."),
    ),
    Status.CANCELLED: Help(
        N_("cancelled"),
        N_("A colleague stopped this email before it was sent."),
        N_("Resend it if it is still wanted."),
    ),
}

#: Marks stand beside a status and never change it.
MARK_HELP: dict[str, Help] = {
    N_("Opened"): Help(
        N_("opened"),
        N_("The email was opened. This can also be an automatic check by the mail program."),
        N_("Nothing."),
    ),
    N_("Link clicked"): Help(
        N_("clicked"),
        N_("A link in the email was opened. This can also be an automatic check."),
        N_("Nothing."),
    ),
    N_("Marked as spam"): Help(
        N_("complaint"),
        N_("It arrived, and the recipient pressed “spam”. Further emails to the address are blocked."),
        N_("Ask the customer before anything is sent there again. An operator can unblock it."),
    ),
}

#: Letter keys, as waybill.js knows them.
KEYS = (
    (("/",), N_("Go to the search box")),
    (("j", "k"), N_("Next and previous line of a list")),
    (("Enter",), N_("Open the line")),
    (("x",), N_("Tick the line")),
    (("u",), N_("Back")),
    (("g", "h"), N_("Home")),
    (("g", "l"), N_("Log")),
    (("g", "t"), N_("To do")),
    (("g", "q"), N_("Queue")),
    (("?",), N_("This list")),
)
