"""`prune`, `erase` and `export`, as an admin types them."""

from __future__ import annotations

import json
from datetime import timedelta

from relay.status import Status
from tests.cli.desk import Desk

ANNA = "anna@example.com"


def bounced(desk: Desk, address: str = ANNA, **values: object) -> str:
    message, (delivery,) = desk.accept(address, **values)  # type: ignore[arg-type]
    desk.answer(delivery, f"550 5.1.1 <{address}>: no such user", status=Status.INVALID)
    return message.id


def test_prune_counts_first_and_then_forgets(desk: Desk) -> None:
    desk.now -= timedelta(days=200)
    old = bounced(desk)
    desk.now += timedelta(days=200)
    bounced(desk, "bert@example.com")
    assert desk.run("prune", "--dry-run").out == "Would forget: the content of 1 message, and 0 messages whole.\n"
    assert desk.run("show", old, "--raw").code == 0
    assert desk.run("prune", "--json").one() == {"contents": 1, "messages": 0, "rows": 0, "addresses": 0}
    raw = desk.run("show", old, "--raw")
    assert raw.code == 1
    assert "not kept" in raw.err
    refused = desk.run("resend", old)
    assert (refused.code, "not kept" in refused.err) == (1, True)


def test_erase_asks_and_the_log_then_knows_nobody(desk: Desk) -> None:
    bounced(desk)
    dry = desk.run("erase", ANNA, "--dry-run")
    assert dry.out == f"Would erase 1 message and all that is known about {ANNA}.\n"
    assert desk.run("why", ANNA).code == 0
    done = desk.run("erase", ANNA, "--yes")
    assert (done.code, done.out) == (0, "Erased: 1 message.\n")
    assert desk.run("why", ANNA).code == 1
    assert desk.run("address", ANNA).code == 1
    assert desk.run("log", "BK-10042", "--json").out == ""
    assert [row["status"] for row in desk.run("log", "--json").lines()] == ["invalid"]


def test_erase_refuses_while_mail_is_open_and_domains_always(desk: Desk) -> None:
    desk.accept(ANNA)
    refused = desk.run("erase", ANNA, "--yes")
    assert refused.code == 1
    assert "has not ended" in refused.err
    assert desk.run("erase", "@example.com", "--yes").code == 2
    assert desk.run("erase", "nobody", "--yes").code == 2


def test_without_a_yes_nothing_is_erased(desk: Desk) -> None:
    bounced(desk)
    asked = desk.process("erase", ANNA, given=b"n\n")
    assert asked.returncode == 3
    assert b"cannot be undone" in asked.stdout
    assert desk.run("why", ANNA).code == 0


def test_export_gives_everything_as_one_object_with_the_mails_beside_it(desk: Desk) -> None:
    message_id = bounced(desk, subject="Søknad")
    folder = desk.folder / "anna"
    ran = desk.run("export", ANNA, "--content", str(folder))
    assert ran.code == 0
    known = json.loads(ran.out)
    (message,) = known["messages"]
    assert (message["id"], message["subject"]) == (message_id, "Søknad")
    assert message["accepted_at"].endswith("Z")
    assert message["references"][0]["value"] == "BK-10042"
    assert message["deliveries"][0]["attempts"][0]["text"].startswith(f"<{ANNA}>")
    assert [block["reason"] for block in known["blocks"]] == ["invalid_address"]
    assert known["address"]["error_count"] == 1
    (mail,) = folder.iterdir()
    assert b"Welcome!" in mail.read_bytes()
    assert desk.run("export", "stranger@example.com").code == 1
    assert desk.run("export", ANNA, "--json").one()["address"]["address"] == ANNA
