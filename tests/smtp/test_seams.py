"""What the intake leans on outside itself: private parts of libraries, proxies, certificates, the real acceptor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import ssl
import stat
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, cast

import pytest

from relay.errors import ConfigError, StoreError
from relay.intake.acceptor import StoreAcceptor
from relay.intake.auth import load_hashes
from relay.intake.commands import COMMANDS
from relay.intake.connection import PRIVATE_SEAMS
from relay.intake.listener import bind
from relay.intake.reception import FreeSpace, Port, Reception
from relay.intake.server import RelaySMTP
from relay.intake.tls import ListenerTls, make_certificate, self_signed
from relay.model import Message, Refusal, Submission
from relay.store.content import Packed, pack
from relay.store.protocols import Store, Tx
from tests.smtp.harness import MemoryAcceptor, config, queued_id, run, running

T = TypeVar("T")
MAIL = b"From: a@h.example\r\nSubject: x\r\n\r\nHello\r\n"


def _reception() -> Reception:
    return Reception(config(), MemoryAcceptor(), hashes={}, free_space=lambda: 10**12)


def test_private_parts_of_the_libraries_are_where_we_expect_them() -> None:
    """An upgrade of aiosmtpd or Python that moves one of these must fail here, not in the night."""

    async def main() -> None:
        settings = config()
        smtp = RelaySMTP(_reception(), Port(settings.listener[0]), loop=asyncio.get_running_loop())
        reader = asyncio.StreamReader()
        assert isinstance(reader._buffer, bytearray)  # type: ignore[attr-defined]
        assert hasattr(reader, "_transport")
        assert callable(smtp._cb_client_connected)
        assert {"_cb_client_connected", "_handle_client"} <= set(dir(smtp))
        assert smtp._handler_coroutine is None
        smtp._cb_client_connected(reader, cast(asyncio.StreamWriter, None))
        assert smtp._reader is reader
        assert set(PRIVATE_SEAMS) <= set(dir(smtp))

    run(main())


def test_a_connection_object_costs_next_to_nothing() -> None:
    """Reflection per connection cost 150 microseconds; the bound here is loose, the machine may be busy."""

    async def main() -> None:
        reception, port = _reception(), Port(config().listener[0])
        loop = asyncio.get_running_loop()
        best = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            made = [RelaySMTP(reception, port, loop=loop) for _ in range(200)]
            best = min(best, (time.perf_counter() - started) / len(made))
        assert best < 100e-6

    run(main())


def test_every_command_is_answered_before_a_greeting() -> None:
    async def main() -> None:
        async with running() as intake:
            for verb in COMMANDS:
                client = await intake.client()
                got = await client.ask(verb)
                assert got[:3].isdigit(), (verb, got)

    run(main())


PROXIED = {"proxy_protocol": ["127.0.0.0/8"]}


@pytest.mark.parametrize(
    ("header", "ip"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.8 4000 25\r\n", "192.0.2.7"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 8]) + b"\x0f\xa0\x00\x19",
            "192.0.2.7",
        ),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ],
    ids=["v1", "v2", "unknown"],
)
def test_client_address_comes_from_the_proxy(header: bytes, ip: str) -> None:
    async def main() -> None:
        settings = config(
            listener=[{"address": "127.0.0.1:0", **PROXIED}],
            app=[{"name": "far", "networks": ["192.0.2.0/24", "127.0.0.1/32"]}],
        )
        async with running(settings) as intake:
            client = await intake.connect()
            await client.send(header)
            assert (await client.reply()).startswith("220")
            queued_id(await client.mail(MAIL))
            assert intake.acceptor.accepted[0].message.client_ip == ip

    run(main())


def test_proxy_header_from_a_stranger_is_no_header() -> None:
    async def main() -> None:
        settings = config(listener=[{"address": "127.0.0.1:0", "proxy_protocol": ["192.0.2.0/24"]}])
        async with running(settings) as intake:
            client = await intake.connect()
            await client.send(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n")
            assert (await client.reply()).startswith("220")
            assert (await client.reply()).startswith("500")

    run(main())


def test_bad_proxy_header_ends_the_connection() -> None:
    async def main() -> None:
        async with running(config(listener=[{"address": "127.0.0.1:0", **PROXIED}])) as intake:
            client = await intake.connect()
            await client.send(b"EHLO a\r\nMAIL FROM:<a@h.example>\r\n")
            assert await client.rest() == ""

    run(main())


def test_own_certificate_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "tls", hostname="relay.test")
    first = path.read_bytes()
    assert self_signed(tmp_path / "tls", hostname="relay.test").read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == ["self-signed.pem"]


def test_what_a_killed_process_left_behind_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / f".self-signed.{os.getpid()}").touch()  # killed while it made the key, and we got its process id
    assert self_signed(tmp_path, hostname="relay.test").exists()


def test_changed_certificate_is_loaded_and_a_broken_one_is_not(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    path = tmp_path / "both.pem"
    path.write_bytes(make_certificate("one.test", now=now))
    tls = ListenerTls(path, path, minimum="1.2")
    assert not tls.refresh()
    path.write_bytes(b"broken")
    os.utime(path, (1, 1))
    assert not tls.refresh()
    path.write_bytes(make_certificate("two.test", now=now))
    os.utime(path, (2, 2))
    assert tls.refresh()


def test_missing_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        ListenerTls(tmp_path / "no.pem", tmp_path / "no.key", minimum="1.2")


@pytest.mark.parametrize(("minimum", "is_accepted"), [("1.0", True), ("1.3", False)])
def test_tls_min_decides_which_versions_are_spoken(minimum: str, is_accepted: bool, tmp_path: Path) -> None:
    async def main() -> None:
        settings = config(tmp_path, listener=[{"address": "127.0.0.1:0", "tls": "implicit", "tls_min": minimum}])
        async with running(settings) as intake:
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname = False
            old.verify_mode = ssl.CERT_NONE
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            if is_accepted:
                client = await intake.connect(tls=old)
                assert (await client.reply()).startswith("220")
                queued_id(await client.mail(MAIL))
            else:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await intake.connect(tls=old)

    run(main())


def test_taken_address_is_named_and_nothing_stays_open() -> None:
    first = bind(config())
    port = first[0][1].getsockname()[1]
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        bind(config(listener=[{"address": "127.0.0.1:0"}, {"address": f"127.0.0.1:{port}"}]))
    first[0][1].close()
    gc.collect()


def test_password_file_may_hold_a_hash_or_the_password(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("words\n")
    settings = config(tmp_path, app=[{"name": "a", "username": "u", "password_file": "plain"}])
    assert load_hashes(settings)["u"].startswith("$scrypt$")
    (tmp_path / "plain").write_text("$2b$12$unknown\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_hashes(settings)


def test_free_space_is_that_of_the_disk(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    assert abs(FreeSpace(tmp_path)() - status.f_bavail * status.f_frsize) < 1024**3
    missing = FreeSpace(tmp_path / "missing")
    for _ in range(2):  # a disk that cannot be asked is no full disk, the second time no more than the first
        with pytest.raises(FileNotFoundError):
            missing()


class _Store:
    """Runs units of work on no transaction at all; enough for an acceptor."""

    def __init__(self) -> None:
        self.error: StoreError | None = None
        self.is_healthy = True

    async def write(self, unit: Callable[[Tx], T]) -> T:
        if self.error is not None:
            raise self.error
        return unit(cast(Tx, None))


def _refusal(number: int, *, client: str = "", at: datetime = datetime(2026, 3, 1, tzinfo=UTC)) -> Refusal:
    return Refusal(
        at=at, listener="l", client_ip=client or f"192.0.2.{number % 200}", stage="mail", code=550, enhanced="5.7.1",
        text=str(number), reason="x",
    )  # fmt: skip


def _submission(content: bytes) -> Submission:
    return Submission(message=cast(Message, None), content=content, deliveries=())


def test_refusals_are_written_together_and_a_flood_is_bounded() -> None:
    async def main() -> None:
        written: list[list[Refusal]] = []
        store = _Store()

        def refuse(tx: Tx, batch: Sequence[Refusal]) -> None:
            written.append(list(batch))

        acceptor = StoreAcceptor(cast(Store, store), accept=lambda tx, submission, *, packed: None, refuse=refuse)
        for number in range(6000):
            acceptor.refuse(_refusal(number))
        await acceptor.flush()
        assert [len(batch) for batch in written] == [5000]
        acceptor.refuse(_refusal(1))
        task = asyncio.create_task(acceptor.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [len(batch) for batch in written] == [5000, 1]
        store.error = StoreError("no")
        acceptor.refuse(_refusal(2))
        await acceptor.flush()
        assert len(written) == 2
        store.error = None
        await acceptor.flush()
        assert [refusal.text for refusal in written[2]] == ["2"], "kept until the store works again"

    run(main())


def test_one_client_cannot_fill_disk_or_log_with_refusals(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        written: list[Refusal] = []
        acceptor = StoreAcceptor(
            cast(Store, _Store()),
            accept=lambda tx, submission, *, packed: None,
            refuse=lambda tx, batch: written.extend(batch),
        )
        noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        for number in range(3000):
            acceptor.refuse(_refusal(number, client="203.0.113.9", at=noon))
        acceptor.refuse(_refusal(1, client="203.0.113.10", at=noon))
        acceptor.refuse(_refusal(1, client="203.0.113.9", at=noon + timedelta(minutes=1)))
        await acceptor.flush()
        assert Counter(refusal.client_ip for refusal in written) == {"203.0.113.9": 1001, "203.0.113.10": 1}
        assert sum(record.message.startswith("refused ") for record in caplog.records) == 1002

    run(main())


def test_a_large_mail_is_packed_before_its_turn_to_be_written() -> None:
    async def main() -> None:
        given: list[Packed | None] = []
        acceptor = StoreAcceptor(
            cast(Store, _Store()),
            accept=lambda tx, submission, *, packed: given.append(packed),
            refuse=lambda tx, batch: None,
        )
        large = b"x" * 1_000_000
        await acceptor.accept(_submission(b"small"))
        await acceptor.accept(_submission(large))
        assert given == [None, pack(large)]

    run(main())


def test_delivery_is_woken_after_the_commit_only() -> None:
    async def main() -> None:
        steps: list[str] = []
        store = _Store()
        acceptor = StoreAcceptor(
            cast(Store, store),
            accept=lambda tx, submission, *, packed: steps.append("accept"),
            refuse=lambda tx, batch: None,
            wake=lambda: steps.append("wake"),
        )
        await acceptor.accept(_submission(b"x"))
        await acceptor.accept(_submission(b"x"))
        await asyncio.sleep(0)
        assert steps == ["accept", "accept", "wake"], "one nudge for all that one round of the loop brought"
        store.error = StoreError("no")
        with pytest.raises(StoreError):
            await acceptor.accept(_submission(b"x"))
        await asyncio.sleep(0)
        assert steps == ["accept", "accept", "wake"]

    run(main())
