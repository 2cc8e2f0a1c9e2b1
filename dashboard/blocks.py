"""Why an address is blocked, for people; without the words of the trade."""

from __future__ import annotations

from dashboard import labels
from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.model import Suppression

#: Suppression.source -> where it comes from.
SOURCES = {
    "automatic": N_("automatically"),
    "manual": N_("by hand"),
    "complaint": N_("after a complaint"),
    "import": N_("from an imported list"),
}


def why(block: Suppression, tongue: Tongue) -> str:
    """Say why something is blocked, in one or two sentences."""
    said = tongue.text(labels.BLOCK.get(block.reason, N_("Blocked"))) + "."
    if block.reason == "manual" and block.by:
        said = tongue.text(N_("Blocked by %(name)s.")) % {"name": block.by}
    if block.scope == "domain":
        said += " " + tongue.text(N_("This holds for all of %(domain)s.")) % {"domain": block.value}
    if block.app:
        said += " " + tongue.text(N_("This holds for email from %(app)s.")) % {"app": block.app}
    return said
