"""Opening a store: schema, locks, modes, and who is refused."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relay.errors import ConfigError, StoreError, StoreLocked
from relay.store import exclusive, loader, migrate, migrations, needs_single_process, open_store
from relay.store.engine import EngineStore
from relay.store.sqlite import connect
from tests.store.making import accept

ROOT = Path(__file__).parents[2]


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process of its own that runs some lines."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = connect(path)
    try:
        return [tuple(row) for row in connection.execute(sql).fetchall()]
    finally:
        connection.close()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    assert migrate("sqlite:waybill.db", tmp_path) == list(migrations.STEPS)
    before = query(tmp_path / "waybill.db", "SELECT name, sql FROM sqlite_master ORDER BY name")
    assert migrate("sqlite:waybill.db", tmp_path) == []
    assert query(tmp_path / "waybill.db", "SELECT name, sql FROM sqlite_master ORDER BY name") == before


def test_two_processes_at_once_apply_each_step_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from relay.store import open_store;"
        "print('ready', flush=True); sys.stdin.readline();"
        "open_store('sqlite:waybill.db', Path(sys.argv[1])).close()"
    )
    both = [run(code, str(tmp_path)) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        with process:
            pass
        assert process.returncode == 0
    names = query(tmp_path / "waybill.db", "SELECT name FROM _sqlite_migrations ORDER BY id")
    assert [name for (name,) in names] == list(migrations.STEPS)


def test_a_step_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    path = tmp_path / "waybill.db"
    statements = loader.load("sqlite") | {"schema.m0002_search": "CREATE TABLE one (a);\nCREATE NONSENSE;"}
    with pytest.raises(StoreError):
        migrations.migrate(path, statements)
    assert query(path, "SELECT name FROM sqlite_master") == []
    assert migrations.migrate(path, loader.load("sqlite")) == list(migrations.STEPS)


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    migrate("sqlite:waybill.db", tmp_path)
    query(
        tmp_path / "waybill.db",
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('relay', 'm9999_future', '')",
    )
    with pytest.raises(StoreError, match="newer than this version"):
        open_store("sqlite:waybill.db", tmp_path)


@pytest.mark.parametrize("url", ["postgresql:", "waybill.db", "", "sqlite:", "mysql:x"])
def test_an_unknown_url_is_a_fault_of_the_configuration(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        open_store(url, tmp_path)


def test_files_and_folder_belong_to_us_alone(store: EngineStore, database: Path) -> None:
    accept(store)
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
    for path in database.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@pytest.mark.usefixtures("database")
def test_the_store_is_durable_and_says_so(store: EngineStore) -> None:
    def ask(name: str) -> object:
        return store.write_now(lambda tx: next(iter(tx.compose(f"PRAGMA {name}", {})[0].values())))

    assert ask("journal_mode") == "wal"
    assert ask("synchronous") == 2
    assert ask("wal_autocheckpoint") == 0
    assert ask("mmap_size") == 0


@pytest.mark.parametrize("what", ["a folder", "no database", "a file as folder"])
def test_what_cannot_be_opened_is_one_clear_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "waybill.db"
    if what == "a folder":
        path.mkdir()
    elif what == "no database":
        path.write_bytes(b"not a database, but long enough to be looked at closely\n" * 100)
    else:
        (tmp_path / "data").write_text("")
        path = tmp_path / "data" / "waybill.db"
    with pytest.raises(StoreError):
        open_store(f"sqlite:{path}", tmp_path)


# Locks.


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with exclusive(tmp_path / "data", "serve"):
        with pytest.raises(StoreLocked, match=str(os.getpid())):
            exclusive(tmp_path / "data", "serve")
        exclusive(tmp_path / "data", "deliver").release()
    exclusive(tmp_path / "data", "serve").release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from relay.store import exclusive;"
        "lock = exclusive(Path(sys.argv[1]), 'serve'); print('ready', flush=True); sys.stdin.readline()"
    )
    with run(code, str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(StoreLocked):
            exclusive(tmp_path, "serve")
        process.kill()
    exclusive(tmp_path, "serve").release()


@pytest.mark.parametrize(
    ("version", "want"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_an_affected_sqlite_bears_one_writing_process(version: tuple[int, int, int], want: bool) -> None:
    assert needs_single_process(version) is want


# Statements.


def test_sections_become_named_statements() -> None:
    text = "-- one --\n-- Its purpose.\nSELECT 1;\n\n-- two --\nSELECT\n  -- inside\n  2\n"
    assert loader.parse(text, source="x") == {"one": "SELECT 1", "two": "SELECT\n  -- inside\n  2"}


@pytest.mark.parametrize("text", ["SELECT 1\n", "-- one --\nx\n-- one --\ny\n"])
def test_a_broken_file_of_statements_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^x\.sql: "):
        loader.parse(text, source="x.sql")


def test_every_statement_compiles(store: EngineStore) -> None:
    dialect = store.read_now(lambda tx: tx.dialect)
    for name, sql in loader.load(dialect).items():
        if not name.startswith("schema.") and not sql.startswith("PRAGMA"):
            params = dict.fromkeys(re.findall(r"(?<![:\w]):([a-z_]\w*)", sql))
            store.write_now(lambda tx, sql=sql, params=params: tx.compose(f"EXPLAIN {sql}", params))  # type: ignore[misc]
