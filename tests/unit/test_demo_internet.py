"""The demo's internet is what its table says, and its report compares honestly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from relay.demo.internet import CASES, Case, Expected, Internet
from relay.demo.report import Sent, as_json, as_table, rows_of
from relay.demo.samples import load
from relay.model import Category
from relay.status import OPEN, Status
from tests.support.peers import ACCEPTS


def test_every_case_names_a_sample_and_an_end() -> None:
    for case in CASES:
        assert case.sample in load(), case.domain
        assert not {expected.status for expected in case.expected.values()} & OPEN, case.domain


def test_all_samples_and_all_ends_of_direct_delivery_occur() -> None:
    in_the_past_only = {sample.name for sample in load().values() if sample.language in {"de", "nl"}}
    assert {case.sample for case in CASES} == set(load()) - in_the_past_only
    ends = {expected.status for case in CASES for expected in case.expected.values()}
    wanted = {Status.DELIVERED, Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID, Status.SUPPRESSED}
    assert ends == wanted


def test_every_mail_server_of_the_table_runs_under_its_name() -> None:
    async def scene() -> dict[str, str]:
        greetings: dict[str, str] = {}
        async with Internet() as internet:
            for name, server in internet.servers.items():
                query = dns.message.make_query(name, "A")
                answer = await dns.asyncquery.udp(query, internet.dns_address.host, port=internet.dns_address.port)
                ip = str(answer.answer[0][0])
                assert (ip, internet.port) == (server.address.host, server.address.port)
                reader, writer = await asyncio.open_connection(ip, internet.port)
                greetings[name] = (await reader.readline()).decode()
                writer.close()
        return greetings

    greetings = asyncio.run(scene())

    want = {name for case in CASES for name, temper in case.host_names() if temper is not None}
    assert set(greetings) == want
    assert all(name in greeting for name, greeting in greetings.items())


@pytest.mark.parametrize(
    ("domain", "rcode", "records"),
    [
        ("second-server.example", "NOERROR", ["10 mx1.second-server.example.", "20 mx2.second-server.example."]),
        ("no-mx-record.example", "NOERROR", []),
        ("takes-no-mail.example", "NOERROR", ["0 ."]),
        ("alias.example", "NOERROR", ["10 mx1.accepts.example.", "accepts.example."]),
        ("no-such-domain.example", "NXDOMAIN", []),
        ("dns-trouble.example", "SERVFAIL", []),
    ],
)
def test_domain_is_in_the_name_server_as_the_table_says(domain: str, rcode: str, records: list[str]) -> None:
    async def scene() -> dns.message.Message:
        async with Internet() as internet:
            query = dns.message.make_query(domain, "MX")
            return await dns.asyncquery.udp(query, internet.dns_address.host, port=internet.dns_address.port)

    got = asyncio.run(scene())

    texts = sorted(str(rdata) for rrset in got.answer for rdata in rrset)
    assert (dns.rcode.to_text(got.rcode()), texts) == (rcode, records)


CASE = Case(
    domain="guest.example",
    server="accepts",
    sample="en-reminder",
    guest="A Guest",
    expected={"a": Expected(), "b": Expected(status=Status.INVALID, category=Category.INVALID_ADDRESS)},
    hosts=(ACCEPTS,),
)


SENT = Sent(case=CASE, message_id="M1", booking="BK-01042")


def entry(to: str, status: str, category: str | None = None, attempts: int = 1) -> Mapping[str, Any]:
    facts = {"id": "D" + to, "message": "M1", "to": to, "booking": "BK-01042"}
    return {**facts, "status": status, "category": category, "attempts": attempts}


A_COPY = {"a@guest.example": 1}
DELIVERED = entry("a@guest.example", "delivered")
INVALID = entry("b@guest.example", "invalid", "invalid_address")


@pytest.mark.parametrize(
    ("log", "copies", "want"),
    [
        ([DELIVERED, INVALID], A_COPY, [True, True]),
        ([DELIVERED, INVALID], {}, [False, True]),
        ([DELIVERED, INVALID], {**A_COPY, "b@guest.example": 1}, [True, False]),
        ([{**DELIVERED, "attempts": 2}, entry("b@guest.example", "delivered")], A_COPY, [False, False]),
        ([entry("b@guest.example", "invalid", "mailbox_full")], A_COPY, [False, False]),
        ([{**DELIVERED, "message": "other"}], A_COPY, [False, False]),
        ([{**DELIVERED, "booking": None}, INVALID], A_COPY, [False, True]),
    ],
    ids=[
        "right",
        "never arrived",
        "arrived all the same",
        "tries, status",
        "missing, category",
        "another message",
        "no booking",
    ],
)
def test_report_says_whether_each_delivery_ended_as_it_should(
    log: list[Mapping[str, Any]], copies: dict[str, int], want: list[bool]
) -> None:
    rows = rows_of(SENT, log=log, copies=lambda address: copies.get(address, 0))

    assert [row.is_as_expected for row in rows] == want
    table = as_table(rows)
    assert ("did NOT end as they should" in table) is (not all(want))
    assert [line.startswith("!") for line in table.splitlines()[1:3]] == [not ok for ok in want]
    assert [json.loads(line)["is_as_expected"] for line in as_json(rows).splitlines()] == want


def test_delivery_that_is_missing_or_open_has_not_ended() -> None:
    rows = rows_of(SENT, log=[entry("a@guest.example", "deferred")], copies=lambda _: 0)

    assert [(row.status, row.has_ended) for row in rows] == [("deferred", False), ("missing", False)]
