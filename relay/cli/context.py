"""What most commands need: the configuration, the store, and who is asking."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.output import safe
from relay.config import find_config, load
from relay.settings import Config

if TYPE_CHECKING:
    from relay.store.protocols import Store


def configured(config_path: Path | None) -> tuple[Config, Path | None]:
    """Load the configuration of this command line; also say which file it came from.

    Raises:
        ConfigError: there is no such file, or it has faults.
    """
    found = find_config(config_path)
    return load(found), found


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Store]:
    """Open the store named in the configuration for as long as the block runs; one that is new is said to be new."""
    from relay.store import folder_of, is_there, open_store

    if not is_there(config.store.url, config.base_dir):
        # An empty log from the wrong folder, or with the wrong file, must not look like "no mail at all".
        where = safe(str(folder_of(config.store.url, config.base_dir)))
        click.echo(f"waybill: there was no store yet; made an empty one in {where}", err=True)
    store = open_store(config.store.url, config.base_dir)
    try:
        yield store
    finally:
        store.close()


def nudge(config: Config) -> None:
    """Tell a running delivery process to look at once."""
    from relay.wake import Waker

    waker = Waker(config.data_dir)
    try:
        waker.wake()
    finally:
        waker.close()


def asker() -> str:
    """Name the person at the command line, as events and blocks keep it."""
    uid = int(os.environ["SUDO_UID"]) if os.environ.get("SUDO_UID", "").isdigit() else os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
