"""Between rows and the frozen values of model.py: the one place that knows both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

from relay.model import (
    AddressRecord,
    Attempt,
    Blame,
    Category,
    Delivery,
    DeliveryId,
    Event,
    Message,
    MessageId,
    Outcome,
    Reference,
    Refusal,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.status import Status
from relay.store.protocols import Row, Value


def ids_param(ids: Iterable[str]) -> str:
    """Write ids as the JSON list that statements with a list take."""
    return json.dumps(list(ids))


def message_params(m: Message) -> dict[str, Value]:
    return {
        "id": m.id,
        "accepted_at": m.accepted_at,
        "app": m.app,
        "mail_from": m.mail_from,
        "header_from": m.header_from,
        "from_name": m.from_name,
        "reply_to": m.reply_to,
        "subject": m.subject,
        "message_id": m.message_id,
        "size": m.size,
        "kind": m.kind,
        "booking": m.booking,
        "customer": m.customer,
        "phone": m.phone,
        "expires_at": m.expires_at,
        "event_at": m.event_at,
        "listener": m.listener,
        "client_ip": m.client_ip,
        "helo": m.helo,
        "auth_user": m.auth_user,
        "tls": m.tls,
        "is_8bit": int(m.is_8bit),
        "is_smtputf8": int(m.is_smtputf8),
        "ret": m.ret,
        "envid": m.envid,
        "repairs": " ".join(m.repairs),
        "duplicate_of": m.duplicate_of,
        "store_content": m.store_content,
    }


def message(row: Row) -> Message:
    return Message(
        id=MessageId(row["id"]),
        accepted_at=row["accepted_at"],
        app=row["app"],
        mail_from=row["mail_from"],
        header_from=row["header_from"],
        from_name=row["from_name"],
        reply_to=row["reply_to"],
        subject=row["subject"],
        message_id=row["message_id"],
        size=row["size"],
        kind=row["kind"],
        booking=row["booking"],
        customer=row["customer"],
        phone=row["phone"],
        expires_at=row["expires_at"],
        event_at=row["event_at"],
        listener=row["listener"],
        client_ip=row["client_ip"],
        helo=row["helo"],
        auth_user=row["auth_user"],
        tls=row["tls"],
        is_8bit=bool(row["is_8bit"]),
        is_smtputf8=bool(row["is_smtputf8"]),
        ret=row["ret"],
        envid=row["envid"],
        repairs=tuple(row["repairs"].split()),
        duplicate_of=row["duplicate_of"],
        store_content=row["store_content"],
    )


def delivery_params(d: Delivery, *, address_key: str) -> dict[str, Value]:
    return {
        "id": d.id,
        "message_id": d.message_id,
        "address": d.address,
        "address_key": address_key,
        "domain": d.domain,
        "name": d.name,
        "intended": d.intended,
        "status": d.status.value,
        "category": _word(d.category),
        "blame": _word(d.blame),
        "rule": d.rule,
        "attempts": d.attempts,
        "created_at": d.created_at,
        "next_at": d.next_at,
        "held": d.held,
        "code": d.code,
        "enhanced": d.enhanced,
        "reply": d.reply,
        "mx": d.mx,
        "delivered_at": d.delivered_at,
        "ended_at": d.ended_at,
        "resend_of": d.resend_of,
        "form": d.form,
        "notify": d.notify,
        "orcpt": d.orcpt,
        "dsn": d.dsn,
        "by": d.by,
        "is_unknown": int(d.is_unknown),
        "marks": " ".join(d.marks),
    }


def delivery(row: Row) -> Delivery:
    category, blame = row["category"], row["blame"]
    return Delivery(
        id=DeliveryId(row["id"]),
        message_id=MessageId(row["message_id"]),
        address=row["address"],
        domain=row["domain"],
        status=Status(row["status"]),
        created_at=row["created_at"],
        name=row["name"],
        intended=row["intended"],
        category=Category(category) if category else None,
        blame=Blame(blame) if blame else None,
        rule=row["rule"],
        attempts=row["attempts"],
        next_at=row["next_at"],
        lease_owner=row["lease_owner"],
        held=row["held"],
        code=row["code"],
        enhanced=row["enhanced"],
        reply=row["reply"],
        mx=row["mx"],
        delivered_at=row["delivered_at"],
        ended_at=row["ended_at"],
        resend_of=row["resend_of"],
        form=row["form"],
        notify=row["notify"],
        orcpt=row["orcpt"],
        dsn=row["dsn"],
        by=row["by"],
        is_unknown=bool(row["is_unknown"]),
        marks=tuple(row["marks"].split()),
    )


def attempt_params(a: Attempt) -> dict[str, Value]:
    outcome = a.outcome
    return {
        "delivery_id": a.delivery_id,
        "number": a.number,
        "started_at": a.started_at,
        "took_ms": round(a.took / timedelta(milliseconds=1)),
        "mx": a.mx,
        "ip": a.ip,
        "source": a.source,
        "tls": a.tls,
        "tls_decision": a.tls_decision,
        "stage": a.reply.stage.value,
        "code": a.reply.code,
        "enhanced": a.reply.enhanced,
        "text": a.reply.text,
        "class": outcome.reply_class.value if outcome else None,
        "category": outcome.category.value if outcome else None,
        "blame": outcome.blame.value if outcome else None,
        "rule": outcome.rule if outcome else None,
        "timings": json.dumps({step: round(seconds * 1000, 2) for step, seconds in a.timings.items()}),
        "conversation": a.conversation,
        "is_unknown": int(a.is_unknown),
        "reused": int(a.reused),
    }


def attempt(row: Row) -> Attempt:
    outcome = None
    if row["class"]:
        outcome = Outcome(
            reply_class=ReplyClass(row["class"]),
            category=Category(row["category"]),
            blame=Blame(row["blame"]),
            rule=row["rule"],
        )
    return Attempt(
        delivery_id=DeliveryId(row["delivery_id"]),
        number=row["number"],
        started_at=row["started_at"],
        took=timedelta(milliseconds=row["took_ms"]),
        reply=Reply(
            stage=Stage(row["stage"]), code=row["code"], enhanced=row["enhanced"], text=row["text"], host=row["mx"]
        ),
        mx=row["mx"],
        ip=row["ip"],
        source=row["source"],
        tls=row["tls"],
        tls_decision=row["tls_decision"],
        outcome=outcome,
        timings={step: ms / 1000 for step, ms in json.loads(row["timings"]).items()},
        conversation=row["conversation"],
        is_unknown=bool(row["is_unknown"]),
        reused=bool(row["reused"]),
    )


def reference(row: Row) -> Reference:
    return Reference(
        kind=row["kind"], value=row["value"], source=row["source"], rule=row["rule"], confidence=row["confidence"]
    )


def suppression_params(s: Suppression) -> dict[str, Value]:
    return {
        "scope": s.scope,
        "value": s.value,
        "reason": s.reason,
        "source": s.source,
        "category": _word(s.category),
        "note": s.note,
        "by": s.by,
        "since_at": s.since_at,
        "until_at": s.until_at,
        "delivery_id": s.delivery_id,
        "reply": s.reply,
        "app": s.app,
        "rule": s.rule,
    }


def suppression(row: Row) -> Suppression:
    return Suppression(
        id=row["id"],
        scope=row["scope"],
        value=row["value"],
        reason=row["reason"],
        source=row["source"],
        category=Category(row["category"]) if row["category"] else None,
        note=row["note"],
        by=row["by"],
        since_at=row["since_at"],
        until_at=row["until_at"],
        delivery_id=row["delivery_id"],
        reply=row["reply"],
        app=row["app"],
        rule=row["rule"],
    )


def address(row: Row) -> AddressRecord:
    return AddressRecord(
        address=row["address"],
        shown=row["shown"],
        error_count=row["error_count"],
        last_error_at=row["last_error_at"],
        last_category=Category(row["last_category"]) if row["last_category"] else None,
        last_reply=row["last_reply"],
        last_delivery_id=row["last_delivery_id"],
        last_delivered_at=row["last_delivered_at"],
        name=row["name"],
        phone=row["phone"],
        customer=row["customer"],
        corrected_to=row["corrected_to"],
        corrected_at=row["corrected_at"],
        reset_at=row["reset_at"],
    )


def event(row: Row) -> Event:
    return Event(
        at=row["at"],
        kind=row["kind"],
        text=row["text"],
        message_id=row["message_id"],
        delivery_id=row["delivery_id"],
        address=row["address"],
        by=row["by"],
    )


def refusal(row: Row) -> Refusal:
    return Refusal(
        at=row["at"],
        listener=row["listener"],
        client_ip=row["client_ip"],
        stage=row["stage"],
        code=row["code"],
        enhanced=row["enhanced"],
        text=row["text"],
        reason=row["reason"],
        app=row["app"],
        helo=row["helo"],
        auth_user=row["auth_user"],
        mail_from=row["mail_from"],
        rcpt_to=row["rcpt_to"],
    )


def _word(value: Category | Blame | None) -> str | None:
    return value.value if value is not None else None
