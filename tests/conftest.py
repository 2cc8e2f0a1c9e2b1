"""What several folders of tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.postgres_server import NoPostgres, PostgresServer


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
def started() -> Iterator[PostgresServer]:
    """Start a server; without PostgreSQL the test is skipped by that name, and under CI it fails."""
    try:
        server = PostgresServer().__enter__()
    except NoPostgres as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error}, and CI must run every test")
        pytest.skip(str(error))
    try:
        yield server
    finally:
        server.remove()
