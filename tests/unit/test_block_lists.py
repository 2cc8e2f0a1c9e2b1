"""Lists of other systems, as their makers document them, and our own, written and read back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.block_lists import Bad, Format, Found, LeftOut, Result, UnknownFormat, csv_lines, json_lines, read
from relay.block_lists.providers import ALLOWED, BLOCKS_LIST, ENDED, FIXABLE, NOT_THE_ADDRESS, ONE_TAG, TEMPORARY
from relay.block_lists.text import MAX_LINE, decoded, lines
from relay.block_lists.times import read_time
from relay.block_lists.writing import guarded, unguarded
from relay.model import Category, DeliveryId, Suppression

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def parse(text: str | bytes, *, name: str = "list.csv", **known: object) -> tuple[Format, list[Result]]:
    raw = text.encode() if isinstance(text, str) else text
    pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]  # entries never fall together with pieces
    found, results = read(pieces, now=NOW, by="alice", name=name, **known)  # type: ignore[arg-type]
    return found, list(results)


def said(result: Result) -> tuple[str, ...]:
    """Shorten a result to what a table can hold: what, address, why."""
    if isinstance(result, Found):
        return ("block", result.suppression.value, result.suppression.reason)
    return ("out", result.address, result.why) if isinstance(result, LeftOut) else ("bad", result.text)


SES = """{
  "SuppressedDestinationSummaries": [
    {"EmailAddress": "Gone@Example.com", "Reason": "BOUNCE", "LastUpdateTime": "2020-04-10T21:40:21-04:00"},
    {"EmailAddress": "angry@example.com", "Reason": "COMPLAINT", "LastUpdateTime": 1586561962.753}
  ],
  "NextToken": "AAAA"
}"""
POSTMARK = """{"Suppressions": [
  {"EmailAddress": "off@example.com", "SuppressionReason": "ManualSuppression", "Origin": "Recipient",
   "CreatedAt": "2019-12-17T08:58:33-05:00"},
  {"EmailAddress": "gone@example.com", "SuppressionReason": "HardBounce", "Origin": "Recipient", "CreatedAt": ""},
  {"EmailAddress": "angry@example.com", "SuppressionReason": "SpamComplaint", "Origin": "Recipient"}]}"""
MAILGUN = """{"items": [
  {"address": "gone@example.com", "code": "550", "error": "5.1.1 no such mailbox",
   "created_at": "Fri, 21 Oct 2011 11:02:55 UTC"},
  {"address": "full@example.com", "code": "552", "error": "5.2.2 mailbox is full"},
  {"address": "later@example.com", "code": "450", "error": "4.2.1 try again later"},
  {"address": "again@example.com", "code": "605", "error": "Not delivering to previously bounced address"}
 ], "paging": {"first": "https://api.example/1", "next": "https://api.example/2"}}"""

LISTS = [
    ("ses json", Format.SES, SES, [("gone@example.com", "invalid_address"), ("angry@example.com", "complaint")]),
    (
        "ses csv",
        Format.SES,
        "Email address,Reason,Last update time\na@example.com,BOUNCE,2026-01-01\n",
        [("a@example.com", "invalid_address")],
    ),
    (
        "ses import csv",
        Format.SES,
        "a@example.com,BOUNCE\nb@example.com,COMPLAINT\n",
        [("a@example.com", "invalid_address"), ("b@example.com", "complaint")],
    ),
    (
        "ses import json",
        Format.SES,
        '{"emailAddress":"a@example.com","reason":"BOUNCE"}\n{"emailAddress":"b@example.com","reason":"COMPLAINT"}\n',
        [("a@example.com", "invalid_address"), ("b@example.com", "complaint")],
    ),
    (
        "postmark json",
        Format.POSTMARK,
        POSTMARK,
        [("off@example.com", "manual"), ("gone@example.com", "invalid_address"), ("angry@example.com", "complaint")],
    ),
    (
        "postmark csv",
        Format.POSTMARK,
        "EmailAddress,SuppressionReason,Origin,CreatedAt\ngone@example.com,HardBounce,Recipient,2019-12-17\n",
        [("gone@example.com", "invalid_address")],
    ),
    (
        "sendgrid bounces",
        Format.SENDGRID,
        '[{"created":1443651125,"email":"gone@example.com",'
        '"reason":"550 5.1.1 that account does not exist.","status":"5.1.1"}]',
        [("gone@example.com", "invalid_address")],
    ),
    (
        "sendgrid bounces csv",
        Format.SENDGRID,
        "status,reason,email,created\n5.1.1,550 5.1.1 no such user,gone@example.com,1443651125\n",
        [("gone@example.com", "invalid_address")],
    ),
    (
        "sendgrid spam",
        Format.SENDGRID,
        '[{"created":1443651141,"email":"angry@example.com","ip":"192.0.2.1"}]',
        [("angry@example.com", "complaint")],
    ),
    (
        "sendgrid invalid",
        Format.SENDGRID,
        "created,email,reason\n1449953655,gone@exmaple,Mail domain mentioned in email address is unknown\n",
        [("gone@exmaple", "invalid_address")],
    ),
    (
        "sendgrid unsubscribes",
        Format.SENDGRID,
        "email,created\noff@example.com,1443651125\n",
        [("off@example.com", "manual")],
    ),
    (
        "mailgun json",
        Format.MAILGUN,
        MAILGUN,
        [("gone@example.com", "invalid_address"), ("again@example.com", "errors")],
    ),
    (
        "mailgun bounces csv",
        Format.MAILGUN,
        "address,code,error,created_at\ngone@example.com,550,no such user here,\n",
        [("gone@example.com", "invalid_address")],
    ),
    (
        "mailgun complaints",
        Format.MAILGUN,
        '{"items":[{"address":"angry@example.com","created_at":"Fri, 21 Oct 2011 11:02:55 UTC"}]}',
        [("angry@example.com", "complaint")],
    ),
    (
        "mailgun unsubscribes",
        Format.MAILGUN,
        '{"items":[{"tags":["*"],"address":"off@example.com","created_at":""},{"tags":[],"address":"o2@example.com"}]}',
        [("off@example.com", "manual"), ("o2@example.com", "manual")],
    ),
    (
        "postal",
        Format.POSTAL,
        "id,type,address,reason,timestamp,keep_until\n"
        "1,recipient,gone@example.com,too many hard fails,1772280000.123,1999999999.5\n",
        [("gone@example.com", "invalid_address")],
    ),
    (
        "plain",
        Format.WAYBILL,
        "a@example.com\n@example.org\n",
        [("a@example.com", "manual"), ("example.org", "manual")],
    ),
    ("one column", Format.WAYBILL, "Email\na@example.com\n", [("a@example.com", "manual")]),
]


@pytest.mark.parametrize(("want", "text", "blocks"), [row[1:] for row in LISTS], ids=[row[0] for row in LISTS])
def test_each_list_is_known_by_its_columns(want: Format, text: str, blocks: list[tuple[str, str]]) -> None:
    found, results = parse(text)
    assert found is want
    assert [said(one)[1:] for one in results if isinstance(one, Found)] == blocks
    assert [one for one in results if isinstance(one, Bad)] == []


LEFT_OUT = [
    ("mailgun-bounces.json", MAILGUN, {"full@example.com": FIXABLE, "later@example.com": TEMPORARY}),
    ("l.json", '{"items":[{"tags":["news"],"address":"off@example.com"}]}', {"off@example.com": ONE_TAG}),
    ("l.json", '{"items":[{"type":"domain","value":"example.com","reason":"x","createdAt":""}]}', None),
    (
        "l.json",
        '{"items":[{"type":"address","value":"vip@example.com","reason":"x","createdAt":""}]}',
        {"vip@example.com": ALLOWED},
    ),
    (
        "suppression_blocks.csv",
        "status,reason,email,created\n5.7.1,550 5.7.1 no,a@example.com,1\n",
        {"a@example.com": BLOCKS_LIST},
    ),
    (
        "bounces.csv",
        "status,reason,email,created\n"
        '5.7.1,"550 5.7.1 Service unavailable, client host [192.0.2.1] blocked using a block list",a@example.com,1\n'
        "4.0.0,450 4.2.0 greylisted,b@example.com,1\n",
        {"a@example.com": NOT_THE_ADDRESS, "b@example.com": TEMPORARY},
    ),
    (
        "postal.csv",
        "type,address,reason,timestamp,keep_until\nrecipient,a@example.com,too many soft fails,1,1999999999\n"
        "recipient,b@example.com,too many hard fails,1,2\n",
        {"a@example.com": TEMPORARY, "b@example.com": ENDED},
    ),
    (
        "p.csv",
        "EmailAddress,SuppressionReason,Origin\na@example.com,SoftBounce,Recipient\n",
        {"a@example.com": TEMPORARY},
    ),
    ("w.csv", "address,until\na@example.com,2026-02-01\n", {"a@example.com": ENDED}),
]


@pytest.mark.parametrize(("name", "text", "want"), LEFT_OUT)
def test_what_is_temporary_or_not_about_the_address_is_left_out_with_its_reason(
    name: str, text: str, want: dict[str, str] | None
) -> None:
    _, results = parse(text, name=name)
    left = {one.address: one.why for one in results if isinstance(one, LeftOut)}
    if want is None:  # an allowed domain: nothing to block, and no address either
        assert [said(one)[0] for one in results] == ["bad"]
    else:
        assert left == want


def test_dates_ends_replies_and_who_are_kept() -> None:
    _, (one,) = parse(
        "id,type,address,reason,timestamp,keep_until\n"
        "1,recipient,a@example.com,too many hard fails,1772280000,1999999999"
    )
    assert isinstance(one, Found)
    block = one.suppression
    assert (block.since_at, block.until_at) == (
        datetime.fromtimestamp(1772280000, UTC),
        datetime.fromtimestamp(1999999999, UTC),
    )
    assert (block.source, block.by, block.note) == ("import", "alice", "Postal: too many hard fails")
    _, (two,) = parse("status,reason,email,created\n5.1.1,550 5.1.1 no such user,a@example.com,1443651125\n")
    assert isinstance(two, Found)
    assert (two.suppression.category, two.suppression.reply) == (Category.INVALID_ADDRESS, "550 5.1.1 no such user")
    assert two.suppression.rule


def test_the_app_is_the_lists_own_or_the_given_one() -> None:
    _, results = parse("address,app\na@example.com,spa\nb@example.com,\n", app="hotel")
    assert [one.suppression.app for one in results if isinstance(one, Found)] == ["spa", "hotel"]


def test_a_time_to_come_begins_now_and_one_that_is_unreadable_too() -> None:
    _, results = parse("email,created\na@example.com,1999999999\nb@example.com,last tuesday\n")
    assert [one.suppression.since_at for one in results if isinstance(one, Found)] == [NOW, NOW]


BROKEN = [
    ("Email,Reason\na@example.com,x\nno address,x\n\nb@example.com,x\n", [3], 2),
    ("Email\na b@example.com\n", [2], 0),
    ("Email\n" + "x" * 70 + "@example.com\n", [2], 0),
    ("email,created\na@example.com,1,2\nb@example.com,1\n", [2], 1),
    ("address,until\na@example.com,soon\n", [2], 0),
    ("address,reason,source,since\na@example.com,manual,nobody,\n", [2], 0),
    ("address,category\na@example.com,bad_luck\n", [2], 0),
    ("EmailAddress,SuppressionReason,Origin\na@example.com,Whatever,Recipient\n", [2], 0),
    ('{"emailAddress":"a@example.com","reason":"BOUNCE"}\n{"emailAddress":\nnonsense\n'
     '{"emailAddress":"b@example.com","reason":"BOUNCE"}\n', [2], 2),
    ('[{"email":"a@example.com","created":1},{"email":"b@example.com","cre', [1], 1),
    ('Email\n"a@example.com\nb@example.com\n' + "c@example.com\n" * 20000, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "at", "blocks"), BROKEN)
def test_a_bad_line_is_named_with_its_number_and_the_others_are_read(
    text: str, at: list[int] | None, blocks: int | None
) -> None:
    _, results = parse(text)
    bad = [one.line for one in results if isinstance(one, Bad)]
    if at is None:
        assert bad  # a quote that is never closed costs what it swallows, not the memory
        assert len(results) > 5000
    else:
        assert bad == at
        assert sum(isinstance(one, Found) for one in results) == blocks


@pytest.mark.parametrize("text", ["Name,Phone\nAnna,1\n", '[{"name": "Anna"}]', '{"a": 1}'])
def test_a_table_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(UnknownFormat, match="cannot tell whose list"):
        parse(text)


@pytest.mark.parametrize("text", ["", "\n\n", "Email\n", "[]", '{"Suppressions": []}'])
def test_an_empty_list_is_no_fault(text: str) -> None:
    assert parse(text)[1] == []


SHEET = "Email;Reason\r\nä@example.com;geht nicht\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        SHEET.encode(),
        SHEET.encode("utf-8-sig"),
        SHEET.encode("utf-16"),
        SHEET.encode("utf-16-le"),
        SHEET.encode("utf-16-be"),
        b"\xfe\xff" + SHEET.encode("utf-16-be"),
        SHEET.encode("cp1252"),
        SHEET.replace("\r\n", "\r").encode(),
        ("sep=;\r\n" + SHEET).encode(),
        SHEET.replace(";", "\t").encode(),
    ],
)
def test_spreadsheets_of_every_make_are_read(raw: bytes) -> None:
    _, results = parse(raw)
    assert [said(one) for one in results] == [("block", "ä@example.com", "manual")]
    assert isinstance(results[0], Found)
    assert results[0].suppression.note == "geht nicht"


def test_quoted_cells_may_hold_line_ends_and_lines_are_still_counted() -> None:
    _, results = parse('Email,Reason\na@example.com,"two\nlines"\nno,x\n')
    assert [one.line for one in results] == [2, 4]


ODD = ["", "=1+1", "+x", "-x", "@x", "'=x", "'", "''", "it's", "\tx", 'a"b', "a,b", "a;b", "two\nlines", "ä\u2028"]
FULL = Suppression(
    id=0,
    scope="address",
    value="a@example.com",
    reason="invalid_address",
    source="automatic",
    category=Category.INVALID_ADDRESS,
    note="note",
    by="alice",
    since_at=NOW - timedelta(days=3, microseconds=7),
    until_at=NOW + timedelta(days=3),
    delivery_id=DeliveryId("01K00000000000000000000000"),
    reply="5.1.1 no",
    app="spa",
    rule="some.rule",
)


def variants() -> Iterable[Suppression]:
    yield FULL
    yield replace(FULL, scope="domain", value="example.com", until_at=None, delivery_id=None, app=None, rule=None)
    yield replace(FULL, value="=cmd|'x'!a1@example.com", source="manual", reason="manual", category=None)
    yield replace(FULL, value="'quoted'@example.com", source="import")
    for text in ODD:
        yield replace(FULL, note=text, reply=text, by=text)


@pytest.mark.parametrize("write", [csv_lines, json_lines])
def test_what_is_written_is_read_back_without_loss(write: object) -> None:
    wanted = list(variants())
    text = "".join(write(wanted))  # type: ignore[operator]
    found, results = parse(text)
    assert found is Format.WAYBILL
    assert [one.suppression if isinstance(one, Found) else one for one in results] == wanted


@settings(deadline=None)
@given(st.text(max_size=12))
def test_a_guard_is_taken_off_exactly(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(("=", "+", "-", "@", "\t"))


def test_no_cell_of_the_table_is_a_formula() -> None:
    for line in list(csv_lines(variants()))[1:]:
        assert not line.startswith(("=", "+", "-", "@"))


TIMES = [
    ("2020-04-10T21:40:21-04:00", datetime(2020, 4, 11, 1, 40, 21, tzinfo=UTC)),
    ("2020-04-10 21:40:21", datetime(2020, 4, 10, 21, 40, 21, tzinfo=UTC)),
    ("2020-04-10 21:40:21 UTC", datetime(2020, 4, 10, 21, 40, 21, tzinfo=UTC)),
    ("2020-04-10T21:40:21.123Z", datetime(2020, 4, 10, 21, 40, 21, 123000, tzinfo=UTC)),
    ("2020-04-10", datetime(2020, 4, 10, tzinfo=UTC)),
    ("Fri, 21 Oct 2011 11:02:55 UTC", datetime(2011, 10, 21, 11, 2, 55, tzinfo=UTC)),
    ("1443651125", datetime(2015, 9, 30, 22, 12, 5, tzinfo=UTC)),
    ("1443651125000", datetime(2015, 9, 30, 22, 12, 5, tzinfo=UTC)),
    ("never", None),
    ("", None),
    ("0", None),
    ("nan", None),
    ("inf", None),
    ("-5", None),
]


@pytest.mark.parametrize(("text", "want"), TIMES)
def test_times_are_read_in_every_usual_form(text: str, want: datetime | None) -> None:
    assert read_time(text) == want


def test_a_document_on_one_line_is_read_entry_by_entry() -> None:
    """The next entry is given before the last one was even asked for: nothing is gathered."""
    asked = 0

    def chunks() -> Iterable[bytes]:
        nonlocal asked
        yield b'{"Suppressions": ['
        for number in range(10_000):
            asked += 1
            entry = {"EmailAddress": f"g{number}@example.com", "SuppressionReason": "HardBounce"}
            yield json.dumps(entry).encode() + b","
        yield b"]}"

    _, results = read(chunks(), now=NOW)
    next(iter(results))
    assert asked < 10
    assert sum(isinstance(one, Found) for one in results) == 9999


def test_a_line_without_end_is_cut() -> None:
    pieces = (b"x" * 100_000 for _ in range(50))
    longest = max(len(line) for line in lines(decoded(pieces)))
    assert longest <= MAX_LINE + 100_001


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    with contextlib.suppress(UnknownFormat):
        parse(raw)


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:a@.\n1', max_size=200))
def test_no_json_breaks_the_reading(text: str) -> None:
    with contextlib.suppress(UnknownFormat):
        parse("[" + text)
