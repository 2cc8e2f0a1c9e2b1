"""Read delivery status notifications: one statement per recipient, in the part made for machines.

Policy. The fields are taken from message/delivery-status, or from a text in which the part was flattened. The action
decides the kind; where it is missing or unknown the first digit of the status does. An address is read out of whatever
form it has (rfc822;, LOCAL;, angle brackets, escaped @, comments); where Final-Recipient holds none, X-Actual-Recipient
or Original-Recipient stands in. Two addresses that differ tell of forwarding: both are kept. RFC 3464, RFC 6533. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.classify.mime import Part, text_of
from relay.classify.report_verdict import find_status

_MAX_RECIPIENTS = 50
_MAX_TEXT = 64 * 1024
_MAX_VALUE = 3000

_STATUS_PARTS = frozenset({"message/delivery-status", "message/global-delivery-status", "text/delivery-status"})
_FLATTENED = re.compile(r"^[ \t]{0,4}final-recipient[ \t]{0,4}:", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"[ \t]{0,4}([A-Za-z][A-Za-z-]{2,40})[ \t]{0,4}:[ \t]{0,8}(.{0,3000})")
_ADDRESS = re.compile(r"<?\s{0,2}((?:\"[^\"@]{1,64}\"|[^\s<>;,\"()]{1,128})@[^\s<>;,\"()]{1,255})")
_TYPE = re.compile(r"\s{0,4}([A-Za-z0-9-]{1,30})\s{0,4};\s{0,4}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_RECIPIENT_FIELDS = frozenset({"final-recipient", "original-recipient", "x-actual-recipient"})

_ACTIONS = {
    **dict.fromkeys(("failed", "failure", "fail", "fatal", "undeliverable", "bounced"), "failed"),
    **dict.fromkeys(("delayed", "delay", "deferred", "queued"), "delayed"),
    **dict.fromkeys(("delivered", "deliverable", "success", "successful", "deliver"), "delivered"),
    "relayed": "relayed",
    "expanded": "expanded",
}
_BY_DIGIT = {"2": "delivered", "4": "delayed", "5": "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusGroup:
    """What the notification says about one recipient."""

    address: str | None
    original: str | None
    action: str | None
    status: str | None
    diagnostic: str  #: with its type, such as "smtp; 550 …"
    note: str  #: other words beside the codes


def read_status(mail: Part) -> list[StatusGroup]:
    """Give one group per recipient; none when this is no delivery status notification."""
    texts = [text_of(part) for part in mail.walk() if part.content_type in _STATUS_PARTS]
    if not texts:
        texts = [text for text in _flattened(mail) if _FLATTENED.search(text[:_MAX_TEXT])]
    groups: list[StatusGroup] = []
    for text in texts:
        for fields in _groups(text[:_MAX_TEXT]):
            group = _group(fields)
            if group is not None and group not in groups and len(groups) < _MAX_RECIPIENTS:
                groups.append(group)
    return groups


def _flattened(mail: Part) -> list[str]:
    return [text_of(part) for part in mail.walk() if part.content_type == "text/plain" and not part.children]


def _groups(text: str) -> list[dict[str, list[str]]]:
    """Collect fields; a recipient's group starts at its first recipient field after a finished one."""
    groups: list[dict[str, list[str]]] = [{}]
    last: list[str] | None = None
    for line in text.split("\n"):
        match = _FIELD.match(line)
        if line[:1] in (" ", "\t") and last is not None and not (match and match[1].lower() in _KNOWN):
            last[-1] = f"{last[-1]}\n{line.strip()}"[:_MAX_VALUE]
            continue
        last = None
        if not line.strip():
            if groups[-1]:
                groups.append({})
        elif match:
            name = match[1].lower()
            if name in groups[-1] and name in _ONCE:
                groups.append({})
            last = groups[-1].setdefault(name, [])
            last.append(match[2].strip())
    return _joined(groups)


_ONCE = frozenset({"final-recipient", "action", "status"})
_KNOWN = _RECIPIENT_FIELDS | {"action", "status", "diagnostic-code", "remote-mta", "last-attempt-date", "reporting-mta"}


def _joined(groups: list[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Rejoin a group that stray empty lines have cut: recipient in one piece, action and status in the next."""
    joined: list[dict[str, list[str]]] = []
    for group in groups:
        before = joined[-1] if joined else None
        if before is not None and _completes(before, group):
            before.update(group)
        else:
            joined.append(dict(group))
    return joined


def _completes(before: dict[str, list[str]], group: dict[str, list[str]]) -> bool:
    if not group or _RECIPIENT_FIELDS.isdisjoint(before) or not before.keys().isdisjoint(group):
        return False
    return _RECIPIENT_FIELDS.isdisjoint(group) or "action" not in before


def _group(fields: dict[str, list[str]]) -> StatusGroup | None:
    final = read_address(_one(fields, "final-recipient"))
    actual = read_address(_one(fields, "x-actual-recipient"))
    original = read_address(_one(fields, "original-recipient"))
    stated = _one(fields, "status")
    diagnostic = "\n".join(fields.get("diagnostic-code", []))[:_MAX_VALUE]
    status = find_status(stated) or None
    if status is None or status.endswith(".0.0"):
        status = find_status(diagnostic) or status
    action = _action(_one(fields, "action"), status)
    address = final or actual or original
    if address is None and (action is None or fields.keys().isdisjoint(("final-recipient", "diagnostic-code"))):
        return None
    before = original if original and address and original.lower() != address.lower() else None
    note = "\n".join(value for name in ("x-supplementary-info", "x-notes") for value in fields.get(name, []))
    comment = stated.partition("(")[2].rstrip(")")
    return StatusGroup(
        address=address,
        original=before,
        action=action,
        status=status,
        diagnostic=diagnostic,
        note=f"{comment}\n{note}".strip(),
    )


def _one(fields: dict[str, list[str]], name: str) -> str:
    return fields[name][0] if name in fields else ""


def _action(stated: str, status: str | None) -> str | None:
    word = stated.lower().strip().split(" ")[0].strip("();,.")
    return _ACTIONS.get(word) or (_BY_DIGIT.get(status[0]) if status else None)


def read_address(value: str) -> str | None:
    """Read the address out of a recipient field; None when there is none."""
    kind = _TYPE.match(value)
    text = value[kind.end() :] if kind else value
    text = text.replace("\\@", "@").replace("\n", "")
    match = _ADDRESS.search(text)
    if match is None:
        return None
    address = match[1].strip("'`.<>")
    return _XTEXT.sub(_from_hex, address) if kind and "+" in address and _XTEXT.search(address) else address


def _from_hex(match: re.Match[str]) -> str:
    """Undo xtext only where it stands for a character that an address would have to hide."""
    character = chr(int(match[1], 16))
    return character if character in "+=" else match[0]
