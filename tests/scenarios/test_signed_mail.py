"""Mail leaves signed, and what arrives is believed: after a retry and after a resend (DKIM through real processes)."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from pathlib import Path

import dkim

from relay.delivery.dkim import SigningKey
from relay.delivery.dkim_keys import new_key, write_key
from tests.support.peers import Background, FakeDns, FakeMx, Records, temper, wait_until
from tests.support.process import config_file, running


def test_what_arrives_is_believed_after_a_retry_and_after_a_resend(tmp_path: Path) -> None:
    keys = [SigningKey(domain="hotel.example", selector=kind, key=new_key(kind)) for kind in ("rsa", "ed25519")]
    for key in keys:
        write_key(tmp_path / f"{key.selector}.pem", key.key)
    records = {f"{key.record_name}.".encode(): key.record.encode() for key in keys}
    with Background() as peers:
        mx = peers.enter(FakeMx(temper.GREYLISTS))
        dns = peers.enter(
            FakeDns(
                {
                    "guest.example": Records(mx=((10, "mx.guest.example"),)),
                    "mx.guest.example": Records(a=("127.0.0.1",)),
                }
            )
        )
        blocks = [{"domain": key.domain, "selector": key.selector, "key_file": f"{key.selector}.pem"} for key in keys]
        config = config_file(tmp_path, mx_port=mx.port, dns=dns.address, more={"dkim": blocks})
        with running(config) as node:
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "desk@hotel.example", "anna@guest.example", "Søknad BK-1"
            mail.set_content("Line one \n\n.a dot\nüml\n\n\n", cte="8bit")
            with smtplib.SMTP(config.smtp.host, config.smtp.port, timeout=20) as smtp:
                smtp.send_message(mail, mail_options=["BODY=8BITMIME"])
            wait_until(lambda: len(mx.received) == 1, timeout=30, what=node.log_tail)
            wait_until(lambda: bool(node.log_rows("--status", "delivered")), timeout=20, what=node.log_tail)
            assert node.log_rows()[0]["attempts"] == 2
            assert node.ask("resend", node.log_rows()[0]["id"]).returncode == 0
            wait_until(lambda: len(mx.received) == 2, timeout=30, what=node.log_tail)
        for received in mx.received:
            content = received.content
            assert content.count(b"DKIM-Signature:") == 2
            for number in range(2):
                assert dkim.DKIM(content).verify(number, dnsfunc=lambda name, timeout=5: records[name])
