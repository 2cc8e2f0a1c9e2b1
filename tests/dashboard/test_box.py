"""The search box, by table; and that nothing anybody types can break it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.box import Direct, Found, Term, as_query, direct, parse, text_of
from relay.model import Category
from relay.status import Group, Status
from relay.store import filters
from relay.store.log import Query

HELSINKI = ZoneInfo("Europe/Helsinki")
NOW = datetime(2026, 11, 7, 22, 30, tzinfo=UTC)  # the 8th already in Helsinki


def query(text: str, *, apps: tuple[str, ...] | None = None) -> Query:
    return as_query(parse(text), apps=apps, now=NOW, zone=HELSINKI)


def day(month: int, number: int, *, hours: int = 2) -> datetime:
    """Midnight in Helsinki."""
    return datetime(2026, month, number, tzinfo=UTC) - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", {}),
        ("virtanen", {"words": ("virtanen",)}),
        ("sari  virtanen", {"words": ("sari", "virtanen")}),
        ('"sari virtanen"', {"words": ("sari virtanen",)}),
        ("\u201esari  virtanen\u201c", {"words": ("sari virtanen",)}),
        ('"not closed', {"words": ("not closed",)}),
        ("-spam mail", {"words": ("mail",), "without": ("spam",)}),
        ('-"a b"', {"without": ("a b",)}),
        ("- x", {"words": ("-", "x")}),
        ('""', {}),
        ("to:", {"words": ("to:",)}),
        ("To:sari to:@gmail", {"to": ("sari", "@gmail")}),
        ('name:"Sari V" from:desk subject:card', {"name": ("Sari V",), "sender": ("desk",), "subject": ("card",)}),
        ("booking:BK-1 customer:77", {"booking": "BK-1", "customer": "77"}),
        ("status:invalid status:hard-bounced", {"status": (Status.INVALID, Status.HARD_BOUNCED)}),
        ("status:Delivered", {"groups": (Group.DELIVERED,)}),
        ("status:not-delivered status:queued", {"groups": (Group.NOT_DELIVERED,), "status": (Status.QUEUED,)}),
        ("-status:queued", {"not_status": (Status.QUEUED,)}),
        ("-status:blocked", {"groups": tuple(group for group in Group if group is not Group.BLOCKED)}),
        ("status:pending -status:pending", {"apps": ()}),
        ("reason:mailbox-full category:policy", {"category": (Category.MAILBOX_FULL, Category.POLICY)}),
        ("app:hotel app:spa", {"apps": ("hotel", "spa")}),
        ("-app:hotel", {"not_app": ("hotel",)}),
        ("domain:@Bücher.example", {"domain": ("xn--bcher-kva.example",)}),
        ("-domain:a.example", {"not_domain": ("a.example",)}),
        ("code:550", {"code": 550}),
        ("code:4", {"code": 4}),
        ("code:5xx", {"code": 5}),
        ("tag:reminder", {"kind": "reminder"}),
        ("kind:reminder", {"kind": "reminder"}),
        ("is:archived is:resent", {"archived": True, "is_resent": True}),
        ("-is:archived -is:resent", {"archived": False, "is_resent": False}),
        ("is:opened is:auto-reply", {"marks": ("opened", "auto_reply")}),
        ("on:2026-11-07", {"since": day(11, 7), "until": day(11, 8)}),
        ("on:7.11.2026", {"since": day(11, 7), "until": day(11, 8)}),
        ("on:7/11/2026", {"since": day(11, 7), "until": day(11, 8)}),
        ("on:2026-11", {"since": day(11, 1), "until": day(12, 1)}),
        ("on:2026-10-25", {"since": day(10, 25, hours=3), "until": day(10, 26)}),  # 25 hours
        ("on:2026-03-29", {"since": day(3, 29), "until": day(3, 30, hours=3)}),  # 23 hours
        ("on:today", {"since": day(11, 8), "until": day(11, 9)}),
        ("on:yesterday", {"since": day(11, 7), "until": day(11, 8)}),
        ("after:7d", {"since": day(11, 1)}),
        ("after:2026-11-01 before:2026-11-08", {"since": day(11, 1), "until": day(11, 8)}),
        ("after:2026-11-01 after:2026-11-03", {"since": day(11, 3)}),
        ("weather:fine http://x", {"words": ("weather:fine", "http://x")}),
        ('"to:x"', {"words": ("to:x",)}),
        ("<f3a1@hotel>", {"words": ("<f3a1@hotel>",)}),
        ("a\x00b\u202ec\ud800", {"words": ("a", "bc")}),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_a_query(text: str, want: dict[str, object]) -> None:
    assert parse(text).problems == ()
    empty = {"to": (), "now": NOW}
    assert query(text) == Query(**{**empty, **want})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("status:bounced?", "bounced?"),
        ("reason:unlucky", "unlucky"),
        ("domain:not_a_domain", "not_a_domain"),
        ("code:99", "99"),
        ("code:0", "0"),
        ("on:2026-02-30", "2026-02-30"),
        ("on:2026-11-0", "2026-11-0"),
        ("after:soon", "soon"),
        ("before:9999-12-31", "9999-12-31"),
        ("is:late", "late"),
        ("has:attachment", "attachment"),
        ("-to:sari", "sari"),
        ("-is:opened", "opened"),
        ("booking:A1 booking:B2", "B2"),
        (" ".join(f"word{number}" for number in range(13)), "word12"),
        ("x" * 1001, "x" * 1001),
    ],
)
def test_what_is_not_understood_is_a_sentence_and_no_condition(text: str, value: str) -> None:
    asked = parse(text)
    (problem,) = asked.problems
    assert problem.value == value
    assert value in problem.text
    assert "{value}" not in problem.text
    assert [chip.term.value for chip in asked.chips if chip.is_ignored] in ([value], [])
    shown = [term for place, term in enumerate(asked.terms) if place not in asked.ignored]
    assert query(text) == query(text_of(shown))


def test_a_repeated_operator_counts_from_the_first_that_is_understood() -> None:
    assert query("code:x code:550").code == 550


def test_each_chip_knows_the_text_without_it() -> None:
    chips = parse('to:sari "a b" -status:queued').chips
    assert [(chip.term.text, chip.without) for chip in chips] == [
        ("to:sari", '"a b" -status:queued'),
        ('"a b"', "to:sari -status:queued"),
        ("-status:queued", 'to:sari "a b"'),
    ]


@pytest.mark.parametrize(
    ("text", "apps", "want"),
    [
        ("", None, None),
        ("", ("hotel",), ("hotel",)),
        ("app:spa", ("hotel",), ()),
        ("app:spa app:hotel", ("hotel",), ("hotel",)),
        ("-app:hotel", ("hotel",), ("hotel",)),
    ],
)
def test_nothing_typed_widens_the_scope(text: str, apps: tuple[str, ...] | None, want: tuple[str, ...] | None) -> None:
    assert query(text, apps=apps).apps == want


IDENTITY = "01M8Q9HNW2E15J8ABBC47MH3P2"  # the same in every process: it names the tests


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (IDENTITY.lower(), Found(Direct.ID, IDENTITY)),
        ("<f3a1@hotel>", Found(Direct.MESSAGE_ID, "<f3a1@hotel>")),
        ("Sari@Gmail.com", Found(Direct.ADDRESS, "Sari@Gmail.com")),
        ("to:sari@gmail.com", Found(Direct.ADDRESS, "sari@gmail.com")),
        ("BK-20931", Found(Direct.BOOKING, "BK-20931")),
        ("RES 5550", Found(Direct.BOOKING, "RES 5550")),
        ("booking:bk20931", Found(Direct.BOOKING, "bk20931")),
        ("customer:c7", Found(Direct.CUSTOMER, "c7")),
        ("virtanen", None),
        ("@gmail.com", None),
        ("-BK-20931", None),
        ("BK-20931 status:queued", None),
        ("to:BK-20931", None),
        ("status:delivered", None),
        ("", None),
        ("code:99", None),
    ],
)
def test_one_clear_term_leads_straight_to_a_page(text: str, want: Found | None) -> None:
    assert direct(parse(text)) == want


TYPED = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.one_of(
            st.text(alphabet='ab-:" \t\u201c\u00e9e\u0301.@<>%_\\/0159', max_size=12),
            st.sampled_from(["to:", "-to:", "status:", "on:", "code:", "is:", "-", '"', "domain:", "kind:", "1d"]),
        ),
        max_size=20,
    ).map("".join),
)  # fmt: skip


@given(TYPED)
@example('--"')
def test_nothing_raises_and_text_comes_back(typed: str) -> None:
    asked = parse(typed)
    again = parse(asked.text)
    assert again.terms == asked.terms
    assert again.ignored == asked.ignored
    assert len(asked.chips) == len(asked.terms)
    for place, chip in enumerate(asked.chips):
        assert parse(chip.without).terms == asked.terms[:place] + asked.terms[place + 1 :]
    direct(asked)
    made = as_query(asked, apps=("hotel",), now=NOW, zone=HELSINKI)
    assert set(made.apps or ()) <= {"hotel"}
    filters.log_plain(made)


@given(st.sampled_from(["", "to", "subject"]), st.text(alphabet="abot-: .", min_size=1), st.booleans())
def test_a_term_survives_being_written(operator: str, value: str, is_negated: bool) -> None:
    term = Term(operator, " ".join(value.split()) or "x", is_negated)
    assert parse(term.text).terms == (term,)
