"""The import rules of docs/architecture.md, enforced over the source: pure cores, one home for SQL, one for SQLite."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("relay", "dashboard")
    for path in sorted((ROOT / package).rglob("*.py"))
}

#: No I/O, no clock, no randomness of their own, no store.
PURE = {
    "relay.status",
    "relay.errors",
    "relay.accounts",
    "relay.oidc",
    "relay.totp",
    "relay.address",
    "relay.headers",
    "relay.retry",
    "relay.moments",
    "relay.dsn",
    "relay.dsn_rules",
    "relay.deadline",
    "relay.endings",
    "relay.verp",
    "relay.booking_links",
    "relay.suppress",
    "relay.reclassify",
    "relay.notices",
    "relay.incidents",
    "relay.suggest",
    "relay.resend",
    "relay.why",
    "relay.toml_lines",
    "relay.config_faults",
    "relay.config_checks",
    "relay.intake.policy",
    "relay.intake.esp_headers",
    "relay.intake.long_lines",
    "relay.intake.markup",
    "relay.intake.parameters",
    "relay.intake.parts",
    "relay.intake.repair",
    "relay.intake.references",
    "relay.delivery.contract",
    "relay.delivery.dane",
    "relay.delivery.mta_sts",
    "relay.delivery.fate",
    "relay.delivery.ipv6_refusal",
    "relay.delivery.nxdomain",
    "relay.delivery.site_keys",
    "relay.delivery.try_again",
    *(
        f"relay.doctor.{name}"
        for name in ("answer", "blocklists", "dmarc", "dns_sender", "finding", "identity", "local", "reach")
    ),
    *(f"relay.doctor.{name}" for name in ("sender_dkim", "sender_spf", "spf", "spf_record")),
    "relay.store.text",
    "relay.store.log_query",
    "dashboard.box",
    "dashboard.days",
    "dashboard.marking",
    "dashboard.retelling",
    "relay.wording",
    *(name for name in MODULES if name == "relay.classify" or name.startswith("relay.classify.")),
    *(name for name in MODULES if name == "relay.block_lists" or name.startswith("relay.block_lists.")),
}

#: What pure modules may use beside each other: values without behaviour.
VALUES = {"relay", "relay.model", "relay.settings"}

IO_MODULES = {
    *("asyncio", "socket", "ssl", "select", "selectors", "subprocess", "threading", "multiprocessing", "signal"),
    *("os", "shutil", "tempfile", "time", "random", "secrets", "logging", "smtplib"),
    *("http.client", "http.server", "urllib.request"),
    *(
        "sqlite3",
        "pysqlite3",
        "sqlite_utils",
        "dns",
        "aiosmtpd",
        "aiosmtplib",
        "uvloop",
        "uvicorn",
        "starlette",
        "click",
    ),
}

#: What pages may know of the relay; settings and errors are the other halves of config and actions.
DASHBOARD_MAY = {
    *("relay.actions", "relay.model", "relay.status", "relay.address", "relay.headers", "relay.classify.explain"),
    "relay.classify.entries",
    *("relay.config", "relay.doctor", "relay.settings", "relay.errors", "relay.moments", "relay.picture_trial"),
    *("relay.accounts", "relay.actions.accounts", "relay.oidc", "relay.totp", "relay.booking_links", "relay.wording"),
}

SQL = re.compile(
    r"\s*(?:SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s|PRAGMA\s)", re.S
)


def imports(tree: ast.AST, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Name every module (or module.name) that is imported, at the top or inside a function, type checking included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parts, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base


def clock_calls(tree: ast.AST) -> Iterator[str]:
    """Name calls that read the clock, files or the terminal."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}:
            yield node.func.id
        elif isinstance(node.func, ast.Attribute) and node.func.attr in {"now", "utcnow", "today"}:
            yield node.func.attr


def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported_by(module: str) -> set[str]:
    return set(imports(parsed(module), module, is_package=MODULES[module].name == "__init__.py"))


def is_under(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("module", sorted(PURE & MODULES.keys()))
def test_pure_modules_import_no_io(module: str) -> None:
    found = imported_by(module)
    assert not {name for name in found if any(is_under(name, io) for io in IO_MODULES)}
    ours = {name for name in found if is_under(name, "relay") or is_under(name, "dashboard")}
    assert ours <= PURE | VALUES
    assert not list(clock_calls(parsed(module)))


def test_every_module_that_the_architecture_calls_pure_is_there() -> None:
    named = ("status", "errors", "address", "headers", "retry", "suppress", "classify.reply", "classify.classifier")
    assert {f"relay.{name}" for name in named} <= PURE & MODULES.keys()


def test_sqlite_is_imported_by_one_module() -> None:
    users = {m for m in MODULES for name in imported_by(m) if name.split(".")[0] in {"sqlite3", "pysqlite3"}}
    assert users == {"relay.store.sqlite"}


def test_database_libraries_stay_inside_the_store() -> None:
    users = {m for m in MODULES for name in imported_by(m) if name.split(".")[0] in {"sqlite_utils", "psycopg"}}
    assert all(is_under(module, "relay.store") for module in users)


def test_sql_lives_only_in_the_store() -> None:
    found = [
        (module, node.value)
        for module in MODULES
        if not is_under(module, "relay.store")
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert found == []


def test_the_dashboard_knows_only_what_it_may_know() -> None:
    for module in MODULES:
        if is_under(module, "dashboard"):
            ours = {name for name in imported_by(module) if is_under(name, "relay")}
            assert {n for n in ours if n != "relay" and not is_under(n, "relay.store")} <= DASHBOARD_MAY, module


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("relay.store", ("relay.intake", "relay.delivery", "relay.cli", "relay.actions", "relay.app", "dashboard")),
        ("relay.intake", ("relay.delivery", "relay.cli", "relay.actions", "relay.app", "dashboard")),
        ("relay.delivery", ("relay.intake", "relay.cli", "relay.actions", "relay.app", "dashboard")),
        ("relay.actions", ("relay.intake", "relay.delivery", "relay.cli", "relay.app", "dashboard")),
    ],
)
def test_each_part_knows_only_the_parts_below_it(package: str, forbidden: tuple[str, ...]) -> None:
    for module in MODULES:
        if is_under(module, package):
            wrong = {name for name in imported_by(module) if any(is_under(name, part) for part in forbidden)}
            assert not wrong, module


def test_only_the_wiring_knows_the_dashboard() -> None:
    users = {m for m in MODULES for name in imported_by(m) if is_under(name, "dashboard") and is_under(m, "relay")}
    assert users <= {"relay.app"}


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {
        path.stem for package in ("relay", "dashboard", "tests", "bench") for path in (ROOT / package).rglob("*.py")
    }
    assert not names & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def test_no_module_is_a_giant() -> None:
    """Past 400 lines a module usually has a second subject; past 500 it surely has."""
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 500} == {}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(parsed(module))


def test_the_rules_see_what_they_forbid() -> None:
    source = "import asyncio\ndef f():\n    from os import path\n    import pysqlite3.dbapi2 as db\n    open('x')\n"
    tree = ast.parse(source)
    assert set(imports(tree, "relay.address")) == {"asyncio", "os", "pysqlite3.dbapi2"}
    assert list(clock_calls(tree)) == ["open"]
    assert set(imports(ast.parse("from . import address\nfrom .store import sql"), "relay.model")) == {
        "relay.address",
        "relay.store",
    }
    assert SQL.match("\n  SELECT a\n FROM b")
    assert not SQL.match("Select the table from the list")
