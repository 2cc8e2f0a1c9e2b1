"""`dkim new` and `dkim list`: keys are made once, safely, with what to publish."""

from __future__ import annotations

import stat

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.cli.desk import Desk


def test_a_new_key_comes_with_its_record_and_its_lines(desk: Desk) -> None:
    ran = desk.run("dkim", "new", "Hotel.Example", "--selector", "wb1")
    assert ran.code == 0
    path = desk.folder / "data" / "dkim" / "hotel.example-wb1.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    load_pem_private_key(path.read_bytes(), password=None)
    assert 'wb1._domainkey.hotel.example. IN TXT "v=DKIM1; k=rsa; p=' in ran.out
    lines = ran.out[ran.out.index("[[dkim]]") :]
    desk.config.write_text(desk.config.read_text() + lines)
    listed = desk.run("dkim", "list", "--json").one()
    assert (listed["domain"], listed["selector"], listed["algorithm"]) == ("hotel.example", "wb1", "rsa-sha256")
    assert listed["record"].replace("v=DKIM1", "") in ran.out.replace('" "', "")


def test_both_kinds_make_two_keys(desk: Desk) -> None:
    made = desk.run("dkim", "new", "hotel.example", "--selector", "a", "--type", "both", "--json").lines()
    assert [(one["selector"], one["algorithm"]) for one in made] == [("a", "rsa-sha256"), ("ae", "ed25519-sha256")]


def test_a_key_in_use_is_never_overwritten(desk: Desk) -> None:
    desk.run("dkim", "new", "hotel.example", "--selector", "a", "--type", "ed25519")
    path = desk.folder / "data" / "dkim" / "hotel.example-ae.pem"
    before = path.read_bytes()
    again = desk.run("dkim", "new", "hotel.example", "--selector", "a", "--type", "ed25519")
    assert again.code == 2
    assert path.read_bytes() == before


def test_wrong_names_are_told(desk: Desk) -> None:
    assert desk.run("dkim", "new", "not a domain").code == 2
    assert desk.run("dkim", "new", "hotel.example", "--selector", "under_score").code == 2
    assert not (desk.folder / "data" / "dkim").exists()


def test_a_key_that_cannot_be_read_stops_everything_with_its_name(desk: Desk) -> None:
    (desk.folder / "bad.pem").write_text("no key")
    text = '[[dkim]]\ndomain = "hotel.example"\nselector = "a"\nkey_file = "bad.pem"\n'
    desk.config.write_text(desk.config.read_text() + text)
    ran = desk.run("dkim", "list")
    assert ran.code == 3
    assert "bad.pem: it is no private key" in ran.err


def test_without_keys_the_list_says_what_to_do(desk: Desk) -> None:
    assert "waybill dkim new DOMAIN" in desk.run("dkim", "list").out
