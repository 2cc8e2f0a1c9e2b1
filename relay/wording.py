"""Word a sentence of ours from a template and its values, so that it can be worded again in another language.

What the relay says to people (answers of actions, events, findings of the doctor) is English and is kept as text: the
store, the log and the command line need nothing else. Every such sentence is made here, from a template that stands in
the source once. The templates are the msgids of the dashboard's catalogues (dashboard/catalogues.py finds the calls of
`say`), and by them the dashboard knows a sentence again and tells it in the reader's language (dashboard/retelling.py),
one that was kept years ago too.

A template has {values} and [optional parts with one {value}], which are left out when the value is "" or None. What a
value is shows in its name: those of OURS are words of ours again, those of TIMES are times as `at` writes them, and
every other is somebody else's word (an address, a reply) that nobody translates. Those of FREE may hold sentences and
those of TIGHT no blank, which tells apart templates that are alike. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

#: Values that are worded by `say` themselves.
OURS = frozenset({"what", "which", "why", "how", "role", "spf", "dkim"})

#: Values that somebody typed, or a server said: with sentences in them, maybe.
FREE = frozenset({"note", "reply", "text"})

#: Values without a blank: addresses, hosts, numbers, roles.
TIGHT = frozenset(
    {
        *("address", "asked", "asked_for", "old", "new", "whom", "key"),
        *("domain", "envelope", "host", "ehlo", "ip", "smarthost", "zone"),
        *("count", "number", "id", "incident_id", "report_id", "wanted_id", "port", "version", "bits", "seconds"),
        "role",
    }
)

#: Values that are times.
TIMES = frozenset({"at", "since", "until"})

_PART = re.compile(r"\[([^\[\]{}]*)\{(\w+)\}([^\[\]{}]*)\]|\{(\w+)\}")


def say(template: str, /, **values: object) -> str:
    """Give the English sentence; `template` must be written out where it is used."""
    return fill(template, {name: "" if value is None else str(value) for name, value in values.items()})


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put the values into a template, in whatever language it is."""

    def filled(part: re.Match[str]) -> str:
        before, optional, after, name = part.groups()
        if name is not None:
            return values[name]
        return f"{before}{values[optional]}{after}" if values[optional] else ""

    return _PART.sub(filled, template)


def at(when: datetime | None) -> str | None:
    """Write a time as sentences hold it; None stays None."""
    return None if when is None else f"{when:%Y-%m-%d %H:%M} UTC"


def variants(template: str) -> list[str]:
    """Give a template with and without each of its optional parts, as templates without such."""
    found = re.search(r"\[([^\[\]{}]*\{\w+\}[^\[\]{}]*)\]", template)
    if found is None:
        return [template]
    before, after = template[: found.start()], template[found.end() :]
    return [*variants(f"{before}{found[1]}{after}"), *variants(before + after)]
