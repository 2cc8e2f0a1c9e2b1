"""relay/why.py: which delivery speaks for the whole, and the verdict of every status."""

from __future__ import annotations

import pytest

from relay.model import DeliveryId
from relay.status import Status
from relay.why import Candidate, Verdict, deciding, verdict_of

VERDICTS = {
    Status.QUEUED: Verdict.PENDING,
    Status.SENT: Verdict.PENDING,
    Status.DEFERRED: Verdict.PENDING,
    Status.DELIVERED: Verdict.DELIVERED,
    Status.SOFT_BOUNCED: Verdict.NOT_DELIVERED,
    Status.HARD_BOUNCED: Verdict.NOT_DELIVERED,
    Status.INVALID: Verdict.NOT_DELIVERED,
    Status.REJECTED: Verdict.NOT_DELIVERED,
    Status.SUPPRESSED: Verdict.BLOCKED,
    Status.CANCELLED: Verdict.NOT_DELIVERED,
}


def candidate(seq: int, address: str, status: Status, *, resend_of: int | None = None) -> Candidate:
    root = DeliveryId(f"D{resend_of}") if resend_of is not None else None
    return Candidate(seq=seq, id=DeliveryId(f"D{seq}"), address=address, status=status, resend_of=root)


def test_every_status_has_a_verdict() -> None:
    assert {status: verdict_of(status) for status in Status} == VERDICTS


CASES = [
    ("one", [(1, "a@x.example", Status.DELIVERED, None)], 1),
    (
        "newest of one address",
        [(1, "a@x.example", Status.INVALID, None), (2, "A@x.example", Status.DELIVERED, None)],
        2,
    ),
    (
        "worst of two addresses",
        [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.DELIVERED, None)],
        1,
    ),
    (
        "blocked is worse than pending",
        [(1, "a@x.example", Status.SUPPRESSED, None), (2, "b@x.example", Status.QUEUED, None)],
        1,
    ),
    ("newest of equals", [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.INVALID, None)], 2),
    (
        "resend to the corrected address",
        [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.DELIVERED, 1)],
        2,
    ),
    (
        "last of two resends",
        [
            (1, "a@x.example", Status.INVALID, None),
            (2, "b@x.example", Status.INVALID, 1),
            (3, "c@x.example", Status.QUEUED, 1),
        ],
        3,
    ),
    (
        "resend of one recipient leaves the other",
        [
            (1, "a@x.example", Status.INVALID, None),
            (2, "b@x.example", Status.INVALID, None),
            (3, "c@x.example", Status.DELIVERED, 1),
        ],
        2,
    ),
]


@pytest.mark.parametrize(("rows", "want"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_deciding_delivery(rows: list[tuple[int, str, Status, int | None]], want: int) -> None:
    candidates = [candidate(seq, address, status, resend_of=root) for seq, address, status, root in rows]
    assert deciding(candidates).seq == want
    assert deciding(candidates[::-1]).seq == want
