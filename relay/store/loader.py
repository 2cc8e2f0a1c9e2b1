"""Read the SQL files of the store into named statements.

A file `spool.sql` holds sections, each opened by a line `-- insert_message --`; the statement is then known as
"spool.insert_message". A file `spool.sqlite.sql` holds what only that dialect says; its sections join those of
`spool.sql` and win over them. Comment lines directly below the section line say its purpose and are dropped.
The files are package data, so that they are found in an installed wheel as well. Nothing is run here.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_SECTION = re.compile(r"^-- ([a-z0-9_]+) --$")


@cache
def load(dialect: str) -> dict[str, str]:
    """Read all statements of one dialect.

    Raises:
        ValueError: a file has text before its first section, or names a section twice.
    """
    shared: dict[str, str] = {}
    special: dict[str, str] = {}
    for file in sorted(resources.files(__package__).joinpath("sql").iterdir(), key=lambda entry: entry.name):
        parts = file.name.split(".")
        if parts[-1] != "sql" or (len(parts) == 3 and parts[1] != dialect):
            continue
        target = special if len(parts) == 3 else shared
        for name, text in parse(file.read_text(encoding="utf-8"), source=file.name).items():
            target[f"{parts[0]}.{name}"] = text
    return shared | special


def parse(text: str, *, source: str) -> dict[str, str]:
    """Split one file into its sections."""
    sections: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        if match := _SECTION.match(line):
            if match[1] in sections:
                raise ValueError(f"{source}: section {match[1]} stands there twice")
            lines = sections[match[1]] = []
        elif lines is None:
            if line.strip():
                raise ValueError(f"{source}: text before the first section")
        elif lines or not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(body).strip().rstrip(";") for name, body in sections.items()}
