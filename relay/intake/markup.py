"""Read bookings out of structured content: schema.org in HTML (JSON-LD, microdata) and iCalendar. Pure, bounded.

schema.org names the booking number, the guest and the start without any set-up; iCalendar gives the start and a UID,
which ties the mails of one event together but is rarely the booking number. Broken markup yields nothing.
schema.org Reservation, RFC 5545 3.8.2.4 and 3.8.4.7.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from relay.headers import clean
from relay.model import Reference

_MAX_SCRIPTS = 10
_MAX_SCRIPT = 128 * 1024
_MAX_NODES = 2000
_NUMBER_KEYS = ("reservationNumber", "reservationId", "confirmationNumber")
_START_KEYS = ("checkinTime", "checkinDate", "startTime", "startDate", "departureTime")
# Two steps, tag and then property: in one expression, every property of an endless tag would cost the tag's length.
_TAG = re.compile(r"<[a-z0-9]{1,10}\s([^<>]*)>([^<]{0,300})", re.IGNORECASE)
_PROPERTY = re.compile(
    r"itemprop\s*=\s*[\"']?(reservationNumber|reservationId|checkinTime|checkinDate"
    r"|startTime|startDate|underName|name)\b",
    re.IGNORECASE,
)
_CONTENT = re.compile(r"(?:content|datetime|value)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_ICAL_LINE = re.compile(r"^(UID|DTSTART)((?:;[^:\r\n]{0,200})?):([^\r\n]{1,500})", re.MULTILINE | re.IGNORECASE)
_ICAL_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?\Z")
_TZID = re.compile(r"TZID=\"?([^\":;,]{1,60})", re.IGNORECASE)


def in_html(text: str) -> list[Reference]:
    """Find reservations in an HTML text."""
    found = [reference for script in _scripts(text) for reference in _in_json_ld(script)]
    return found or _in_microdata(text)


def _scripts(text: str) -> Iterator[str]:
    lowered = text.lower()
    position = 0
    for _ in range(_MAX_SCRIPTS):
        at = lowered.find("application/ld+json", position)
        if at < 0:
            return
        start = lowered.find(">", at) + 1
        end = lowered.find("</script", start)
        if start <= 0 or end < 0:
            return
        if end - start <= _MAX_SCRIPT:
            yield text[start:end]
        position = end


def _in_json_ld(script: str) -> Iterator[Reference]:
    try:
        data = json.loads(script)
    except (ValueError, RecursionError):
        return
    for node in _nodes(data):
        number = next((node[key] for key in _NUMBER_KEYS if isinstance(node.get(key), str | int)), None)
        if number is None:
            continue
        yield _reference("booking", str(number), "JSON-LD reservationNumber")
        person = node.get("underName")
        if isinstance(person, dict) and isinstance(person.get("name"), str):
            yield _reference("name", person["name"], "JSON-LD underName")
        target = node.get("reservationFor")
        for holder in (node, target if isinstance(target, dict) else {}):
            start = next((holder[key] for key in _START_KEYS if isinstance(holder.get(key), str)), None)
            if start is not None:
                yield _reference("event_start", str(start), "JSON-LD start")
                break


def _nodes(data: object) -> Iterator[dict[str, object]]:
    waiting = [data]
    for _ in range(_MAX_NODES):
        if not waiting:
            return
        node = waiting.pop(0) if len(waiting) < 50 else waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(value for value in node.values() if isinstance(value, dict | list))
        elif isinstance(node, list):
            waiting.extend(node[:200])


def _in_microdata(text: str) -> list[Reference]:
    found: list[Reference] = []
    is_person = False
    for tag in _TAG.finditer(text):
        attributes, content = tag.groups()
        match = _PROPERTY.search(attributes)
        if match is None:
            continue
        name = match[1].lower()
        given = _CONTENT.search(attributes)
        value = html.unescape((given[1] or given[2]) if given else content).strip()
        if name == "undername":
            is_person = True
        elif name == "name" and is_person:
            found.append(_reference("name", value, "microdata underName"))
            is_person = False
        elif name.startswith("reservation"):
            found.append(_reference("booking", value, "microdata reservationNumber"))
        elif name != "name":
            found.append(_reference("event_start", value, "microdata start"))
        if len(found) >= 20:
            break
    has_booking = any(reference.kind == "booking" for reference in found)
    return [reference for reference in found if reference.value] if has_booking else []


def _reference(kind: str, value: str, rule: str) -> Reference:
    return Reference(kind=kind, value=clean(value, limit=200), source="schema_org", rule=rule, confidence=95)


def in_calendar(text: str) -> list[Reference]:
    """Find the start and the UID of the first event in an iCalendar text."""
    unfolded = text.replace("\r\n ", "").replace("\r\n\t", "").replace("\n ", "")
    at = unfolded.upper().find("BEGIN:VEVENT")
    found: dict[str, Reference] = {}
    for match in _ICAL_LINE.finditer(unfolded, max(at, 0)):
        name = match[1].upper()
        if name in found:
            continue
        if name == "UID":
            value, kind = clean(match[3].strip(), limit=200), "thread"
        else:
            start = _ical_time(match[3].strip(), match[2])
            if start is None:
                continue
            is_day = "T" not in match[3].upper()
            value, kind = (start.date() if is_day else start).isoformat(), "event_start"
        found[name] = Reference(kind=kind, value=value, source="icalendar", rule=name, confidence=80)
        if len(found) == 2:
            break
    return list(found.values())


def _ical_time(value: str, parameters: str) -> datetime | None:
    match = _ICAL_TIME.match(value)
    if match is None:
        return None
    zone = _TZID.search(parameters)
    try:
        local = datetime(*(int(group or 0) for group in match.groups()[:6]))  # type: ignore[arg-type]
        return local.replace(tzinfo=ZoneInfo(zone[1]) if zone and not match[7] else UTC).astimezone(UTC)
    except (ValueError, OverflowError, OSError, KeyError):
        return None


def parse_start(value: str) -> datetime | None:
    """Read an ISO 8601 start; one without zone counts as UTC."""
    try:
        start = datetime.fromisoformat(value)
        return start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
