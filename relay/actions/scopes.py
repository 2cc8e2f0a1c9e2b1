"""On what a pause or an order is: everything, a site, a domain or an app; how that is written down and said."""

from __future__ import annotations

from relay.address import to_a_label
from relay.wording import say


def cleaned(scope: str, value: str) -> str:
    """Write the value as it is compared: a domain in ASCII, a site without what may stand behind its hosts."""
    if scope == "domain":
        return to_a_label(value) or value.lower()
    return value.partition(" ")[0].lower() if scope == "site" else value


def said(scope: str, value: str) -> str:
    """Say it behind "Sending …"."""
    words = {
        "all": say("to everyone"),
        "domain": say("to {domain}", domain=value),
        "site": say("to the servers {site}", site=value),
    }
    return words.get(scope, say("from {app}", app=value))
