"""What people do to mail, and what they ask: the command line, the pages and the API all call these functions.

Nothing else changes a delivery for a person. Each is a unit of work for `Store.write` (or `Store.read`, when it only
asks or plans): it does the thing and writes the event that says who did it, in one transaction. A refusal is an Answer
whose `is_done` is false, not an exception; its sentence is for people, its key is stable.
"""

from relay.actions.addresses import AddressCard, LastError, address_card
from relay.actions.answer import Answer
from relay.actions.asking import Inquiry, verdict_of_booking, why
from relay.actions.block_lists import ImportTally, export_blocks, import_blocks, import_list
from relay.actions.blocks import block, describe, extend, reset, target, unblock
from relay.actions.booking import set_booking
from relay.actions.bookings import (
    MOST_AT_ONCE,
    BookingCard,
    Involved,
    Resending,
    Skipped,
    booking_card,
    plan_booking_resend,
)
from relay.actions.correct import Correction, LeftOut, catch_up, correct, plan_correction
from relay.actions.customers import (
    Correspondence,
    CustomerCard,
    Match,
    correspondence,
    customer_card,
    customer_ids,
    find_customers,
    forms_in_list,
    has_mail_of,
    make_customer_ids,
)
from relay.actions.erase import erase_person, erase_some, export_person, look_for_person, untouched
from relay.actions.escalate import Ourselves, Papers, papers
from relay.actions.fixing import Fix, fix_address, foresee_fix
from relay.actions.incidents import Report as IncidentReport
from relay.actions.incidents import (
    close_incident,
    concerns,
    list_incidents,
    resend_failed,
    resend_part,
    show_incident,
)
from relay.actions.mails import Mail, mails
from relay.actions.many import MOST_RESENT, Chosen, Fate, ManyForeseen, Tally, foresee_many, resend_one_of_many
from relay.actions.nearest import Nearest, nearest
from relay.actions.notices import (
    Card,
    Wanted,
    add_many_notices,
    add_notice,
    assign_notices,
    choose_notices,
    clear_notices,
    is_for_desk,
    is_wrong_address,
    just_closed,
    list_notices,
    note_notices,
    reopen_notices,
    resolve_notices,
    show_notice,
    undo_closing,
)
from relay.actions.once import once
from relay.actions.queue import cancel, cancel_many, flush, hold, pause, release, resume
from relay.actions.reclassify import Change, Place, Readings, Reclassified, changed_readings, foresee, reclassify
from relay.actions.redirect import block_on, end_redirect, redirect
from relay.actions.reports import close_report
from relay.actions.resend import Plan, plan_resend, possible_forms, resend
from relay.actions.saved_views import (
    LONGEST_NAME,
    MOST_VIEWS,
    Owner,
    delete_view,
    list_views,
    rename_view,
    save_view,
)
from relay.actions.sending import make_test, send_test
from relay.actions.steering import end_reroute, end_slow, reroute, slow
from relay.actions.telling import Telling, tell
from relay.actions.undo import Undoing, Undone, plan_undo, undo
from relay.customer_ids import CustomerIds
from relay.why import Verdict

__all__ = [
    "LONGEST_NAME",
    "MOST_AT_ONCE",
    "MOST_RESENT",
    "MOST_VIEWS",
    "AddressCard",
    "Answer",
    "BookingCard",
    "Card",
    "Change",
    "Chosen",
    "Correction",
    "Correspondence",
    "CustomerCard",
    "CustomerIds",
    "Fate",
    "Fix",
    "ImportTally",
    "IncidentReport",
    "Inquiry",
    "Involved",
    "LastError",
    "LeftOut",
    "Mail",
    "ManyForeseen",
    "Match",
    "Nearest",
    "Ourselves",
    "Owner",
    "Papers",
    "Place",
    "Plan",
    "Readings",
    "Reclassified",
    "Resending",
    "Skipped",
    "Tally",
    "Telling",
    "Undoing",
    "Undone",
    "Verdict",
    "Wanted",
    "add_many_notices",
    "add_notice",
    "address_card",
    "assign_notices",
    "block",
    "block_on",
    "booking_card",
    "cancel",
    "cancel_many",
    "catch_up",
    "changed_readings",
    "choose_notices",
    "clear_notices",
    "close_incident",
    "close_report",
    "concerns",
    "correct",
    "correspondence",
    "customer_card",
    "customer_ids",
    "delete_view",
    "describe",
    "end_redirect",
    "end_reroute",
    "end_slow",
    "erase_person",
    "erase_some",
    "export_blocks",
    "export_person",
    "extend",
    "find_customers",
    "fix_address",
    "flush",
    "foresee",
    "foresee_fix",
    "foresee_many",
    "forms_in_list",
    "has_mail_of",
    "hold",
    "import_blocks",
    "import_list",
    "is_for_desk",
    "is_wrong_address",
    "just_closed",
    "list_incidents",
    "list_notices",
    "list_views",
    "look_for_person",
    "mails",
    "make_customer_ids",
    "make_test",
    "nearest",
    "note_notices",
    "once",
    "papers",
    "pause",
    "plan_booking_resend",
    "plan_correction",
    "plan_resend",
    "plan_undo",
    "possible_forms",
    "reclassify",
    "redirect",
    "release",
    "rename_view",
    "reopen_notices",
    "reroute",
    "resend",
    "resend_failed",
    "resend_one_of_many",
    "resend_part",
    "reset",
    "resolve_notices",
    "resume",
    "save_view",
    "send_test",
    "set_booking",
    "show_incident",
    "show_notice",
    "slow",
    "target",
    "tell",
    "unblock",
    "undo",
    "undo_closing",
    "untouched",
    "verdict_of_booking",
    "why",
]
