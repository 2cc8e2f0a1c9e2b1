"""Relay processes for tests: a configuration on free ports, a node that is always cleaned up.

`with running(config_file(tmp_path, mx_port=…, dns=…)) as node:` gives a relay that listens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.demo.connections import free_port
from relay.demo.node import Node, NodeFailed, to_toml
from relay.settings import HostPort

__all__ = ["ConfigFile", "Node", "NodeFailed", "config_file", "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A configuration on disk and the addresses it names."""

    path: Path
    smtp: HostPort
    dashboard: HostPort
    data_dir: Path


def config_file(
    folder: Path,
    *,
    mx_port: int = 25,
    dns: HostPort | None = None,
    retry: Sequence[str] = ("1s", "2s"),
    give_up_after: str = "1m",
    smtp: HostPort | None = None,
    apps: Sequence[Mapping[str, Any]] | None = None,
    more: Mapping[str, Any] | None = None,
) -> ConfigFile:
    """Write a configuration for loopback; `more` is merged over it, table by table."""
    smtp = smtp or HostPort("127.0.0.1", free_port())
    dashboard = HostPort("127.0.0.1", free_port())
    tables: dict[str, Any] = {
        "node": {"hostname": "relay.test.example", "data_dir": "data"},
        "store": {"url": "sqlite:data/waybill.db"},
        "intake": {"min_free_space": "16MiB"},
        "listener": [{"address": str(smtp)}],
        "app": list(apps) if apps is not None else [{"name": "desk", "networks": ["127.0.0.0/8"]}],
        "delivery": {
            "port": mx_port,
            "ip": "4",
            "retry": list(retry),
            "give_up_after": give_up_after,
            "allow_private_addresses": True,
        },
        "dns": {"servers": [str(dns or HostPort("127.0.0.1", 9))], "timeout": "1s", "lifetime": "2s"},
        "dashboard": {"address": str(dashboard)},
    }
    path = folder / "waybill.toml"
    path.write_text(to_toml(_merged(tables, more or {})), "utf-8")
    return ConfigFile(path=path, smtp=smtp, dashboard=dashboard, data_dir=folder / "data")


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


@contextmanager
def running(config: ConfigFile, *, command: str = "serve", argv: Sequence[str] = ()) -> Iterator[Node]:
    """Run a relay until the block ends; it takes mail when the block begins (`deliver` has nothing to listen on)."""
    with Node(config.path, command=command, argv=argv) as node:
        if command in ("serve", "intake"):
            node.wait_greeting(config.smtp, timeout=60)
        yield node
