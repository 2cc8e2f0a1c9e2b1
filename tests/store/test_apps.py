"""What the mail of late says about an app, and what a booking picture would find in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from relay.model import Refusal
from relay.picture_trial import fault_of_picture, try_picture
from relay.store import apps, refusals, spool
from relay.store.engine import EngineStore
from tests.store.making import HOUR, MINUTE, NOW, submission


def put(store: EngineStore, subject: str, text: str = "See you.", **values: Any) -> None:
    head = f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    made = submission("guest@example.com", subject=subject, content=head.encode(), message_id=f"<{subject}@a>")
    made = replace(made, message=replace(made.message, **values))
    store.write_now(lambda tx: spool.accept(tx, made))


def refuse(store: EngineStore, app: str | None, reason: str, *, ago: int) -> None:
    one = Refusal(
        at=NOW - ago * MINUTE,
        listener="127.0.0.1:2525",
        client_ip="192.0.2.7",
        stage="rcpt",
        code=550,
        enhanced="5.7.1",
        text="no",
        reason=reason,
        app=app,
    )
    store.write_now(lambda tx: refusals.add(tx, one))


def test_an_apps_newest_mail_tells_about_it(store: EngineStore) -> None:
    put(store, "one", booking="BK-1", kind="reminder", repairs=("bare_lf", "date_added"))
    put(store, "two", kind="reminder", repairs=("bare_lf",), accepted_at=NOW + HOUR)
    put(store, "three", app="spa")
    found = store.read_now(apps.recent)
    assert set(found) == {"hotel", "spa"}
    hotel = found["hotel"]
    assert (hotel.last_at, hotel.coverage, hotel.kinds) == (NOW + HOUR, 0.5, [("reminder", 2)])
    assert hotel.repairs == [("bare_lf", 2), ("date_added", 1)]
    assert found["spa"].kinds == [("", 1)]
    assert [mail.subject for mail in store.read_now(lambda tx: apps.of_app(tx, "hotel", each=1)).mails] == ["two"]
    assert store.read_now(lambda tx: apps.of_app(tx, "none")) == apps.AppUse()
    assert apps.AppUse().coverage is None


def test_refusals_are_counted_by_app_and_reason(store: EngineStore) -> None:
    refuse(store, "hotel", "too_large", ago=90)
    refuse(store, "hotel", "too_large", ago=30)
    refuse(store, "hotel", "too_large", ago=10)
    refuse(store, None, "auth_failed", ago=5)
    found = store.read_now(lambda tx: apps.refused(tx, since=NOW - HOUR))
    assert [(one.app, one.reason, one.count) for one in found] == [("hotel", "too_large", 2), (None, "auth_failed", 1)]
    assert found[0].last_at == NOW - 10 * MINUTE


def test_a_picture_finds_what_intake_would_find(store: EngineStore) -> None:
    put(store, "Booking BK-20931", booking="BK-20931")
    put(store, "Your stay", text="Number: bk-11111 and BK-22222")
    put(store, "Hello", text="nothing", accepted_at=NOW)
    rows = store.read_now(lambda tx: try_picture(tx, "hotel", "BK-#####"))
    assert [(row.subject, row.known, row.found) for row in rows] == [
        ("Hello", None, ()),
        ("Your stay", None, ("bk-11111", "BK-22222")),
        ("Booking BK-20931", "BK-20931", ("BK-20931",)),
    ]
    assert not any(row.is_subject_only for row in rows)


def test_where_the_content_is_gone_the_subject_is_tried(store: EngineStore, meddle: Callable[[str], None]) -> None:
    put(store, "Bokning BK-20931 på väg", store_content="none", text="BK-99999")
    meddle("DELETE FROM content")
    (row,) = store.read_now(lambda tx: try_picture(tx, "hotel", "BK-#####"))
    assert (row.found, row.is_subject_only) == (("BK-20931",), True)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("BK-#####", None),
        ("@@ ***", None),
        ("re:(a+)+$", "regular"),
        ("BK", "needs"),
        ("#" * 61, "60"),
        ("*a*a*a*a", "three"),
        ("****", "three"),
    ],
)
def test_only_a_picture_that_is_quick_is_tried(store: EngineStore, picture: str, said: str | None) -> None:
    fault = fault_of_picture(picture)
    assert (fault is None) if said is None else (fault is not None and said in fault)
    if said is not None:
        with pytest.raises(ValueError, match="picture"):
            store.read_now(lambda tx: try_picture(tx, "hotel", picture))
