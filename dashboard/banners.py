"""What a page says after something was done: (action, key of the answer) -> a sentence.

What is not in this table is said in the action's own words, which are English. {count} is how many were changed; the
others are texts of the Answer's own. Sections go by noun; keep them in the order of the routes.
"""

from __future__ import annotations

from dashboard.marking import N_

SENTENCES: dict[tuple[str, str], str] = {
    # -- messages
    ("resend", "done"): N_("Queued again. This page shows when it has arrived."),
    ("resend", "already_queued"): N_("It is on its way already: nothing was sent twice."),
    ("resend", "recent"): N_(
        "It was sent again a moment ago, so nothing was sent. Tick that you mean it to send one more."
    ),
    ("try", "done"): N_("It will be tried now."),
    ("hold", "done"): N_("Held: nothing is sent until it is released."),
    ("cancel", "done"): N_("Cancelled: it is not sent any more."),
    ("dealt-with", "done"): N_("Marked as dealt with."),
    ("dealt-with", "nothing_open"): N_("There is nothing to do for this address."),
    ("booking", "done"): N_("The booking is set."),
    ("booking", "bad_booking"): N_("Type the number of the booking, with at most 100 letters."),
    ("to-do", "done"): N_("It is on the to-do list now."),
    ("to-do", "already"): N_("It is on the to-do list already."),
    # -- customers and blocks
    # -- notices and incidents
    # -- queue
    # -- people
}
