"""Why an address is blocked, for people; without the words of the trade."""

from __future__ import annotations

from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.model import Suppression

#: Suppression.reason -> one sentence.
REASONS = {
    "manual": N_("Blocked by a person."),
    "invalid_address": N_("The address does not exist."),
    "invalid_domain": N_("There is no mail service at this domain."),
    "errors": N_("Too many errors in a row."),
    "complaint": N_("The customer marked our email as spam."),
}

#: Suppression.source -> where it comes from.
SOURCES = {
    "automatic": N_("automatically"),
    "manual": N_("by hand"),
    "complaint": N_("after a complaint"),
    "import": N_("from an imported list"),
}


def why(block: Suppression, tongue: Tongue) -> str:
    """Say why something is blocked, in one or two sentences."""
    said = tongue.text(REASONS.get(block.reason, N_("Blocked.")))
    if block.reason == "manual" and block.by:
        said = tongue.text(N_("Blocked by %(name)s.")) % {"name": block.by}
    if block.scope == "domain":
        said += " " + tongue.text(N_("This holds for all of %(domain)s.")) % {"domain": block.value}
    if block.app:
        said += " " + tongue.text(N_("This holds for email from %(app)s.")) % {"app": block.app}
    return said
