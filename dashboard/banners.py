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
    ("try-mail", "done"): N_("It will be tried now."),
    ("hold-mail", "done"): N_("Held: nothing is sent until it is released."),
    ("cancel", "done"): N_("Cancelled: it is not sent any more."),
    ("dealt-with", "done"): N_("Marked as dealt with."),
    ("dealt-with", "nothing_open"): N_("There is nothing to do for this address."),
    ("booking", "done"): N_("The booking is set."),
    ("booking", "bad_booking"): N_("Type the number of the booking, with at most 100 letters."),
    ("to-do", "done"): N_("It is on the to-do list now."),
    ("to-do", "already"): N_("It is on the to-do list already."),
    ("resend_many", "done"): N_("Queued again: {count}. The list shows when they have arrived."),
    # -- the log
    ("to-do_many", "done"): N_("On the to-do list now: {count}."),
    ("to-do_many", "partly"): N_(
        "On the to-do list now: {count}. The others stand there already, or nobody at the desk can help them."
    ),
    ("to-do_many", "nothing"): N_(
        "Nothing was added: they stand on the to-do list already, or nobody at the desk can help them."
    ),
    ("to-do_many", "none_ticked"): N_("Tick the emails that should go on the to-do list first."),
    ("save_view", "done"): N_("The view is saved. Colleagues see it too."),
    ("save_view", "taken"): N_("Not saved: there is a view of that name already."),
    ("save_view", "bad_name"): N_("Not saved: give the view a name of at most 60 letters."),
    ("save_view", "too_many"): N_("Not saved: there are 50 views already. Delete one first."),
    ("rename_view", "done"): N_("The view has its new name."),
    ("rename_view", "taken"): N_("Not renamed: there is a view of that name already."),
    ("rename_view", "bad_name"): N_("Not renamed: give the view a name of at most 60 letters."),
    ("rename_view", "not_found"): N_("There is no such view any more."),
    ("rename_view", "not_yours"): N_("Only whoever saved a view, or an admin, may change it."),
    ("delete_view", "done"): N_("The view is deleted. The emails it showed are still there."),
    ("delete_view", "not_found"): N_("There is no such view any more."),
    ("delete_view", "not_yours"): N_("Only whoever saved a view, or an admin, may change it."),
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
    ("pause", "done"): N_("Paused. New mail is still taken in and waits."),
    ("pause", "already_paused"): N_("It was paused already; nothing was changed."),
    ("resume", "done"): N_("Sending goes on."),
    ("resume", "not_paused"): N_("It was not paused."),
    ("slow", "done"): N_("Mail goes more slowly now."),
    ("end_slow", "done"): N_("Mail goes at the usual pace again."),
    ("end_slow", "not_slowed"): N_("It was not slowed down."),
    ("reroute", "done"): N_("Mail goes through the other host now; what waited is tried there at once."),
    ("end_reroute", "done"): N_("Mail goes the usual way again."),
    ("end_reroute", "not_rerouted"): N_("It went the usual way already."),
    ("try", "done"): N_("Emails to be tried now: {count}."),
    ("hold", "done"): N_("Emails held: {count}."),
    ("give_up", "done"): N_("Emails given up: {count}."),
    # -- domains
    ("check", "done"): N_("Being checked. The result appears here by itself."),
    ("check", "busy"): N_("Another check is running. Try again when it has ended."),
    # -- people
}
