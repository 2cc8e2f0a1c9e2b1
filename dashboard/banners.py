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
    # -- customers and blocks
    # -- notices and incidents
    ("send_test", "done"): N_("The test email is queued. The tick turns green when it has arrived."),
    ("correct", "sent_again"): N_(
        "The address is corrected, {count} sent again. This page shows when it has arrived. "
        "Correct it in the booking system too."
    ),
    ("correct", "corrected"): N_("The address is corrected. Correct it in the booking system too."),
    ("notice_resolve", "done"): N_("Marked as dealt with: {count}."),
    ("notice_clear", "done"): N_("Cleared: {count}. Nothing else was changed."),
    ("notice_reopen", "done"): N_("Open again: {count}."),
    ("notice_undo", "done"): N_("Undone. Open again: {count}."),
    ("notice_undo", "too_late"): N_("There is nothing to undo any more."),
    ("notice_assign", "done"): N_("Assigned: {count}."),
    ("notice_note", "done"): N_("The note is kept."),
    ("incident_close", "done"): N_("The incident is closed. What waited for it goes out now: {count}."),
    ("incident_resend", "done"): N_("Sent again: {count}."),
    # -- queue
    # -- people
}
