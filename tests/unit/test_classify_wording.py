"""Hard or not, in many wordings: dead addresses must be found, and words about us must never pass for them."""

from __future__ import annotations

import itertools

import pytest

from bench.replies import own_samples
from relay.classify import classify, parse_reply
from relay.classify.classifier import HARD
from relay.classify.rules import load_rules
from relay.model import ReplyClass

DEAD = [
    "550 Mailbox for sari@b.example does not exist",
    "550 no mailbox by that name is currently available",
    "550 Unknown recipient",
    "550 That user is not known here",
    "550 Recipient not in address book",
    "550 <sari@b.example> is not a valid recipient",
    "550 Sorry, no such mailbox",
    "550 Benutzer hat keine Mailbox",
    "550 Sorry, I couldn't find any host named b.example. (#5.1.2)",
    "550 the address you specified is not recognised",
    "550 Recipient is unknown",
    "550 mailbox name invalid",
    "550 No one by that name here",
    "550 There is no such address",
    "550 User is unknown {mx01}",
    "550 user unknown in directory",
    "550 unknown address",
    "550 Recipient Rejected: No account by that name here",
    "550 sari@b.example is not in our directory",
    "550 Account inactive",
    "550 mailbox closed",
    "550 Email address is no longer in use",
    "550 the user has been deleted",
    "550 Person no longer employed here",
    "553 5.1.1 sorry, this recipient is not in my validrcptto list",
    "550 The e-mail address you entered couldn't be found.",
    "550 Message could not be delivered. The user you're trying to reach does not have an account here.",
    "550 sari@b.example does not exist",
    "550 sari@b.example: no such person at this address",
    "550 Not a local user",
    "550 not a valid user here",
    "550 we have no record of that user",
    "550 5.1.1 User not listed in public Name & Address Book",
    "550 User doesn't exist",
    "550 5.1.1 User Unknown ; rejecting",
    "554 Invalid recipient",
    "550 Recipient unknown. (delivery attempt 1)",
    "550 Email address not found",
    "550 5.1.1 sari@b.example - no mailbox here",
    "553 unknown user (#5.7.1)",
    "550 that mailbox isn't hosted here",
    "550 unknown user account",
    "550 RCPT TO:<sari@b.example> User unknown",
    "550 Requested action not taken: mailbox name not found",
    "550 No user with that address",
    "550 User [sari] not recognized",
    "550 Destination address rejected",
    "550 illegal alias",
    "550 'sari@b.example' User unknown or unavailable",
    "550 No such recipient here",
    "550 account expired",
    "550 user terminated",
    "550 Mailbox has been removed",
    "550 user has no mailbox here",
    "550 Domain has expired",
    "550 no such domain here",
    "550 unknown domain",
    "550 recipient domain does not exist",
]

ALIVE = [
    "550 5.1.1 <a@b.example>: Recipient address rejected: Policy rejection - quota exceeded",
    "550 5.7.1 Recipient address rejected: Access denied due to SPF",
    "550 Your domain does not exist in our whitelist",
    "550 5.1.1 sender unknown",
    "554 5.7.1 <a@b.example>: Recipient address rejected: Please see http://www.openspf.org",
    "550 5.7.1 user not authorized",
    "550 Invalid address in From header",
    "550 5.2.1 Mailbox unavailable. Your IP is blocked",
    "550 unknown user in sender address",
    "550 Recipient address rejected: greylisting",
    "550 5.7.1 The sending account has been suspended for spamming",
    "554 5.1.0 Sender Denied",
    "550 Mail from unknown host rejected",
    "550 5.7.1 Unknown host in HELO",
    "550 host not found: your server name does not resolve",
    "553 5.5.4 Domain name required for sender address",
    "554 5.5.1 Error: no valid recipients",
    "550 Too many invalid recipients from your IP",
    "550 Your account is suspended, contact your provider",
    "550 Too many unknown users",
    "550 5.7.1 Unknown client IP, access denied",
    "550 The domain of your From address does not exist",
    "550 5.7.1 mailbox does not accept mail from outside",
    "550 The message header Date is invalid address missing",
    "550 5.7.1 Recipient not accepting mail from this sender",
    "550 sorry, your mail was administratively denied",
    "550 DNS record for your domain does not exist",
    "550 IP 192.0.2.1 has no PTR: host not found",
    "550 5.7.1 Account not allowed to send; authenticate first",
    "550 User has exceeded sending limit",
    "550 the user sari has not confirmed you; go to http://x to confirm (challenge)",
    "550 5.7.1 link in message invalid domain http://x",
    "550 5.1.1 Access denied",
    "550 5.7.0 invalid user credentials",
    "535 5.7.8 Error: authentication failed: user unknown",
    "550 Mailbox locked, try later: mailbox is being moved",
    "550 5.2.0 STOREDRV.Deliver: mailbox server offline",
    "554 5.3.0 local configuration error: unknown mailer",
    "550 Invalid MIME content: address unknown header",
    "550 recipient is over their message rate limit",
    "550 5.4.4 unable to route due to temporary DNS failure",
    "554 Reject: unknown sender domain",
    "550 your mail server is not a valid host",
    "550 Envelope sender domain invalid",
    "550 5.7.1 URL domain not found in whitelist",
    "550 Client host rejected: unknown hostname",
    "554 this message was rejected since the recipient does not want mail from you",
    "550 Mailbox unavailable or access denied",
    "550 5.2.1 Subject is Mandatory",
    "554 cox.example 192.0.2.1 blocked - see the postmaster page - IPBL0110",
]


