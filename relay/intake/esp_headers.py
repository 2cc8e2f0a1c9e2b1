"""Read what an app tells about a mail in header fields: ours, and those it may already set for a mail service.

Ours are X-Waybill-Booking, -Customer, -Phone and -Tag, with the aliases X-Booking-Reference and X-Customer-Id. An app
that moves here from a mail service sets metadata in that service's fields; the same keys mean the same here. Values
are bounded and cleaned; JSON that cannot be read is ignored. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from relay.headers import Field, clean, decode_value
from relay.model import Reference

_MAX_JSON = 64 * 1024

_OWN = {
    "x-waybill-booking": "booking",
    "x-waybill-customer": "customer",
    "x-waybill-phone": "phone",
    "x-waybill-tag": "kind",
    "x-booking-reference": "booking",
    "x-customer-id": "customer",
}
_TAGS = frozenset({"x-pm-tag", "x-mailgun-tag", "x-mc-tags", "x-postal-tag", "x-tag"})
_METADATA_PREFIXES = ("x-pm-metadata-", "x-metadata-", "x-cuttlefish-metadata-")
_JSON = frozenset({"x-mailgun-variables", "x-mc-metadata", "x-mj-eventpayload", "x-smtpapi", "x-msys-api"})
_NESTED = ("unique_args", "metadata", "custom_args")

#: Metadata keys (lower case, without - _ and spaces) and what they name.
_KEYS = {
    **dict.fromkeys(("booking", "bookingid", "bookingreference", "bookingref", "bookingnumber"), "booking"),
    **dict.fromkeys(
        ("reservation", "reservationid", "reservationnumber", "order", "orderid", "ordernumber"), "booking"
    ),
    **dict.fromkeys(("customer", "customerid", "client", "clientid", "guest", "guestid"), "customer"),
    **dict.fromkeys(("phone", "phonenumber", "mobile", "telephone"), "phone"),
    **dict.fromkeys(("tag", "kind", "category", "type", "template"), "kind"),
}

#: Fields that are only a booking when they look like one of the app's.
LOOSE = frozenset({"x-entity-ref-id", "x-mj-customid"})


def in_field(field: Field) -> Iterator[Reference]:
    """Find references in one field whose name begins with x-."""
    name = field.name
    if name in _OWN:
        yield _reference(_OWN[name], decode_value(field.value, limit=200), name, source="header", confidence=100)
    elif name in _TAGS:
        yield _reference("kind", decode_value(field.value, limit=200).partition(",")[0], name)
    elif name.startswith(_METADATA_PREFIXES):
        key = next(name[len(prefix) :] for prefix in _METADATA_PREFIXES if name.startswith(prefix))
        yield from _from_pair(key, decode_value(field.value, limit=200), name)
    elif name == "x-ses-message-tags":
        for pair in decode_value(field.value, limit=2000).split(","):
            key, _, value = pair.partition("=")
            yield from _from_pair(key, value, name)
    elif name in _JSON:
        yield from _from_json(field.value, name)


def _from_json(raw: bytes, name: str) -> Iterator[Reference]:
    if len(raw) > _MAX_JSON:
        return
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if not isinstance(data, dict):
        return
    for holder in (data, *(data.get(key) for key in _NESTED)):
        if isinstance(holder, dict):
            for key, value in list(holder.items())[:100]:
                first = value[0] if isinstance(value, list) and value else value
                if isinstance(first, str | int):
                    yield from _from_pair(str(key), str(first), name)


def _from_pair(key: str, value: str, name: str) -> Iterator[Reference]:
    normalised = key.strip().lower().replace("_", "").replace("-", "").replace(" ", "")
    kind = _KEYS.get(normalised)
    if kind is not None:
        yield _reference(kind, value, f"{name} {clean(key.strip(), limit=40)}")


def _reference(kind: str, value: str, rule: str, *, source: str = "esp_header", confidence: int = 90) -> Reference:
    return Reference(kind=kind, value=clean(value.strip(), limit=200), source=source, rule=rule, confidence=confidence)
