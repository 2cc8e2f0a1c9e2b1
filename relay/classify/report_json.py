"""Read the notifications that Amazon SES sends by mail: one JSON object, with or without the envelope of its topic.

It reads bounces, complaints and deliveries. What is not such an object is left to the other readers; whatever the
object holds, nothing raises. Pure.
"""

from __future__ import annotations

import json
from typing import Any

from relay.classify.arf import Feedback
from relay.classify.report_dsn import StatusGroup, read_address

_MAX_RECIPIENTS = 100
_MAX_NESTED = 2


def read_notification(text: str) -> Feedback | list[StatusGroup]:
    """Give the complaint, or one group per recipient; an empty list when the text is no notification."""
    start = text.find("{")
    if start < 0 or not ('"notificationType"' in text or '"eventType"' in text or '\\"notificationType' in text):
        return []
    found = _load(text[start:])
    for _ in range(_MAX_NESTED):
        if isinstance(found.get("Message"), str):
            found = _load(found["Message"])
    kind = str(found.get("notificationType") or found.get("eventType") or "").lower()
    part = found.get(kind)
    if not isinstance(part, dict):
        return []
    if kind == "complaint":
        feedback = str(part.get("complaintFeedbackType") or "abuse")
        recipients = tuple(_text(entry, "emailAddress") for entry in _entries(part.get("complainedRecipients")))
        return Feedback(
            is_complaint=feedback != "not-spam",
            feedback_type=feedback,
            recipients=tuple(address for address in recipients if address),
        )
    if kind == "bounce":
        is_final = str(part.get("bounceType")).lower() != "delayed"
        return [_failed(entry, is_final=is_final) for entry in _entries(part.get("bouncedRecipients"))]
    if kind == "deliverydelay":
        return [_failed(entry, is_final=False) for entry in _entries(part.get("delayedRecipients"))]
    if kind == "delivery":
        return [_delivered(address, part) for address in _strings(part.get("recipients"))]
    return []


def _load(text: str) -> dict[str, Any]:
    """Decode the object that a text starts with; line breaks inside strings come from folding."""
    try:
        found, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        try:
            found, _ = json.JSONDecoder(strict=False).raw_decode(text.replace("\n", ""))
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, dict) else {}


def _entries(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value[:_MAX_RECIPIENTS] if isinstance(entry, dict)] if isinstance(value, list) else []


def _strings(value: object) -> list[str]:
    return [entry for entry in value[:_MAX_RECIPIENTS] if isinstance(entry, str)] if isinstance(value, list) else []


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _failed(entry: dict[str, Any], *, is_final: bool) -> StatusGroup:
    return StatusGroup(
        address=read_address(_text(entry, "emailAddress")),
        original=None,
        action="failed" if is_final else "delayed",
        status=_text(entry, "status") or None,
        diagnostic=_text(entry, "diagnosticCode"),
        note="",
    )


def _delivered(address: str, part: dict[str, Any]) -> StatusGroup:
    return StatusGroup(
        address=read_address(address),
        original=None,
        action="delivered",
        status=None,
        diagnostic=_text(part, "smtpResponse"),
        note="",
    )