@pytest.mark.parametrize("line", DEAD)
def test_dead_address_is_found(line: str) -> None:
    assert classify(parse_reply(line)).reply_class is ReplyClass.HARD


@pytest.mark.parametrize("line", ALIVE)
def test_good_address_is_never_blocked(line: str) -> None:
    got = classify(parse_reply(line))
    assert (got.reply_class, got.suppress) == (ReplyClass.SOFT, False)


#: What refusals of us, of our message or for now say; none of it may stand in a reply that blocks an address.
NOT_THE_ADDRESS = [
    "Your IP 192.0.2.1 is blacklisted", "blocked using zen.spamhaus.org", "Sender address rejected",
    "SPF check failed", "DMARC policy violation", "message looks like spam", "Message contains a virus",
    "attachment type not allowed", "rejected by local policy", "Helo command rejected", "no PTR record for 192.0.2.1",
    "poor reputation of sending IP", "Greylisted, try again later", "too many connections from your IP",
    "mailbox is full", "over quota", "message size exceeds limit", "relay access denied", "TLS required",
    "sender verify failed", "Sender domain does not exist", "not authorized to send to this group",
    "content rejected", "bad headers", "recipient only accepts mail from inside", "external senders are not allowed",
    "client host blocked", "we do not accept mail from your country", "your domain is banned",
    "rejected due to security policy", "recipient has blocked you",
]  # fmt: skip


def dead_lines() -> list[str]:
    """Every known wording of a dead address that is not the fixed template of one provider."""
    found = [sample.written for samples in own_samples().values() for sample in samples] + DEAD
    outcomes = [(line, classify(parse_reply(line))) for line in found]
    generic = ("text.", "code.")
    return [line for line, got in outcomes if got.reply_class is ReplyClass.HARD and got.rule.startswith(generic)]


@pytest.mark.parametrize("words", NOT_THE_ADDRESS)
def test_words_about_us_beside_a_dead_address_make_it_soft(words: str) -> None:
    """A reply that says both is never believed about the customer, wherever the words stand."""
    for line in dead_lines():
        code = line[:3]
        for reply in (f"{line}; {words}", f"{line[:4]}{words}: {line[4:]}", f"{line}\n{code} {words}"):
            got = classify(parse_reply(reply))
            assert got.reply_class is ReplyClass.SOFT, reply


#: Things that are not the customer, and what can be wrong with them.
OURS = [
    "sender", "sender's domain", "your domain", "your ip address", "your server", "client host", "helo name",
    "reply-to address", "reply-to domain", "return path", "envelope sender", "mail from address", "dkim key",
    "spf record", "ptr record", "certificate", "credentials", "your account", "your mailbox", "sending user",
    "authenticated user", "smtp user", "login user", "your address", "your email address", "hostname",
    "originating address", "source address", "bounce address", "from user", "submitter", "backend server", "database",
    "recipient's mail server", "url", "attachment", "from header", "content type", "policy service", "spam filter",
]  # fmt: skip
WRONG = [
    "unknown", "not found", "does not exist", "invalid", "not valid", "rejected", "disabled", "blocked", "unavailable",
    "suspended", "not recognized", "inactive", "locked", "closed", "no longer exists", "not registered", "expired",
]  # fmt: skip


@pytest.mark.parametrize("subject", OURS)
def test_what_is_wrong_with_anything_else_is_not_held_against_the_customer(subject: str) -> None:
    for fault, code in itertools.product(WRONG, ["550", "554", "550 5.7.1", "553", "550 5.1.0", "550 5.4.1"]):
        before = [] if fault.endswith(("exist", "exists", "found")) else [f"{fault} {subject}"]
        for text in (f"{subject} {fault}", f"the {subject} is {fault}", *before):
            got = classify(parse_reply(f"{code} {text}"))
            assert got.reply_class is ReplyClass.SOFT, f"{code} {text}: {got.rule}"


def test_rules_that_block_stand_behind_the_guards_or_are_bound_to_a_provider() -> None:
    """Words that could stand in anybody's reply must not blame the customer before the guards were asked."""
    rules = load_rules().rules
    first_guard = next(rule.rank for rule in rules if rule.name.startswith("guard."))
    fixed_templates = {"microsoft.recipient-not-found", "mimecast.invalid"}
    for rule in rules[:first_guard]:
        is_hard = rule.category in HARD
        is_bound = bool(rule.enhanced or rule.code or rule.provider or rule.pattern)
        assert not is_hard or is_bound or rule.name in fixed_templates or "delivery error" in rule.phrases[0], rule.name
