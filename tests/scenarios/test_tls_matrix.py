"""Real parts for TLS: Postfix with certificates of every temper, unbound with a signed zone, an HTTPS policy server.

Setup: five MX hosts, each with another certificate; for each of them a domain with every kind of policy.
Test:  one mail for each domain -> what arrived, what waits, and the decision in words. `-rP` prints the table.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import smtplib
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.store import open_store
from relay.store.engine import EngineStore
from tests.delivery.certificates import Authority
from tests.support.peers import wait_until
from tests.support.postfix import Door, Postfix
from tests.support.process import config_file, running
from tests.support.unbound import Unbound

CERTIFICATES = ("good", "expired", "wrong name", "self-signed", "no tls")
POLICIES = ("none", "sts enforce", "sts testing", "tlsa fits", "tlsa other", "we verify")
_WEB = "127.0.5.9"


class Cell(NamedTuple):
    """What became of the mail to one domain."""

    status: str
    tls: str | None
    decision: str


#: certificate, policy -> (delivered, a part of the decision). Written down, not computed: it is what we promise.
ENCRYPTED = (True, "encrypted with TLSv1.3; certificate not checked (opportunistic")
CHECKED = (True, "encrypted with TLSv1.3; certificate checked and valid")
CLEAR = (True, "clear text: the server does not offer STARTTLS")
FITS = (True, "encrypted with TLSv1.3; certificate checked against the TLSA records")
NOTHING = (False, "nothing sent: TLS with a ")
WANTED: dict[str, tuple[tuple[bool, str], ...]] = {
    #               none       enforce  testing    tlsa fits  tlsa other  we verify
    "good": (ENCRYPTED, CHECKED, CHECKED, FITS, NOTHING, CHECKED),
    "expired": (ENCRYPTED, NOTHING, ENCRYPTED, FITS, NOTHING, NOTHING),
    "wrong name": (ENCRYPTED, NOTHING, ENCRYPTED, FITS, NOTHING, NOTHING),
    "self-signed": (ENCRYPTED, NOTHING, ENCRYPTED, FITS, NOTHING, NOTHING),
    "no tls": (CLEAR, NOTHING, CLEAR, NOTHING, NOTHING, NOTHING),
}


def label(certificate: str) -> str:
    return certificate.replace(" ", "-")


def domain(certificate: str, policy: str) -> str:
    zone = "signed.test" if policy.startswith("tlsa") else "plain.test"
    return f"{label(certificate)}.{policy.replace(' ', '-')}.{zone}"


def mx_name(certificate: str, policy: str) -> str:
    if policy.startswith("tlsa"):
        return f"mx-{label(certificate)}-{policy.split()[1]}.signed.test"
    return f"mx-{label(certificate)}.plain.test"


DOMAINS = {(certificate, policy): domain(certificate, policy) for certificate in CERTIFICATES for policy in POLICIES}


class _Policy(http.server.BaseHTTPRequestHandler):
    """Gives each domain its policy: enforce or testing by its name, its own MX host."""

    def do_GET(self) -> None:
        name = self.headers["Host"].removeprefix("mta-sts.")
        certificate, policy, *_ = name.split(".")
        text = f"version: STSv1\nmode: {policy.removeprefix('sts-')}\nmx: mx-{certificate}.plain.test\nmax_age: 86400\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def policy_server(context: ssl.SSLContext) -> Iterator[None]:
    server = http.server.ThreadingHTTPServer((_WEB, 443), _Policy)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def doors(authority: Authority) -> tuple[dict[str, Door], dict[str, bytes]]:
    """One door for each certificate, and the certificate it shows."""
    names = [mx_name("good", policy) for policy in ("none", "tlsa fits", "tlsa other")]
    made: dict[str, Door] = {}
    shown: dict[str, bytes] = {}
    for number, certificate in enumerate(CERTIFICATES, start=1):
        mine = [name.replace("good", label(certificate)) for name in names]
        if certificate == "wrong name":
            mine = ["mx.elsewhere.example"]
        chain = authority.chain(*mine, is_expired=certificate == "expired", is_self_signed=certificate == "self-signed")
        shown[certificate] = authority.served
        made[certificate] = Door(f"127.0.5.{number}", "none" if certificate == "no tls" else "may", chain)
    return made, shown


def zones(made: dict[str, Door], shown: dict[str, bytes], port: int) -> tuple[str, str]:
    """The records of the signed zone and of the plain one."""
    signed: list[str] = []
    plain: list[str] = []
    for (certificate, policy), name in DOMAINS.items():
        mx, ip = mx_name(certificate, policy), made[certificate].ip
        lines = signed if policy.startswith("tlsa") else plain
        lines += [f"{name}. IN MX 10 {mx}.", f"{mx}. IN A {ip}"]
        if policy.startswith("sts"):
            lines += [f'_mta-sts.{name}. IN TXT "v=STSv1; id=1;"', f"mta-sts.{name}. IN A {_WEB}"]
        if policy.startswith("tlsa"):
            data = hash_of(shown[certificate]) if policy == "tlsa fits" else "00" * 32
            lines.append(f"_{port}._tcp.{mx}. IN TLSA 3 1 1 {data}")
    return "\n".join(dict.fromkeys(signed)) + "\n", "\n".join(dict.fromkeys(plain)) + "\n"


def hash_of(der: bytes) -> str:
    key = x509.load_der_x509_certificate(der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def send(address: tuple[str, int]) -> None:
    with smtplib.SMTP(*address, timeout=20) as smtp:
        for name in DOMAINS.values():
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "desk@hotel.example", f"aino@{name}", name
            mail.set_content("See you soon.\n")
            smtp.send_message(mail)


def cells(store: EngineStore) -> dict[str, Cell]:
    """What the log says of each domain; empty for one that was not tried yet."""
    asked = """SELECT d.domain, d.status, a.tls, a.tls_decision FROM delivery d
      JOIN attempt a ON a.delivery_id = d.id ORDER BY a.seq"""
    rows = store.read_now(lambda tx: tx.compose(asked, {}))
    return {row["domain"]: Cell(row["status"], row["tls"], row["tls_decision"] or "") for row in rows}


def table(found: dict[str, Cell]) -> str:
    lines = [f"{'certificate':13}" + "".join(f"{policy:>16}" for policy in POLICIES)]
    for certificate in CERTIFICATES:
        row = [found[DOMAINS[certificate, policy]] for policy in POLICIES]
        words = [("encrypted" if cell.tls else "clear text") if cell.status == "delivered" else "waits" for cell in row]
        lines.append(f"{certificate:13}" + "".join(f"{word:>16}" for word in words))
    return "\n".join(lines)


@pytest.mark.timeout(180)
def test_which_mail_goes_out_over_which_connection(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can start Postfix and serve a policy on port 443")
    authority = Authority(tmp_path)
    made, shown = doors(authority)
    with_policy = [name for (_, policy), name in DOMAINS.items() if policy.startswith("sts")]
    web = authority.server(*(f"mta-sts.{name}" for name in with_policy))
    with contextlib.ExitStack() as stack:
        postfix = stack.enter_context(Postfix(doors=list(made.values()), domains=list(DOMAINS.values())))
        signed, plain = zones(made, shown, postfix.port)
        dns = stack.enter_context(Unbound(signed={"signed.test": signed}, plain={"plain.test": plain}))
        stack.enter_context(policy_server(web))
        ours = [{"name": f"*.{name.partition('.')[2]}", "mode": "verify"} for name in DOMAINS.values() if "we-" in name]
        config = config_file(
            tmp_path,
            mx_port=postfix.port,
            dns=dns.address,
            retry=("1h",),
            give_up_after="2d",
            more={"tls": {"ca_file": str(authority.ca_file), "domain": ours[:1]}},
        )
        with running(config) as node:
            send((config.smtp.host, config.smtp.port))
            store = stack.enter_context(open_store("sqlite:data/waybill.db", tmp_path))
            wait_until(lambda: len(cells(store)) == len(DOMAINS), timeout=60, what=node.log_tail)
            found = cells(store)
        print(table(found))
        for certificate, row in WANTED.items():
            for policy, (is_delivered, words) in zip(POLICIES, row, strict=True):
                cell = found[DOMAINS[certificate, policy]]
                place = f"{certificate}, {policy}: {cell}"
                assert (cell.status == "delivered") is is_delivered, place
                assert cell.status in ("delivered", "deferred"), place
                assert words in cell.decision, place
        assert len(postfix.mailbox("aino")) == sum(good for row in WANTED.values() for good, _ in row)
