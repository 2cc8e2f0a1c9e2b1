"""Starting relays, and the proof by ledger, without a relay."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from relay.demo.node import Node, NodeFailed, is_listening, to_toml
from relay.settings import Config, HostPort
from tests.support.ledger import LedgerClient, Promise, read_arrivals, read_promises, reconcile
from tests.support.peers import Background, FakeMx, free_port, temper
from tests.support.process import config_file


def test_toml_reads_back_as_it_was_written() -> None:
    tables = {
        "node": {"hostname": 'a"b\\c\n', "data_dir": "tietokansio ä"},
        "app": [{"name": "one", "networks": ["127.0.0.0/8"], "limits": {"size": 5}}, {"name": "two", "networks": []}],
        "delivery": {"port": 25, "allow": True, "ratio": 0.5, "site": {"connections": 3}},
        "dns": {"servers": []},
        "kinds": {"réservée": "confirmation", "see you": "reminder"},
    }

    assert tomllib.loads(to_toml(tables)) == tables


def test_configuration_of_tests_is_valid_and_can_be_changed(tmp_path: Path) -> None:
    dns = HostPort("127.0.0.1", 5353)
    made = config_file(tmp_path, mx_port=2526, dns=dns, more={"delivery": {"record": "all"}, "log": {"level": "debug"}})

    config = Config(**tomllib.loads(made.path.read_text("utf-8")))

    assert (config.delivery.port, config.delivery.record, config.log.level) == (2526, "all", "debug")
    assert (config.listener[0].address, config.dns.servers) == (made.smtp, [dns])
    assert made.smtp.port != made.dashboard.port


def test_relay_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    node = Node(tmp_path / "missing.toml")
    with node, pytest.raises(NodeFailed, match=r"(?s)ended before it could listen.*\w"):
        node.wait_listening([HostPort("127.0.0.1", free_port())])


def test_relay_that_listens_but_does_not_greet_is_not_ready(tmp_path: Path) -> None:
    with Background() as world:
        node = Node(tmp_path / "missing.toml")
        mx = world.enter(FakeMx())
        node.wait_greeting(mx.address)
        mx.temper = temper.NO_SERVICE
        with pytest.raises(NodeFailed, match="ended before it could greet"):
            node.wait_greeting(mx.address)


def test_killed_relay_leaves_nothing_behind(tmp_path: Path) -> None:
    node = Node(tmp_path / "missing.toml")
    assert node.kill() is None
    node.start()
    assert node.kill() is not None
    assert node.pid is None


def test_port_is_listening_only_while_somebody_listens() -> None:
    with Background() as world:
        mx = world.enter(FakeMx())
        assert is_listening(mx.address)
        world.run(mx.stop())
        assert not is_listening(mx.address)


def test_client_keeps_a_promise_for_each_250_and_the_server_has_it_too(tmp_path: Path) -> None:
    arrived = tmp_path / "arrived.jsonl"
    with Background() as world:
        mx = world.enter(FakeMx(ledger=arrived, is_keeping_content=False))
        client = LedgerClient(mx.address, tmp_path / "promised.jsonl")
        client.send(3)
        promises = client.stop()

    assert [promise.relay_id for promise in promises] == ["000001", "000002", "000003"]
    assert read_promises(tmp_path / "promised.jsonl") == promises
    assert read_arrivals(arrived) == Counter((promise.message_id, promise.to) for promise in promises)


def test_client_in_threads_goes_on_while_nobody_listens(tmp_path: Path) -> None:
    with Background() as world:
        mx = world.enter(FakeMx(is_keeping_content=False))
        client = LedgerClient(mx.address, tmp_path / "promised.jsonl")
        client.start(sessions=2)
        world.run(mx.wait_received(3))
        world.run(mx.stop())
        before = len(mx.received)
        world.run(mx.start())
        world.run(mx.wait_received(before + 3))
        promises = client.stop()

    assert len(mx.received) - 2 <= len(promises) <= len(mx.received)


@pytest.mark.parametrize(
    ("status", "is_lost"),
    [
        ("queued", False),
        ("deferred", False),
        ("soft_bounced", False),
        ("suppressed", False),
        ("cancelled", False),
        ("delivered", True),
        (None, True),
    ],
)
def test_promise_that_did_not_arrive_needs_a_reason(status: str | None, is_lost: bool) -> None:
    promise = Promise(message_id="<1@x>", relay_id="M1", to="a@guest.example")
    rows = [{"message": "M1", "to": "a@guest.example", "status": status}] if status else []

    got = reconcile([promise], arrivals=Counter(), rows=rows)

    assert (got.lost, got.waiting_or_ended) == (((promise,), 0) if is_lost else ((), 1))


def test_arrivals_are_counted_and_copies_too() -> None:
    promise = Promise(message_id="<1@x>", relay_id="M1", to="a@guest.example")

    got = reconcile([promise], arrivals=Counter({("<1@x>", "a@guest.example"): 3}), rows=[])

    assert (got.promised, got.delivered, got.lost, got.duplicates) == (1, 1, (), 2)
