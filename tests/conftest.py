"""What several folders of tests share: a PostgreSQL server, and an empty store on each backend."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.postgres_server import NoPostgres, PostgresServer
from relay.store import migrate

BACKENDS = ("postgres", "sqlite")

_GRACE = 60.0  #: seconds a test has for its cleaning up after its time limit

# Whoever starts the tests in the background may have Ctrl-C ignored, which every process below them would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a store on each backend, or on those that a module names in its own BACKENDS.

    Of the command line's tests (`desk`) only such modules run on both: the others ask the store nothing new.
    """
    if "store_url" in metafunc.fixturenames:
        chosen = getattr(metafunc.module, "BACKENDS", ("sqlite",) if "desk" in metafunc.fixturenames else BACKENDS)
        chosen = ("sqlite",) if "database" in metafunc.fixturenames else chosen
        metafunc.parametrize("store_url", chosen, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End a process of tests that hangs past its own time limit: xdist names the test, fails it and goes on.

    The limit raises once, in whatever runs just then; a child still waited for or a browser that is gone outlives it.
    """
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0] if marker else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(limit + _GRACE, exit=True, file=2)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests; each takes a schema of its own."""
    with started() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that a test may stop and start."""
    with started() as server:
        yield server


@contextmanager
def started(*, host: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """Start a server; without PostgreSQL the test is skipped by that name, and under CI it fails."""
    try:
        server = PostgresServer(host=host).__enter__()
    except NoPostgres as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error}, and CI must run every test")
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def used_schema(postgres: PostgresServer) -> Iterator[str]:
    """A schema with our tables in it, for one test after the other."""
    with postgres.schema("used") as url:
        migrate(url, Path())
        yield url


@pytest.fixture
def emptied_schema(postgres: PostgresServer, used_schema: str) -> str:
    """The same, without what the last test left; much faster than making the tables anew."""
    tables = postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'used' AND tablename <> 'migration'")
    names = ", ".join(f"used.{name}" for (name,) in tables)
    postgres.execute(f"TRUNCATE {names} RESTART IDENTITY")
    return used_schema


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store, the same for all who open it in this test."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/data/waybill.db"
    else:
        yield request.getfixturevalue("emptied_schema")
