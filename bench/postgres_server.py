"""A PostgreSQL server of our own, for the demo of several nodes and for tests.

It is made in a temporary folder, runs as an unprivileged user and is gone afterwards. Debian keeps the programs in
/usr/lib/postgresql/VERSION/bin. As root the server runs as `postgres` or `nobody`, for it refuses root. It takes
connections on loopback and on a Unix socket, without a password.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from relay.demo.connections import free_port
from relay.errors import RelayError

_SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "150",
    "unix_socket_permissions": "0777",
    "log_min_messages": "fatal",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum_naptime": "5s",
}


class NoPostgres(RelayError):
    """There is no PostgreSQL server on this machine, or it does not start."""


def programs() -> Path:
    """Find the folder of initdb and postgres.

    Raises:
        NoPostgres: they are not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


class PostgresServer:
    """One server; `url` and `socket_url` name its database `waybill`."""

    def __init__(
        self,
        *,
        parent: Path | None = None,
        settings: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`parent` is where its folder is made, in memory by default; `settings` stand instead of those for tests.

        `host` is where it listens; on another address than loopback it trusts private networks, such as a test's own.
        """
        self.host = host
        self._bin = programs()
        self._settings = _SETTINGS if settings is None else settings
        self.folder = Path(tempfile.mkdtemp(prefix="waybill-pg-", dir=parent or _fast_folder()))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    @property
    def pid(self) -> int:
        """The first process, from which all others descend; 0 while it is stopped."""
        return self._process.pid if self._process is not None else 0

    @property
    def url(self) -> str:
        return f"postgresql://waybill@{self.host}:{self.port}/waybill"

    @property
    def socket_url(self) -> str:
        return f"postgresql://waybill@/waybill?host={self.folder}&port={self.port}"

    def __enter__(self) -> Self:
        try:
            self._run(
                "initdb", "--no-sync", "--auth=trust", "--username=waybill", "--encoding=UTF8", "--locale=C.UTF-8"
            )
            if self.host != "127.0.0.1":
                with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
                    rules.write("host all all 10.0.0.0/8 trust\n")
            self.start()
            self.execute("CREATE DATABASE waybill", database="postgres")
            self.execute("CREATE EXTENSION pg_trgm")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def start(self, *, fsync: str = "on") -> None:
        """Start it and wait until it answers.

        Raises:
            NoPostgres: it does not.
        """
        settings = [f"-c{key}={value}" for key, value in {**self._settings, "fsync": fsync}.items()]
        where = [f"-p{self.port}", f"-clisten_addresses={self.host}", f"-k{self.folder}"]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data", *where, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **self._as_user,
            )
        end = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise NoPostgres(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT cuts connections and shuts down, SIGQUIT is a crash without a checkpoint."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def execute(self, sql: str, *, database: str = "waybill") -> list[tuple[Any, ...]]:
        """Run SQL as the owner of everything."""
        with psycopg.connect(self.socket_url, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def schema(self, name: str) -> Iterator[str]:
        """Make an empty schema of its own: the URL of an empty store that shares the server with others."""
        self.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{self.socket_url}&options=-csearch_path%3D{name},public"
        finally:
            self.execute(f"SET client_min_messages = error; DROP SCHEMA {name} CASCADE")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.socket_url, dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments, "-D", str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self._as_user)
        if done.returncode != 0:
            raise NoPostgres(f"{program} failed: {done.stderr.strip()}")

    def remove(self) -> None:
        """Stop it and take its folder away."""
        self.stop(how=signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def _fast_folder() -> str | None:
    """In memory, where there is room: no test pulls the plug of the machine, and a sync costs nothing there."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1024**3
    return str(memory) if has_room else None


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL refuses to run as root, and there is no other user")
