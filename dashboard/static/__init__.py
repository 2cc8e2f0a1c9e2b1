"""Style, script and icons: our own, served from memory under a name that changes with their content.

All parts of css/ make one style sheet, in the order of their names. Nothing is ever loaded from another host.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    compressed: bytes  #: gzip
    media_type: str
    version: str


_TYPES = {
    "waybill.css": "text/css; charset=utf-8",
    "waybill.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
}


@cache
def asset(name: str) -> Asset | None:
    """Give a file by its name; None when there is none."""
    if name not in _TYPES:
        return None
    folder = files("dashboard.static")
    if name == "waybill.css":
        parts = sorted((one for one in folder.joinpath("css").iterdir() if one.name.endswith(".css")), key=_name)
        content = b"\n".join(one.read_bytes() for one in parts)
    else:
        content = folder.joinpath(name).read_bytes()
    version = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content, gzip.compress(content, mtime=0), _TYPES[name], version)


def _name(one: object) -> str:
    return str(getattr(one, "name", ""))


def url(name: str) -> str:
    """Give the address of a file, for templates.

    Raises:
        KeyError: there is no such file.
    """
    found = asset(name)
    if found is None:
        raise KeyError(name)
    return f"/static/{found.version}/{name}"
