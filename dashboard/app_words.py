"""What an app did wrong, in words for the sysadmin: why its mail was refused, and what was mended in it."""

from __future__ import annotations

from dashboard.marking import N_

#: errors.Refused.reason -> what happened.
REASONS = {
    "auth_failed": N_("User or password was wrong."),
    "bad_command": N_("The app spoke the protocol wrongly, or too early."),
    "bad_content": N_("The email was broken beyond mending."),
    "loop": N_("The email went round in circles."),
    "no_recipients": N_("No recipient could be used."),
    "rate_limited": N_("More emails in a time than the app may send."),
    "sender_not_allowed": N_("The From address is none that the app may use."),
    "shortage": N_("We were short of space or time; the app was told to come again."),
    "store_trouble": N_("The store could not keep the email; the app was told to come again."),
    "tls_failed": N_("The encrypted connection failed."),
    "too_large": N_("The email was larger than the app may send."),
    "too_many_connections": N_("Too many connections at one time."),
    "too_many_recipients": N_("More recipients in one email than the app may send to."),
    "unknown_address": N_("A recipient's address was not written as an address is."),
    "unknown_client": N_("No app is known at that address with that sender."),
}

#: A repair of intake -> what was wrong, and what was done.
REPAIRS = {
    "bare_lf": N_("Lines ended in LF alone; they were given CR LF."),
    "bare_cr": N_("A CR stood inside a line; it became a space."),
    "mbox_line_removed": N_("The email began with a line of a mailbox file; it was removed."),
    "blank_line_removed": N_("Empty lines stood before the header; they were removed."),
    "header_added": N_("There was no header; one was made."),
    "blank_line_added": N_("No empty line stood between header and text; it was added."),
    "date_added": N_("There was no Date; it was added."),
    "message_id_added": N_("There was no Message-ID; it was added."),
    "from_added": N_("There was no From; the sender of the envelope was used."),
    "from_replaced": N_("The From address could not be used; the app's default was put in its place."),
    "bcc_removed": N_("Bcc named people who must not be seen; it was removed."),
    "private_headers_removed": N_("Fields meant for us alone were removed, as they should be."),
    "header_encoded": N_("Letters beyond ASCII stood in a header field as they are; they were encoded."),
    "charset_added": N_("The text did not say its alphabet; it was added."),
    "long_lines_wrapped": N_("Lines were too long; they were wrapped."),
    "long_lines_kept": N_("Lines are too long, and were kept because the email is signed."),
}
